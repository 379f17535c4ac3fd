"""A browser of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.quit()
