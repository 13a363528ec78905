"""One home for the folder's tests: what they leave in it does not matter to the next."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.program import Program


@pytest.fixture(scope="session")
def program() -> Iterator[Program]:
    """The program with a sandbox that answers at once."""
    with tempfile.TemporaryDirectory(prefix="kpay-system-", ignore_cleanup_errors=True) as home:
        yield Program(Path(home), {"KPAY_SANDBOX_DELAY": "0", "KPAY_LOG_LEVEL": "warning"})
