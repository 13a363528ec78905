"""What is due when. Time comes from a clock; whoever drives it says when to look.

A server drives it (`drive`); a test moves the clock and calls `run_due`, and nothing sleeps. A
request whose answer is held back waits for its moment here as well (`until`).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from kpay.core.clock import Clock, ManualClock

Act: TypeAlias = Callable[[], Coroutine[Any, Any, None] | None]

# How long a driver rests where nothing is due soon.
_LONGEST_REST_SECONDS = 0.5


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Agenda:
    """Acts with their moments; those of one moment in the order in which they were put here."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._acts: list[tuple[datetime, int, Act]] = []
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.waiting = 0
        """How many answers are held back."""

    def __len__(self) -> int:
        return len(self._acts) + len(self._tasks)

    def after(self, seconds: int, act: Act) -> None:
        self.at(self._clock.now() + timedelta(seconds=seconds), act)

    def at(self, moment: datetime, act: Act) -> None:
        heapq.heappush(self._acts, (moment, next(self._numbers), act))
        self._changed.set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have it done beside everything else; `run_due` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def until(self, seconds: int) -> None:
        """Wait so many seconds of this agenda's time."""
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def resolve() -> None:
            if not come.done():
                come.set_result(None)

        self.after(seconds, resolve)
        self.waiting += 1
        try:
            await come
        finally:
            self.waiting -= 1

    async def run_due(self) -> None:
        """Do all that is due, what follows from it at once too, and wait for what it started."""
        while self._start_due() or self._tasks:
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def advance(self, clock: ManualClock, seconds: int) -> None:
        """Let a stepped clock go on so far, moment by moment: each act sees its own time."""
        end = clock.now() + timedelta(seconds=seconds)
        await self.run_due()
        while self._acts and self._acts[0][0] <= end:
            clock.advance(
                microseconds=(self._acts[0][0] - clock.now()) // timedelta(microseconds=1)
            )
            await self.run_due()
        clock.advance(microseconds=(end - clock.now()) // timedelta(microseconds=1))

    async def drive(self) -> None:
        """Do what is due as it becomes due, for good."""
        while True:
            self._changed.clear()
            self._start_due()
            rest = _LONGEST_REST_SECONDS
            if self._acts:
                rest = min(rest, (self._acts[0][0] - self._clock.now()).total_seconds())
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, rest))
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Give up what was begun."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_due(self) -> bool:
        started = False
        while self._acts and self._acts[0][0] <= self._clock.now():
            _, _, act = heapq.heappop(self._acts)
            begun = act()
            started = True
            if begun is not None:
                self.start(begun)
        return started
