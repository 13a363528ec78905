"""Whose turn it is: every call to the outside waits here, and one goes on at a time.

A process speaks to the outside at its ports: the database, the rails, the sources of rates. Between
two such calls it only computes. So when all that can run has run, everybody waits for a turn, and
the seed picks who is next. That is every order in which the processes could have met; and each turn
is a point at which a process can die, or lose its connection, just before the call or just after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TypeVar

import asyncpg

from simulator.loop import MICROSECONDS, VirtualLoop
from simulator.transcript import Transcript

T = TypeVar("T")

# A caller that waits no longer than this before it tries again is waited for within a step.
_BRIEF = MICROSECONDS
# What is on the wire already arrives, whatever becomes of the process that sent it.
_ON_THE_WIRE = frozenset({"rail", "hook"})


class ProcessDied(BaseException):
    """The process is no more: no handler of ordinary errors may catch this."""


class Fate(Enum):
    """What becomes of one call."""

    GOES_ON = "goes on"
    LOST_BEFORE = "the connection is lost before it"
    LOST_AFTER = "the connection is lost after it"
    DIES_BEFORE = "the process dies before it"
    DIES_AFTER = "the process dies after it"
    PAUSES_BEFORE = "the process is paused before it"


@dataclass
class Armed:
    """A fault that strikes the so-manyth call of a process from now on."""

    fate: Fate
    calls: int = 1
    steps: int = 0
    """For a pause: how many steps it lasts."""
    at: str = ""
    """Where only calls of one name count: that name."""


@dataclass(eq=False)
class Seat:
    """One process, as far as turns go."""

    name: str
    alive: bool = True
    paused_until: int = 0
    armed: Armed | None = None


@dataclass(eq=False)
class _Turn:
    seat: Seat
    port: str
    name: str
    not_before: int
    holder: object
    granted: asyncio.Future[Fate]
    over: asyncio.Future[None]


class Turns:
    """Hands out the turns. `step` is the number of the step that is under way."""

    def __init__(self, loop: VirtualLoop, random: Random, transcript: Transcript) -> None:
        self._loop = loop
        self._random = random
        self._transcript = transcript
        self._waiting: list[_Turn] = []
        self._alone: tuple[Seat, object] | None = None
        self.step = 0

    async def take(
        self,
        seat: Seat,
        port: str,
        name: str,
        act: Callable[[], Awaitable[T]],
        *,
        not_before: int = 0,
        holder: object = None,
    ) -> T:
        """Wait for the turn, then act; what becomes of it is the turn's fate.

        `holder` is a transaction that is open. From its first statement on nobody else has a turn
        until `release`: whoever wanted what it has locked would wait for good.
        """
        if not seat.alive:
            raise ProcessDied
        turn = _Turn(
            seat,
            port,
            name,
            not_before,
            holder,
            self._loop.create_future(),
            self._loop.create_future(),
        )
        self._waiting.append(turn)
        try:
            fate = await turn.granted
        except asyncio.CancelledError:
            self._withdraw(turn)
            raise
        try:
            return await _meet(fate, act)
        finally:
            turn.over.set_result(None)

    async def until_quiet(self, asleep: Callable[[], set[str | None]]) -> Seat | None:
        """Give turns until nobody can go on, or until one dies: then who it was."""
        while True:
            await self._loop.settle()
            ready = [turn for turn in self._waiting if self._may_go(turn)]
            if ready:
                turn = ready[self._random.randrange(len(ready))]
                if await self._give(turn):
                    return turn.seat
                continue
            pause = self._loop.next_timer(asleep=asleep())
            if pause is None or pause > _BRIEF:
                return None
            self._loop.advance(pause, asleep=asleep())

    def release(self, holder: object) -> None:
        """A transaction has ended."""
        if self._alone is not None and self._alone[1] is holder:
            self._alone = None

    def forget(self, seat: Seat) -> None:
        """Nothing that a dead process waited for will be called."""
        for turn in [turn for turn in self._waiting if turn.seat is seat]:
            self._withdraw(turn)

    def _withdraw(self, turn: _Turn) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        if not turn.granted.done():
            turn.granted.cancel()

    def _may_go(self, turn: _Turn) -> bool:
        if self._alone is not None and self._alone[1] is not turn.holder:
            return False
        paused = turn.port not in _ON_THE_WIRE and turn.seat.paused_until > self.step
        return not paused and turn.not_before <= self.step

    async def _give(self, turn: _Turn) -> bool:
        """One turn. Whether its process died of it."""
        fate = self._fate(turn)
        if fate is Fate.PAUSES_BEFORE:
            return False
        self._waiting.remove(turn)
        if turn.holder is not None:
            self._alone = turn.seat, turn.holder
        self._transcript.turn(f"{turn.seat.name} {turn.port} {turn.name}")
        dies = fate in (Fate.DIES_BEFORE, Fate.DIES_AFTER)
        if dies:
            turn.seat.alive = False
        turn.granted.set_result(fate)
        await turn.over
        return dies

    def _fate(self, turn: _Turn) -> Fate:
        armed = turn.seat.armed
        if armed is None or armed.at not in ("", turn.name):
            return Fate.GOES_ON
        if turn.port != "database" and armed.fate in (Fate.LOST_BEFORE, Fate.LOST_AFTER):
            return Fate.GOES_ON
        # A process that stands still with something locked is tried in tests/flows.
        locks = self._alone is not None
        if armed.fate is Fate.PAUSES_BEFORE and locks:
            return Fate.GOES_ON
        armed.calls -= 1
        if armed.calls > 0:
            return Fate.GOES_ON
        turn.seat.armed = None
        self._transcript.operation(
            f"{turn.seat.name} {turn.port} {turn.name}: {armed.fate.value}"
            + (f", for {armed.steps} steps" if armed.steps else "")
        )
        if armed.fate is Fate.PAUSES_BEFORE:
            turn.seat.paused_until = self.step + armed.steps
            return Fate.GOES_ON if turn.port in _ON_THE_WIRE else Fate.PAUSES_BEFORE
        return armed.fate


async def _meet(fate: Fate, act: Callable[[], Awaitable[T]]) -> T:
    if fate is Fate.DIES_BEFORE:
        raise ProcessDied
    if fate is Fate.LOST_BEFORE:
        raise _lost()
    result = await act()
    if fate is Fate.DIES_AFTER:
        raise ProcessDied
    if fate is Fate.LOST_AFTER:
        raise _lost()
    return result


def _lost() -> Exception:
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
