"""The bill of materials has what is deployed. That `make sbom` works at all is seen by CI, which makes it."""

from typing import Any

import pytest

from contract import sbom, vendor

REQUIREMENTS = sbom.requirements()


def made(*purls: str) -> dict[str, Any]:
    return {"components": [{"purl": purl} for purl in purls]}


def test_it_has_the_pinned_packages_and_the_consoles() -> None:
    pinned = sbom.pinned(REQUIREMENTS)
    assert len(pinned) == REQUIREMENTS.count("==") > 0
    document = sbom.complete(made(*pinned), REQUIREMENTS)
    npm = {component["purl"]: component["hashes"][0]["content"] for component in document["components"][len(pinned) :]}
    assert npm.keys() == {f"pkg:npm/{package.name}@{package.version}" for package in vendor.COMMITTED}
    assert all(len(digest) == 128 for digest in npm.values())


@pytest.mark.parametrize("change", [lambda purls: purls[1:], lambda purls: [*purls, "pkg:pypi/another@1.0"]])
def test_a_package_too_few_or_too_many_is_refused(change: Any) -> None:
    with pytest.raises(ValueError, match="differ in pkg:pypi/"):
        sbom.complete(made(*change(sorted(sbom.pinned(REQUIREMENTS)))), REQUIREMENTS)
