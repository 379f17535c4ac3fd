"""Records the examples of openapi.json. `make examples` calls it."""

import tempfile
from pathlib import Path

from contract.record import Recorder, save
from contract.walk import walk
from drill.laptop import Laptop
from local.cloud import Settings

if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        # Named, so that the ETags of every recording begin alike.
        Laptop(Path(folder), MAIL_FROM=Settings.mail_from, DATABASE_INSTANCE="examples") as laptop,
    ):
        call = Recorder(laptop.url)
        walk(call)
    save(call)
