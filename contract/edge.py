"""What both clouds, AWS (cdk/) and the laptop (local/), tell browsers and functions alike."""

import json
from collections.abc import Iterable, Mapping

from contract.functions import Function
from orders.queues import url_variable

# What a browser may do with the API from another origin.
CORS_METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")
CORS_HEADERS = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match")
CORS_EXPOSED = ("etag", "location", "idempotency-replayed", "retry-after")
CORS_MAX_AGE_SECONDS = 300

# Where an issuer may send people back to: the console, at each address of the service, and `orders login` on their machine.
CONSOLE_CALLBACK = "/console/signed-in"
CLI_CALLBACK = "http://localhost:8765/callback"
# What a function asks for and no stage gives it: there webhooks go to public addresses only, with public certificates.
LAPTOP_ONLY = frozenset({"WEBHOOKS_TO_ANYWHERE", "WEBHOOKS_CA_FILE", "MAILS_PATH"})

METRICS_NAMESPACE = "Orders"


def variables(
    function: Function,
    *,
    stage: str,
    settings: Mapping[str, str],
    queues: Mapping[str, str],
    log_level: str = "INFO",
    namespace: str = METRICS_NAMESPACE,
) -> dict[str, str]:
    """A function's environment variables other than those of the database; docs/configuration.md explains each.

    settings: values for what a function's function.toml lists in `environment`. queues: their URLs by name.
    """
    receives = {} if function.queue is None else {"QUEUE_MAX_RECEIVES": str(function.queue.max_receives)}
    return {
        "STAGE": stage,
        "LOG_LEVEL": log_level,
        "POWERTOOLS_SERVICE_NAME": function.name,
        "POWERTOOLS_METRICS_NAMESPACE": namespace,
        **{name: settings[name] for name in function.environment if name in settings},
        **{url_variable(queue): url for queue, url in queues.items() if function.may_send_to(queue)},
        **receives,
    }


def leases(functions: Iterable[Function]) -> str:
    """For the relay: of each queue for how many seconds a message is its worker's alone, as JSON."""
    return json.dumps({function.queue.name: function.lease_seconds for function in functions if function.queue is not None})
