"""A process of the program: a house whose outside is simulated, which can die at any call.

Two of them share one database, as two servers do. A new house is made over the same database when
one has died; what the dead one knew is lost, and what it committed is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import replace
from typing import Any

from kpay.app import House
from kpay.connectors.model import Instruction, Outcome
from kpay.core.book import Environment
from kpay.core.ids import Ids
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import UNAVAILABLE
from kpay.hosted.pages import Pages
from kpay.settings import Settings
from simulator.asking import Counter
from simulator.clock import Time
from simulator.feed import SERVICES, Feed, FeedPort
from simulator.loop import OWNER, VirtualLoop
from simulator.ports import GatedPool
from simulator.rail import Rail, Said, short
from simulator.receivers import HookPort, Receivers
from simulator.transcript import Transcript
from simulator.turns import Seat, Turns


class Tasks:
    """Every task by the process that it works for, so that a process can die as a whole."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._of: dict[str | None, set[asyncio.Task[Any]]] = {}
        self._loop = loop
        loop.set_task_factory(self._make)

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Any,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        own = copy_context() if context is None else context
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=own)
        tasks = self._of.setdefault(own.get(OWNER), set())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    async def end(self, owner: str) -> None:
        """Stop all that works for a process, at once and wherever it is."""
        while True:
            # What a task began as it ended, such as to give its connection back, is let end.
            await self._loop.settle()
            tasks = list(self._of.get(owner, ()))
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Outside:
    """What every process speaks to, and how: one for the whole simulation."""

    def __init__(
        self,
        rail: Rail,
        feed: Feed,
        receivers: Receivers,
        turns: Turns,
        time: Time,
        ids: Ids,
        jitter: Callable[[], float],
        transcript: Transcript,
    ) -> None:
        self.rail = rail
        self.feed = feed
        self.receivers = receivers
        self.jitter = jitter
        self.turns = turns
        self.time = time
        self.ids = ids
        self.transcript = transcript


class Process:
    """One place at which a house runs, dies and is started again."""

    def __init__(self, name: str, settings: Settings, outside: Outside, tasks: Tasks) -> None:
        self.seat = Seat(name)
        self._settings = replace(settings, fx_sources=SERVICES)
        self._outside = outside
        self._tasks = tasks
        self._house: House | None = None
        self.counter: Counter
        """Where it takes requests."""
        self.pages: Pages
        """Where it shows hosted pages."""

    @property
    def name(self) -> str:
        return self.seat.name

    @property
    def house(self) -> House:
        if self._house is None:
            raise RuntimeError(f"process {self.name} does not run")
        return self._house

    @property
    def runs(self) -> bool:
        return self._house is not None

    def paused(self, step: int) -> bool:
        return self.seat.paused_until > step

    async def start(self) -> None:
        outside = self._outside
        self.seat = Seat(self.name)
        token = OWNER.set(self.name)
        try:
            house = House(self._settings, clock=outside.time, ids=outside.ids)
            await house.open()
        finally:
            OWNER.reset(token)
        # The ports, each in the place of what leads outside.
        database: Any = house.database
        size = self._settings.pool_size
        database._opened = GatedPool(database._opened, size, self.seat, outside.turns)
        rates: Any = house.rates
        rates._session = FeedPort(outside.feed, self.seat, outside.turns)
        port = RailPort(outside.rail, self.seat, outside.turns, outside.transcript)
        house.routing.serve(Environment.TEST, {port.name: port}, {"*": port.name})
        hooks: Any = HookPort(outside.receivers, self.seat, outside.turns, outside.transcript)
        courier = house.webhooks.courier
        courier.posts[Environment.TEST] = hooks
        courier.jitter = outside.jitter
        self._house = house
        self.counter = Counter(house)
        self.pages = house.pages()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something in this process."""
        context = copy_context()
        context.run(OWNER.set, self.name)
        return asyncio.get_running_loop().create_task(work, context=context)

    async def work(self) -> None:
        """One round of the worker. What a lost connection left undone is still due."""
        try:
            await self.house.worker.step()
        except UNAVAILABLE as problem:
            self._trouble(type(problem).__name__)
        except Refusal as refusal:
            # What is posted through the poster hears of a lost connection in the poster's words.
            if refusal.code is not Code.DATABASE_UNAVAILABLE:
                raise
            self._trouble(refusal.code)

    def _trouble(self, word: str) -> None:
        self._outside.transcript.operation(f"{self.name}'s worker: {word}")

    async def die(self) -> None:
        """End without a word: whatever it was doing stays as it is."""
        self.seat.alive = False
        self._outside.turns.forget(self.seat)
        await self._tasks.end(self.name)
        house, self._house = self.house, None
        await house.close()


class RailPort:
    """The rail as one process reaches it. What is sent and what comes back are two calls."""

    name = "rail"

    def __init__(self, rail: Rail, seat: Seat, turns: Turns, transcript: Transcript) -> None:
        self._rail = rail
        self._seat = seat
        self._turns = turns
        self._transcript = transcript

    async def submit(self, instruction: Instruction) -> Outcome:
        return await self._speak("submit", instruction)

    async def check(self, instruction: Instruction) -> Outcome:
        return await self._speak("check", instruction)

    async def _speak(self, verb: str, instruction: Instruction) -> Outcome:
        what = f"{verb} {short(instruction)}"
        manner = self._rail.called(verb, instruction)

        async def hear() -> Said:
            said = self._rail.hear(verb, instruction, manner)
            self._transcript.operation(f"{self._seat.name} {what}: {manner.value}, {_words(said)}")
            return said

        try:
            said = await self._turns.take(self._seat, "rail", what, hear)
        finally:
            self._rail.dealings[instruction.reference].under_way -= 1

        async def come() -> None:
            self._rail.told(self._seat, instruction, said)
            if said.steps:
                self._transcript.operation(f"{self._seat.name} {what}: hears {_words(said)} now")

        not_before = self._turns.step + said.steps if said.steps else 0
        await self._turns.take(self._seat, "answer", what, come, not_before=not_before)
        if isinstance(said.answer, Exception):
            raise said.answer
        return said.answer


def _words(said: Said) -> str:
    return type(said.answer).__name__
