"""Records what a running service gets and answers, as the examples of openapi.json.

The calls are in contract/walk.py, and tests/clients/examples.py makes them, on a service of its own.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, build_opener

from contract.complete import EXAMPLES
from contract.functions import OPENAPI
from contract.texts import HEADERS
from orders.requests import JSON

SHOWN = "https://orders.example.com"
# A file of an export on the laptop, and on AWS.
LINK = re.compile(r"http://[\w.:]+/[\w-]+/([\w.-]+)\?X-Amz-[^\"]+")
SHOWN_LINK = r"https://orders-exports.s3.eu-central-1.amazonaws.com/\1?X-Amz-Signature=…"
# Secret scanners would find it in every copy of the contract.
SECRET = re.compile(r"whsec_[\w+/=]+")
OPEN = build_opener()
REQUEST_SECONDS = 35
MOST_TEXT = 200


class Recorder:
    """Calls operations of a service without data or authorization by name.

    The first value of each parameter, body, and answer per status and media type becomes the example.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # The ETag of the last answer that had one.
        self.tag = ""
        self.examples: dict[str, dict[str, Any]] = {}
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"].items()
            for method, operation in item.items()
        }

    def __call__(self, name: str, body: Any = None, /, **given: Any) -> Any:
        """The answer's body. given: parameters by name, with _ for -.

        raw: a body that need not be JSON; media: its type. accept: the media type that the client wants.
        """
        method, path, operation = self.operations[name]
        raw, media = given.pop("raw", None), given.pop("media", JSON)
        wanted = {"Accept": given.pop("accept")} if "accept" in given else {}
        known = {parameter["name"].lower().replace("-", "_"): parameter for parameter in operation.get("parameters", [])}
        values = {known[key]["name"] if key in known else key: value for key, value in given.items()}
        places = {parameter["name"]: parameter["in"] for parameter in known.values()}
        query = {key: value for key, value in values.items() if places.get(key, "query") == "query"}
        headers = {key: str(value) for key, value in values.items() if places.get(key) == "header"}
        target = re.sub(r"{(\w+)}", lambda match: quote(str(values[match[1]])), path) + (
            f"?{urlencode(query)}" if query else ""
        )
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        typed = {} if data is None else {"Content-Type": media}
        status, answered, text = self._send(method, target, data, {**headers, **wanted, **typed})
        own = self.examples.setdefault(name, {"parameters": {}, "answers": {}})
        if status < 400:
            own["parameters"] = {**{key: value for key, value in values.items() if key in places}, **own["parameters"]}
            if body is not None:
                own.setdefault("body", body)
        return self._keep(own["answers"], status, answered, text)

    def _send(
        self, method: str, target: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Mapping[str, str], str]:
        request = Request(self.url + target, data, headers, method=method)  # noqa: S310 - a URL that the caller chose
        try:
            with OPEN.open(request, timeout=REQUEST_SECONDS) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def _keep(self, answers: dict[str, Any], status: int, headers: Mapping[str, str], text: str) -> Any:
        found = {name.lower(): value for name, value in headers.items()}
        self.tag = found.get("etag", self.tag)
        kept = answers.setdefault(str(status), {"headers": [], "bodies": {}})
        kept["headers"] = sorted({*kept["headers"], *(name for name in HEADERS if name.lower() in found)})
        text = SECRET.sub("whsec_…", LINK.sub(SHOWN_LINK, text))
        text, media = text.replace(self.url, SHOWN), found.get("content-type", "").partition(";")[0]
        if "json" in media:
            body = json.loads(text)
            # Of a whole document its beginning is enough.
            kept["bodies"].setdefault(media, {"openapi": body["openapi"], "info": body["info"]} if "openapi" in body else body)
            return body
        if text:
            kept["bodies"].setdefault(media, f"{text[:MOST_TEXT]}…")
        return text

    def show_events(self, events: list[dict[str, Any]]) -> None:
        """The first of each type becomes the example of what a webhook gets."""
        self.examples["list_events"]["events"] = {event["type"]: event for event in reversed(events)}


def save(call: Recorder) -> None:
    EXAMPLES.write_text(json.dumps(call.examples, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
