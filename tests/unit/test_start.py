"""What a start loads: not what only rails, pages or an operator's commands need."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each costs megabytes in every process; where it is loaded instead.
LATER = {
    "babel": "the first page (web/later.py)",
    "jinja2": "the first page (web/later.py)",
    "phonenumbers": "the first live number (connectors/phones.py)",
    "cyclopts": "the commands alone",
    "kpay.dashboard.site": "the first page (web/later.py)",
    "kpay.hosted.pages": "the first page (web/later.py)",
}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Every module that a server's process has loaded when it is ready to be opened."""
    code = "import sys; import kpay.app; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


@pytest.mark.parametrize("module", LATER)
def test_a_start_does_without(module: str, loaded: set[str]) -> None:
    assert "kpay.worker" in loaded
    assert module not in loaded
