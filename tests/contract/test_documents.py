"""The documents: links and commands exist, and the examples show what the laptop cloud answers."""

import json
import math
import re
import shlex
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cdk.app import CONTEXT
from cdk.delivery import AT_ONCE
from cdk.settings import STAGES
from contract.functions import OPENAPI, ROOT, load_functions
from contract.openapi import load_handler
from drill.laptop import Laptop
from orders import posting
from orders.errors import KINDS, SQLSTATES
from tests.tools import missing

API, CONFIGURATION, RUNBOOK = (ROOT / "docs" / f"{name}.md" for name in ("api", "configuration", "operations"))
CHANGELOG = ROOT / "CHANGELOG.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")])
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
LONGEST_LINE = 120
README, README_LINES = ROOT / "README.md", 150
# The port of `make run`, in every example.
SHOWN = "localhost:8000"
# That of the API names the first customer and the first order.
EXAMPLES = [API, README]


def each(paths: Iterable[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", list(paths), ids=lambda path: str(path.relative_to(ROOT)))


class Fence(NamedTuple):
    language: str
    text: str


def fences(document: Path) -> list[Fence]:
    return [Fence(*match) for match in re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)]


def prose(document: Path) -> str:
    """The text without code fences."""
    return re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub derives from headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each(DOCUMENTS)
def test_links_have_a_target(document: Path) -> None:
    text = prose(document)
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{document.name} links to {link}"


@each(DOCUMENTS)
def test_a_line_of_prose_fits_the_window(document: Path) -> None:
    assert not [line for line in prose(document).splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")]


@each(DOCUMENTS)
def test_commands_and_paths_in_a_document_exist(document: Path) -> None:
    code = [fence.text for fence in fences(document)] + re.findall(r"`([^`\n]+)`", prose(document))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    # Of a tutorial, which a test follows.
    made = set(re.findall(r"\bWrite\s+`([^`]+)`", prose(document)))
    for text in code:
        for target in re.findall(r"(?:^|[…&;] *)make ([a-z]+)", text, re.MULTILINE):
            assert target in targets, f"{document.name}: make {target}"
        for path in re.findall(r"(?<![\w./:<>-])[\w.-]+/[\w./-]*\w", text):
            if path.partition("/")[0] in FOLDERS and not path.startswith((".venv/", ".local/")) and path not in made:
                assert (ROOT / path).exists(), f"{document.name}: {path}"


def test_the_readme_is_short_and_begins_with_what_people_came_for() -> None:
    text = README.read_text()
    assert len(text.splitlines()) < README_LINES
    places = [text.index(word) for word in ("make run", "curl", '"total_cents"', "architecture.svg", "make deploy")]
    assert places == sorted(places)


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, pending = set(), [README]
    while pending:
        document = pending.pop().resolve()
        if document not in reached and document.suffix == ".md":
            reached.add(document)
            links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
            pending += [document.parent / link for link in links if not link.startswith("http")]
    assert {path for path in DOCUMENTS if ".github" not in path.parts} <= reached


# What docs/api.md says about all endpoints ---------------------------------------------------------------------------


def table(document: Path, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its header row."""
    section = document.read_text().split(f"## {heading}\n")[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[0].splitlines()[2:]]


def test_every_kind_of_problem_is_explained_with_its_sqlstates() -> None:
    documented = {int(status): (kind.strip("`"), codes) for status, kind, _, _, codes in table(API, "Errors")}
    assert {status: kind for status, (kind, _) in documented.items()} == {
        status: f"/problems/{kind}" for status, (kind, _) in KINDS.items()
    }
    assert {status: set(re.findall(r"\w{5}", codes)) for status, (_, codes) in documented.items()} == {
        status: {code for code, (answer, _) in SQLSTATES.items() if answer == status} for status in KINDS
    }


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in json.loads(OPENAPI.read_text())["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_scope_is_explained() -> None:
    scopes = {scope for function in load_functions() for route in function.routes for scope in route.scopes}
    assert {scope.strip("`") for scope, _ in table(API, "Authorization")} == scopes


def test_every_post_that_takes_an_idempotency_key_is_named() -> None:
    named = {row[0].strip("`").removeprefix("POST ").removesuffix("/") for row in table(API, "Idempotency")}
    having = {
        path.rstrip("/")
        for method, path, operation in operations()
        if any(parameter["name"].lower() == "idempotency-key" for parameter in operation.get("parameters", []))
    }
    assert named == {re.sub(r"{\w+}", "{id}", path) for path in having}


def test_keys_are_kept_as_long_as_promised() -> None:
    assert "24 hours" in API.read_text()
    assert "two days" in API.read_text()
    assert load_handler("audit_totals").KEYS_KEPT_HOURS == 2 * 24


def test_the_documented_sizes_are_those_of_the_contract() -> None:
    sizes = {what: limit for what, limit, _ in table(API, "Sizes")}
    schemas = json.loads(OPENAPI.read_text())["components"]["schemas"]
    limits = {
        parameter["schema"]["maximum"]
        for _, _, operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "limit"
    }
    assert sizes["items of an order"] == str(schemas["NewOrder"]["properties"]["items"]["maxItems"])
    assert sizes["rows of a page"] == "".join(map(str, limits))
    assert sizes["a SKU"] == f"{schemas['NewItem']['properties']['sku']['maxLength']} characters"
    assert sizes["a reference"] == f"{schemas['NewOrder']['properties']['reference']['maxLength']} characters"
    for of_metadata in (schemas["NewOrder"]["properties"]["metadata"], schemas["NewCustomer"]["properties"]["metadata"]):
        assert sizes["keys of metadata"] == str(of_metadata["maxProperties"])
        assert sizes["a key of metadata"] == f"{of_metadata['propertyNames']['maxLength']} characters"
        assert sizes["a value of metadata"] == f"{of_metadata['additionalProperties']['maxLength']} characters"
    assert sizes["the reason of a cancellation"] == f"{schemas['Cancellation']['properties']['reason']['maxLength']} characters"
    assert sizes["webhooks"] == str(load_handler("create_webhook").MOST_WEBHOOKS)
    assert sizes["unfinished exports"] == str(load_handler("start_export").MAX_UNFINISHED)
    assert sizes["a name"] == f"{schemas['NewCustomer']['properties']['name']['maxLength']} characters"
    assert sizes["an e-mail address"] == f"{schemas['NewCustomer']['properties']['email']['maxLength']} characters"


def test_the_documented_rates_are_those_of_the_stages() -> None:
    rates = {
        name.strip("`"): (int(rate.replace(",", "")), int(burst.replace(",", ""))) for name, rate, burst in table(API, "Rates")
    }
    assert rates == {name: (stage.requests_per_second, stage.burst) for name, stage in STAGES.items()}


def test_the_page_about_webhooks_has_the_figures_of_the_code() -> None:
    text = " ".join((ROOT / "docs" / "webhooks.md").read_text().split())
    settling = load_handler("settle_webhook")
    units = ((3600, "h"), (60, "min"), (1, "s"))
    pauses = [next(f"{pause // size} {unit}" for size, unit in units if pause >= size) for pause in settling.PAUSES[:9]]
    for promise in (
        f"{', '.join(pauses[:-1])} and {pauses[-1]}, each",
        f"after {settling.HOURS_TO_DELIVER} hours the delivery has failed",
        f"at least ten failures in a row over more than {settling.HOURS_TO_DISABLE} hours",
        f"{load_handler('replay_webhook').MOST_AT_ONCE:,} at most",
        f"the first {posting.ANSWER_BYTES} bytes of the last answer",
        f"for up to {posting.SECONDS_KEPT} seconds after the last one",
        f"There can be {load_handler('create_webhook').MOST_WEBHOOKS} webhooks",
        f"deliveries of the last {load_handler('audit_totals').DELIVERIES_KEPT_DAYS} days",
    ):
        assert promise in text
    assert (settling.FAILURES_TO_DISABLE, posting.SECONDS) == (10, 10)


def test_a_release_has_as_many_waves_as_the_runbook_says() -> None:
    areas = Counter(f.area for f in load_functions() if "prod" in f.stages and f.trigger != "deploy")
    waves = sum(math.ceil(functions / AT_ONCE) for functions in areas.values())
    # Of ten minutes each.
    assert f"has {waves} waves there, so it takes about {round(waves / 6)} hours" in " ".join(RUNBOOK.read_text().split())


def test_every_variable_that_functions_read_is_explained() -> None:
    sources = [*ROOT.glob("functions/*/*.py"), *ROOT.glob("layers/orders/python/orders/*.py")]
    read = {name for path in sources for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', path.read_text())}
    read |= {name for function in load_functions() for name in function.environment}
    read |= set(re.findall(r'"(AWS_ENDPOINT_URL_\w+)"', (ROOT / "local" / "cloud.py").read_text()))
    explained = {word for row in table(CONFIGURATION, "What functions read") for word in re.findall(r"`(\w+)`", row[0])}
    # Lambda's own.
    given = {"AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME"} | {name for name in read if name.startswith(("AWS_ACCESS", "AWS_SE"))}
    assert read - given <= explained


def test_every_choice_of_a_deployment_is_explained() -> None:
    assert {name.strip("`") for name, _ in table(CONFIGURATION, "What a deployment can choose")} == set(CONTEXT)


def test_the_changelog_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", CHANGELOG.read_text(), re.MULTILINE)
    assert "## Unreleased" in CHANGELOG.read_text()


def test_dependabot_checks_the_folders_of_the_locks() -> None:
    text = (ROOT / ".github" / "dependabot.yml").read_text()
    looked_at = {ROOT / folder.strip("/") for folder in re.findall(r"^ +- (/\S+)$", text, re.MULTILINE)}
    locks = {(ROOT / file).parent for file in re.findall(r" -o (\S+\.txt)", (ROOT / "Makefile").read_text())}
    assert locks == looked_at


# The examples: each curl, followed by its answer ----------------------------------------------------------------------


class Example(NamedTuple):
    command: str
    answer: str | None


def examples(document: Path) -> list[Example]:
    """The curls of a document in order; a fence of JSON is the answer to the preceding curl."""
    found: list[Example] = []
    for fence in fences(document):
        if fence.language == "json":
            found[-1] = found[-1]._replace(answer=fence.text)
        elif fence.language == "sh":
            lines = fence.text.replace("\\\n", " ").splitlines()
            found += [Example(line.partition(" #")[0], None) for line in lines if line.startswith("curl ")]
    return found


def shape(value: Any) -> Any:
    """What answers of the same kind have in common: names and types, and all that a problem says except for an ETag."""
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if not isinstance(value, dict):
        return type(value).__name__
    if "detail" in value:
        return {name: re.sub(r'"[^"]*"', '"…"', entry) if name == "detail" else entry for name, entry in value.items()}
    return {name: entry if name == "status" else shape(entry) for name, entry in value.items()}


@pytest.mark.slow
@pytest.mark.skipif("curl" in missing(), reason="curl is not installed, and `make test` could not install it")
def test_the_examples_of_the_documents_show_the_real_answers(tmp_path: Path) -> None:
    with Laptop(tmp_path) as laptop:
        for document in EXAMPLES:
            shown = examples(document)
            assert any(example.answer for example in shown)
            for command, answer in shown:
                assert SHOWN in command
                words = shlex.split(command.replace(SHOWN, laptop.url.removeprefix("http://")))
                output = subprocess.run(
                    [*words, "--silent", "--show-error", "--include"], capture_output=True, text=True, check=True
                ).stdout
                head, _, body = output.replace("\r\n", "\n").partition("\n\n")
                if location := re.search(r"^location: (/api/dev/seed/\S+)$", head, re.MULTILINE | re.IGNORECASE):
                    laptop.finished(location[1])
                if answer:
                    assert shape(json.loads(body)) == shape(json.loads(answer)), f"{command}\n{output}"
                assert re.match(r"HTTP/1.1 [234]\d\d ", head), f"{command}\n{output}"
