"""The worker: claims what is due and calls a flow, nothing else.

Timers are rows with a due time (promise 10), claimed with `skip locked`, so any number of workers
in any number of processes share the work and none of it is lost with one of them. Tests step it by
hand; in service it loops, and sleeps only while nothing is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

_MOST_PER_CLAIM = 200
_AFTER_TROUBLE_SECONDS = 1.0
_DRAIN_SECONDS = 10
_PATIENCE_SECONDS = 1.0
_MOST_ROUNDS = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Some work. `run` takes how much it may do and says how much it did."""

    name: str
    run: Callable[[int], Awaitable[int]]
    idle_seconds: float = 0.2
    """How long to rest when nothing was due."""
    go_on: Callable[[int], Awaitable[int]] | None = None
    """What the loop calls in place of `run`, where that waits for the ends of what it begins."""


class Worker:
    """Runs each job for as long as something is due."""

    def __init__(self, *jobs: Job) -> None:
        self._jobs = jobs
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def step(self) -> int:
        """One round: each job once. Returns how much was done."""
        return sum(await asyncio.gather(*(job.run(_MOST_PER_CLAIM) for job in self._jobs)))

    async def run_until_idle(self) -> int:
        """Rounds until nothing is due at this moment. Returns how much was done."""
        total = 0
        while done := await self.step():
            total += done
        return total

    def wake(self) -> None:
        """Something may be due now."""
        self._wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._loop(), name="worker")

    async def stop(self) -> None:
        """Finish the attempts under way, within reason; what is cut off is taken up again."""
        if self._task is None:
            return
        self._stopping = True
        self.wake()
        _, late = await asyncio.wait({self._task}, timeout=_DRAIN_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _loop(self) -> None:
        await asyncio.gather(*(self._drive(job) for job in self._jobs))

    async def _drive(self, job: Job) -> None:
        """One job's own loop, so that a slow one delays no other.

        Rounds may overlap: while one waits for somebody who does not answer, the next ones go on
        with what has come due since. Those that wait for nobody need not.
        """
        rounds: set[asyncio.Future[int]] = set()
        run, patience = (job.go_on, None) if job.go_on else (job.run, _PATIENCE_SECONDS)
        try:
            while not self._stopping:
                latest = asyncio.ensure_future(run(_MOST_PER_CLAIM))
                rounds.add(latest)
                await asyncio.wait({latest}, timeout=patience)
                if len(rounds) >= _MOST_ROUNDS:
                    await asyncio.wait(rounds, return_when=asyncio.FIRST_COMPLETED)
                for done in [task for task in rounds if task.done()]:
                    rounds.discard(done)
                    self._note_trouble(job, done)
                if latest.done():
                    await self._rest_after(job, latest)
            await asyncio.gather(*rounds, return_exceptions=True)
        finally:
            for late in rounds:
                late.cancel()
            await asyncio.gather(*rounds, return_exceptions=True)

    def _note_trouble(self, job: Job, done: asyncio.Future[int]) -> None:
        problem = done.exception()
        if problem is not None:
            # The database may be away; whatever it was, the rows are still due.
            log.warning("job_failed", job=job.name, problem=repr(problem))

    async def _rest_after(self, job: Job, latest: asyncio.Future[int]) -> None:
        if latest.exception() is not None:
            await self._rest(_AFTER_TROUBLE_SECONDS)
        elif not latest.result():
            await self._rest(job.idle_seconds)

    async def _rest(self, seconds: float) -> None:
        self._wake.clear()
        if self._stopping:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
