"""One run: steps drawn from a seed, the truth checked after each, an end at which all has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import structlog

from kpay.app import House
from kpay.catalogue.data import catalogue
from kpay.database.embedded import as_program
from kpay.settings import Settings
from simulator.acts import Acts
from simulator.checks import Checks
from simulator.clock import ONE_MINUTE, Time
from simulator.feed import Feed
from simulator.ids import SeededIds
from simulator.loop import MICROSECONDS, VirtualLoop
from simulator.merchants import Merchants
from simulator.operations import Violation
from simulator.oracle import Oracle
from simulator.payers import Payers
from simulator.prices import Prices
from simulator.process import Outside, Process, Tasks
from simulator.rail import Rail
from simulator.reading import Reader
from simulator.receivers import Receivers
from simulator.transcript import Transcript
from simulator.turns import Armed, Fate, ProcessDied, Turns

VERIFY_EVERY = 200
_MARGIN_BPS = 50
_RATES_LIVE = timedelta(hours=1)
# Long enough for a rail to refuse and for another choice, short enough for many to run out.
_PAGES_LIVE = timedelta(minutes=10)
_PROCESSES = ("A", "B")
# The clock is never further from the truth than this: a quarter of an hour by the clock must be
# long enough for what is on its way, for what the rail denies, and for a claim.
_CLOCK_OFF = 3 * ONE_MINUTE
_ROUNDS_TO_END = 120
_SECRET = "a secret for simulations that is long enough"

_FATES = {
    Fate.DIES_BEFORE: 3,
    Fate.DIES_AFTER: 3,
    Fate.LOST_BEFORE: 1,
    Fate.LOST_AFTER: 2,
    Fate.PAUSES_BEFORE: 5,
}
# Anywhere; between a claim and the call that it is for; and before what was answered is recorded.
_PAUSED_AT = ("", "payouts.of_ids", "payments.of_ids", "instructions.write", "instructions.write")


class SimulationFailed(Exception):
    """A promise was broken: the seed and the step that show it, and what led there."""

    def __init__(self, seed: int, step: int, problem: str, tail: list[str]) -> None:
        self.seed, self.step, self.problem, self.tail = seed, step, problem, tail
        lines = "\n".join(tail)
        super().__init__(
            f"{problem}\nseed {seed}, step {step}; the last {len(tail)} operations, each with its "
            f"step:\n{lines}\nAgain: make simulate SEED={seed} STEPS={step}"
        )


@dataclass(frozen=True)
class Report:
    """What a run came to. Two runs of one seed have one digest."""

    seed: int
    steps: int
    digest: str
    operations: int
    deaths: int
    contradictions: int
    """How many ended otherwise than the truth because the rail had said the opposite."""
    sent_again: int
    """How often a request was sent once more with its key."""
    choices: int
    """How often somebody's pick on a page was taken."""
    webhooks: int
    """How often a receiver heard one."""
    pauses: int
    """How often a receiver was left alone for a while."""


@dataclass
class _Dice:
    """The seed's random numbers, apart by what they decide."""

    seed: int
    story: Random = field(init=False)
    faults: Random = field(init=False)

    def __post_init__(self) -> None:
        self.story = self.of("story")
        self.faults = self.of("faults")

    def of(self, what: str) -> Random:
        return Random(f"{self.seed}:{what}")


def simulate(
    database_url: str,
    seed: int,
    steps: int,
    *,
    home: Path,
    on_step: Callable[[int], None] = lambda _step: None,
) -> Report:
    """Run one seed on an empty migrated database of the embedded server.

    Raises SimulationFailed.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_run(database_url, seed, steps, home, on_step))


async def _run(
    database_url: str, seed: int, steps: int, home: Path, on_step: Callable[[int], None]
) -> Report:
    settings = Settings(
        home=home,
        database_url=as_program(database_url),
        secret=_SECRET,
        fx_ttl=timedelta(minutes=10),
        fx_max_age=_RATES_LIVE,
        fx_margins={"*": _MARGIN_BPS},
        rate_limit=0,
        gateway_life=_PAGES_LIVE,
    )
    connection = await asyncpg.connect(database_url)
    simulation: Simulation | None = None
    try:
        # No power fails here, so nothing need wait for the disk.
        name = await connection.fetchval("select quote_ident(current_database())")
        await connection.execute(f"alter database {name} set synchronous_commit = off")
        with structlog.testing.capture_logs() as logs:
            simulation = Simulation(settings, seed, Reader(connection), logs)
            return await simulation.run(steps, on_step)
    finally:
        if simulation is not None:
            await simulation.close()
        await connection.close()


class Simulation:
    """The world of one seed: merchants, two processes, a rail, sources of rates, and the time."""

    def __init__(self, settings: Settings, seed: int, reader: Reader, logs: list[Any]) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("a simulation needs a VirtualLoop")
        loop.set_exception_handler(self._look_at)
        self._loop = loop
        self._settings = settings
        self._dice = _Dice(seed)
        self._time = Time(loop)
        self._transcript = Transcript()
        self._turns = Turns(loop, self._dice.of("turns"), self._transcript)
        self._rail = Rail(self._dice.of("rail"), self._time)
        self._feed = Feed(self._dice.of("rates"), self._time)
        self._ids = SeededIds(self._dice.of("ids"))
        self._receivers = Receivers(self._dice.of("receivers"))
        outside = Outside(
            self._rail,
            self._feed,
            self._receivers,
            self._turns,
            self._time,
            self._ids,
            self._dice.of("jitter").random,
            self._transcript,
        )
        tasks = Tasks(loop)
        self._processes = [Process(name, settings, outside, tasks) for name in _PROCESSES]
        self._merchants = Merchants(self._dice.story, self._transcript)
        known = catalogue()
        prices = Prices(self._feed, known, margin_bps=_MARGIN_BPS, rates_live=_RATES_LIVE)
        oracle = Oracle(self._rail, self._time, prices, known)
        self._checks = Checks(oracle, reader, self._merchants, self._receivers, logs)
        self._acts = Acts(
            self._dice.story,
            self._dice.faults,
            self._processes,
            self._merchants,
            Payers(self._dice.of("payers"), self._transcript),
            self._checks,
            self._spawn,
        )
        self._tasks: list[asyncio.Task[Any]] = []
        self._stray: list[str] = []
        self._deaths = 0
        self._step = 0

    async def run(self, steps: int, on_step: Callable[[int], None]) -> Report:
        """So many steps, and the end."""
        try:
            await self._open()
            for step in range(1, steps + 1):
                await self._take_step(step)
                if step % VERIFY_EVERY == 0:
                    await self._checks.verify(self._url)
                on_step(step)
            await self._end()
        except Violation as problem:
            raise SimulationFailed(
                self._dice.seed, self._step, str(problem), self._transcript.tail
            ) from problem
        asked = self._merchants.operations
        return Report(
            seed=self._dice.seed,
            steps=steps,
            digest=self._transcript.digest,
            operations=len(asked),
            deaths=self._deaths,
            contradictions=self._checks.contradictions,
            sent_again=sum(len(one.sendings) > 1 for one in asked),
            choices=sum(len(one.choices) for one in asked),
            webhooks=self._receivers.count,
            pauses=self._checks.pauses,
        )

    async def close(self) -> None:
        for process in self._processes:
            if process.runs:
                await process.die()

    @property
    def _url(self) -> str:
        return self._settings.database_url or ""

    async def _open(self) -> None:
        house = House(self._settings, clock=self._time, ids=self._ids)
        await house.open()
        await self._merchants.join(house, self._receivers)
        await house.close()
        for process in self._processes:
            await process.start()

    # A step: something may break, time passes, and a few things happen at once.

    async def _take_step(self, step: int) -> None:
        self._begin(step)
        await self._revive(0.7)
        self._break_something()
        self._move_time()
        self._move_moods()
        for _ in range(self._dice.story.randint(1, 4)):
            self._acts.act()
        await self._go_on()
        await self._look(step)

    def _begin(self, step: int) -> None:
        self._step = self._transcript.step = self._turns.step = step
        self._transcript.turn(f"{self._time.true} {self._time.off}")
        for process in self._processes:
            armed = process.seat.armed
            # What was to strike one request, and did not meet it. A pause waits for its place.
            if armed is not None and armed.at and armed.fate is not Fate.PAUSES_BEFORE:
                process.seat.armed = None

    async def _revive(self, likely: float) -> None:
        for process in self._processes:
            if not process.runs and self._dice.faults.random() < likely:
                await process.start()
                self._transcript.operation(f"{process.name} is started")

    def _break_something(self) -> None:
        faults = self._dice.faults
        process = faults.choice(self._processes)
        if faults.random() > 0.15 or not process.runs or process.seat.armed:
            return
        fate = faults.choices(list(_FATES), list(_FATES.values()))[0]
        if fate is Fate.PAUSES_BEFORE:
            where = faults.choice(_PAUSED_AT)
            calls = 1 if where else faults.randint(1, 14)
            process.seat.armed = Armed(fate, calls, faults.randint(1, 25), where)
        else:
            process.seat.armed = Armed(fate, faults.randint(1, 14))

    def _move_time(self) -> None:
        faults = self._dice.faults
        (most,) = faults.choices([0, 30, 180, 1200], [40, 42, 12, 6])
        self._pass(faults.randrange(most * MICROSECONDS) if most else 0)
        if faults.random() < 0.02:
            off = faults.randint(-_CLOCK_OFF, _CLOCK_OFF)
            moved = (off - self._time.off) / MICROSECONDS
            self._time.set_clock(off)
            self._transcript.operation(f"the clock is set by {moved:+.0f} seconds")

    def _pass(self, microseconds: int) -> None:
        if microseconds:
            self._loop.advance(microseconds, asleep=self._asleep())
            self._transcript.operation(f"{microseconds / MICROSECONDS:.1f} seconds pass")
        self._rail.tick()

    def _move_moods(self) -> None:
        if self._dice.faults.random() < 0.06:
            self._feed.move()
        if self._dice.faults.random() < 0.04:
            self._transcript.operation(self._feed.change_mood())
        if self._dice.faults.random() < 0.08:
            self._transcript.operation(self._receivers.change_mood())

    def _spawn(self, process: Process, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(process.spawn(work))

    async def _go_on(self) -> None:
        """Until nobody can go on. Who dies meanwhile is dead at once, and the others go on."""
        while (died := await self._turns.until_quiet(self._asleep)) is not None:
            (process,) = (one for one in self._processes if one.seat is died)
            self._deaths += 1
            await process.die()

    def _asleep(self) -> set[str | None]:
        # Our own driver has no timers; the connections that it opens have some that never matter.
        return {None} | {one.name for one in self._processes if one.paused(self._step)}

    async def _look(self, step: int) -> None:
        """Everything is at rest: is everything as it must be?"""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.remove(task)
            problem = None if task.cancelled() else task.exception()
            if problem is not None and not isinstance(problem, ProcessDied):
                raise Violation(f"step {step} ended in {problem!r}") from problem
        if self._stray:
            raise Violation(self._stray[0])
        await self._checks.after_step()

    def _look_at(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problem = context.get("exception")
        if not isinstance(problem, ProcessDied):
            self._stray.append(f"{context.get('message')}: {problem!r}")

    # The end: nothing breaks any more, and time passes until everything has ended.

    async def _end(self) -> None:
        self._rail.honest = self._receivers.honest = True
        self._feed.calm()
        self._transcript.operation("from here on, nothing breaks")
        for process in self._processes:
            process.seat.armed = None
            process.seat.paused_until = 0
        for extra in range(_ROUNDS_TO_END):
            # Far enough for all that was kept back to have been let go.
            self._begin(self._step + 100)
            await self._revive(1)
            # Money moves within minutes; a receiver that failed often is left alone for hours.
            self._pass((5 if self._checks.open else 60) * ONE_MINUTE)
            for process in self._processes:
                self._spawn(process, process.work())
            failed = {one.application_id for one in self._checks.deliveries.failed}
            for shop in self._merchants.shops:
                if shop.book.application_id in failed:
                    self._spawn(process, self._merchants.replay(process, shop))
            await self._go_on()
            await self._look(self._step)
            if extra and not self._tasks and not self._left:
                break
        else:
            raise Violation(f"this does not end: {self._left[0]}")
        await self._checks.at_the_end()
        await self._checks.verify(self._url)

    @property
    def _left(self) -> list[object]:
        """What has not ended, and what was not taken by who is to hear it."""
        return [*self._checks.open, *self._checks.deliveries.waiting]
