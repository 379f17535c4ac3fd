"""Records the examples of openapi.json. `make examples` calls it."""

import tempfile
from pathlib import Path

from contract.record import Recorder, save
from contract.walk import walk
from drill.laptop import Laptop

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, Laptop(Path(folder)) as laptop:
        call = Recorder(laptop.url)
        walk(call)
    save(call)
