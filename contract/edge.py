"""What both clouds, AWS (cdk/) and the laptop (local/), tell browsers and functions alike."""

from collections.abc import Mapping

from contract.functions import Function

# What a browser may do with the API from another origin.
CORS_METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")
CORS_HEADERS = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match")
CORS_EXPOSED = ("etag", "location", "idempotency-replayed", "retry-after")
CORS_MAX_AGE_SECONDS = 300

METRICS_NAMESPACE = "Orders"


def variables(
    function: Function, *, stage: str, settings: Mapping[str, str], log_level: str = "INFO", namespace: str = METRICS_NAMESPACE
) -> dict[str, str]:
    """A function's environment variables other than those of the database; docs/configuration.md explains each.

    settings: values for what a function's function.toml lists in `environment`.
    """
    return {
        "STAGE": stage,
        "LOG_LEVEL": log_level,
        "POWERTOOLS_SERVICE_NAME": function.name,
        "POWERTOOLS_METRICS_NAMESPACE": namespace,
        **{name: settings[name] for name in function.environment if name in settings},
    }
