"""What is logged, spelled out as the program spells it out, for tests to look through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

from kpay.web.logs import PROCESSORS


@contextmanager
def logged() -> Iterator[list[str]]:
    """The JSON lines of everything that is logged meanwhile, at every level."""
    before = structlog.get_config()
    lines: list[str] = []

    def keep(_logger: Any, _method: str, line: Any) -> NoReturn:
        lines.append(line)
        raise structlog.DropEvent

    structlog.configure(processors=[*PROCESSORS, structlog.processors.JSONRenderer(), keep])
    try:
        yield lines
    finally:
        structlog.configure(**before)
