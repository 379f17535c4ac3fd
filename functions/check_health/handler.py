"""The view from outside: asks for the service's health as a client does, through DNS, TLS, the gateway and a function.

Without it an outage without traffic would be silent: no request, no error, no alarm.
"""

import json
import os
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

PATIENCE_SECONDS = 10

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, bool]:
    """Whether the service is healthy. If not, that is a result and not an error: the alarm watches the metric."""
    answered = _answered(f"{os.environ['PUBLIC_URL']}/api/health/")
    metrics.add_metric("HealthAnswered", MetricUnit.Count, int(answered))
    metrics.flush_metrics()
    return {"answered": answered}


def _answered(url: str) -> bool:
    try:
        with urlopen(url, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - the deployment wrote the URL
            return bool(json.load(answer) == {"status": "ok"})
    except (OSError, HTTPException, ValueError) as reason:
        logger.warning("The service does not answer", extra={"cause": repr(reason)})
        return False
