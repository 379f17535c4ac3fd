"""What `pip install .` would install."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

from contract.functions import ROOT


def test_the_wheel_holds_the_command_line_and_nothing_of_the_service(tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "build", "--quiet", "--offline", "--wheel", "--out-dir", tmp_path], cwd=ROOT, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [information] = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(information).decode())
    modules = {name for name in names if name.endswith(".py")}
    assert modules == {str(path.relative_to(ROOT / "cli")) for path in (ROOT / "cli" / "orders_cli").rglob("*.py")}
    assert {name.partition("/")[0] for name in names} == {"orders_cli", information.partition("/")[0]}
    assert metadata.get_all("Requires-Dist") == ["typer<0.29"]
