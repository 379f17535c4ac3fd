"""Django's settings for an API alone: no sessions, users, templates or browsable pages."""

import os

ALLOWED_HOSTS = ["*"]
SECRET_KEY = "of no use: nothing is signed"
INSTALLED_APPS = ["shop", "rest_framework"]
MIDDLEWARE = []
ROOT_URLCONF = "urls"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["DATABASE_HOST"],
        "PORT": os.environ["DATABASE_PORT"],
        "NAME": os.environ["DATABASE_NAME"],
        "USER": os.environ["DATABASE_USER"],
        "PASSWORD": os.environ["DATABASE_PASSWORD"],
        # One connection per execution environment.
        "CONN_MAX_AGE": None,
        "OPTIONS": {"sslmode": "verify-full", "sslrootcert": os.environ["DATABASE_CA_FILE"]}
        if os.environ["DATABASE_TLS"] == "verify"
        else {},
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
