"""A backlog of payouts: how many a second reach their end, once they were accepted.

With a receiver each also has a webhook, and has reached its end when the merchant's server has
answered that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from tests.system.program import Program, Server

from bench import house, wrk
from bench.cases import CONNECTIONS
from bench.receiver import Receiver, receiving


def drain(
    ours: Program,
    url: str,
    workers: int,
    merchants: Sequence[house.Merchant],
    seconds: int,
    *,
    told: bool,
) -> tuple[float, int]:
    """Accept payouts for a time, then drive them. Returns how many ended a second, and errors.

    With `told` every payout's webhook is sent and answered too; raises if one was not.
    """
    with receiving() if told else nullcontext() as receiver:
        with (
            ours.serving("api", "--workers", str(workers)) as server,
            _heard(server, merchants, receiver),
        ):
            requests = house.payouts(merchants)
            load = wrk.run(server.url, requests, connections=CONNECTIONS, seconds=seconds)
            waiting = asyncio.run(house.still_open(url))
            with house.driving(ours, workers):
                rate = _rate(url, waiting)
            # One that was answered by whoever was ended may have been sent again: never fewer.
            if receiver is not None and receiver.taken() < waiting:
                raise RuntimeError(f"{waiting} payouts ended, {receiver.taken()} were told")
        return rate, load.errors


@contextmanager
def _heard(
    server: Server, merchants: Sequence[house.Merchant], receiver: Receiver | None
) -> Iterator[None]:
    """Have every merchant hear of its payouts, until the end."""
    if receiver is not None:
        house.listen(server, merchants, receiver.url)
    try:
        yield
    finally:
        if receiver is not None:
            house.listen(server, merchants, None)


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
