"""Houses with other settings than the usual ones, and rates that are pinned by a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kpay.app import House
from kpay.core.clock import Clock
from kpay.rates.sources import FILE
from kpay.settings import Settings


@asynccontextmanager
async def opened(settings: Settings, clock: Clock, **changes: Any) -> AsyncIterator[House]:
    """A house with some settings changed; on one database, two of them are two processes."""
    house = House(replace(settings, **changes), clock=clock)
    await house.open()
    try:
        yield house
    finally:
        await house.close()


def pinned(path: Path, pairs: Mapping[str, str]) -> tuple[str, ...]:
    """Rate sources that know these pairs only: write the file again and its rates have moved."""
    path.write_text(json.dumps({"base": "EUR", "asOf": "2026-06-23T10:00:00Z", "pairs": pairs}))
    return (f"{FILE}{path}",)
