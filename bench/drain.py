"""A backlog of payouts: how many a second reach their end, once they were accepted."""

from __future__ import annotations

import asyncio
import time

from tests.system.program import Program

from bench import house, wrk
from bench.cases import CONNECTIONS


def drain(
    ours: Program, url: str, workers: int, requests: list[wrk.Request], seconds: int
) -> tuple[float, int]:
    """Accept payouts for a time, then drive them. Returns how many ended a second, and errors."""
    with ours.serving("api", "--workers", str(workers)) as server:
        load = wrk.run(server.url, requests, connections=CONNECTIONS, seconds=seconds)
    waiting = asyncio.run(house.still_open(url))
    with house.driving(ours, workers):
        return _rate(url, waiting), load.errors


def _rate(url: str, waiting: int) -> float:
    """Payouts a second, from the first that is seen to have ended to the last."""
    begun: tuple[float, int] | None = None
    while True:
        left = asyncio.run(house.still_open(url))
        now = time.monotonic()
        if begun is None and left < waiting:
            begun = (now, left)
        if left == 0:
            first = begun or (now, waiting)
            return round(first[1] / max(now - first[0], 0.001), 1)
        time.sleep(0.05)
