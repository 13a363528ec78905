"""Fills the books in bulk, through the program's own flow: what is loaded is what it writes.

Each process is a house of its own with a thousand transfers under way, so that its poster always
has a full batch. That is the program as it is, without the HTTP in front of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any, Protocol
from uuid import UUID

import uvloop

from bench import databases
from bench.progress import stage
from kpay.access.model import Terms
from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.settings import Settings
from kpay.transfers.model import Wanted

_PROCESSES = 2
_TASKS = 1_000
_LOOK_EVERY_SECONDS = 0.2
# A transfer within one currency has two lines.
_POSTINGS_EACH = 2

_DIRECTIONS = (("CMR", "GAB"), ("GAB", "CMR"))

COUNT = "select count(*) from postings"


class _Counter(Protocol):
    value: int


@dataclass(frozen=True)
class Loaded:
    """How many transfers were added, and how many a second."""

    transfers: int
    rate: float


def fill(settings: Settings, applications: Sequence[str], size: int) -> Loaded:
    """Add transfers until there are so many postings."""
    have: int = databases.value(settings.database_url or "", COUNT)
    missing = max((size - have) // _POSTINGS_EACH, 0)
    begun = time.monotonic()
    context = get_context("spawn")
    shares = [missing // _PROCESSES] * (_PROCESSES - 1)
    shares.append(missing - sum(shares))
    counters: list[_Counter] = [context.Value("q", 0, lock=False) for _ in shares]
    processes = [
        context.Process(
            target=_load,
            args=(settings, applications, share, f"load-{size}-{number}", counter),
            daemon=True,
        )
        for number, (share, counter) in enumerate(zip(shares, counters, strict=True))
    ]
    if missing:
        _run(processes, counters, missing, size)
    return Loaded(missing, round(missing / max(time.monotonic() - begun, 0.001), 1))


def _run(
    processes: Sequence[BaseProcess], counters: Sequence[_Counter], missing: int, size: int
) -> None:
    for process in processes:
        process.start()
    begun = time.monotonic()
    with stage(f"loading to {size:,} postings", missing) as progress:
        while any(process.is_alive() for process in processes):
            done = sum(counter.value for counter in counters)
            rate = done / (time.monotonic() - begun)
            progress.reached(done, f"{done:,} transfers, {rate:,.0f} a second")
            time.sleep(_LOOK_EVERY_SECONDS)
    if any(process.exitcode for process in processes):
        raise RuntimeError("the books could not be loaded: see above")


def _load(
    settings: Settings, applications: Sequence[str], count: int, label: str, counter: Any
) -> None:
    """One process, from its start to its end."""
    uvloop.run(_transfer_all(settings, applications, count, label, counter))


async def _transfer_all(
    settings: Settings, applications: Sequence[str], count: int, label: str, counter: _Counter
) -> None:
    house = House(settings)
    await house.open()
    books = [Book(UUID(each), Environment.TEST) for each in applications]
    numbers = iter(range(count))

    async def transfer_some(numbers: Iterator[int]) -> None:
        for number in numbers:
            # There and back again, so that no wallet runs dry.
            wanted = _wanted(house, *_DIRECTIONS[number % 2], f"{label}-{number}")
            await house.transfers.request(books[number // 2 % len(books)], wanted)
            counter.value += 1

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_TASKS):
                group.create_task(transfer_some(numbers))
    finally:
        await house.close()


def _wanted(house: House, source: str, destination: str, external_id: str) -> Wanted:
    return house.transfers.check(
        Terms(),
        source_country=source,
        destination_country=destination,
        amount="100",
        external_id=external_id,
        description=None,
    )
