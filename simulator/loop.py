"""An event loop on which nothing depends on how fast the machine is.

Its time moves only when it is told to, so no timer fires by itself; what would run in another
thread runs at once; and it can tell when nothing is left to run. With these three, and one call to
the outside at a time (`turns.py`), the same seed gives the same run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MICROSECONDS = 1_000_000

# Whose work the running code is: the name of a process of the simulation, or None for its driver.
OWNER: ContextVar[str | None] = ContextVar("owner", default=None)


class _Timer:
    """A callback that waits for its time, in microseconds since the loop began."""

    def __init__(self, when: int, handle: asyncio.TimerHandle, run: Callable[[], object]) -> None:
        self.when = when
        self.handle = handle
        self.run = run
        self.owner: str | None = None


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of a simulation. `microseconds` is its time: it is moved by `advance` alone."""

    def __init__(self) -> None:
        self.microseconds = 0
        self._timers: list[_Timer] = []
        self._called = 0
        super().__init__()

    def time(self) -> float:
        return self.microseconds / MICROSECONDS

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._called += 1
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        own = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, own)
        timer = _Timer(
            round(when * MICROSECONDS),
            handle,
            lambda: self.call_soon(callback, *args, context=own),
        )
        timer.owner = own.get(OWNER)
        self._timers.append(timer)
        return handle

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run it here and now: a thread's own pace would decide what comes next."""
        done: asyncio.Future[T] = self.create_future()
        done.set_result(func(*args))
        return done

    async def settle(self) -> None:
        """Let everything run that can run without an answer from outside."""
        while True:
            before = self._called
            await asyncio.sleep(0)
            # Our own turn was the only thing that was asked for meanwhile.
            if self._called == before + 1:
                return

    def advance(self, microseconds: int, *, asleep: Container[str | None] = ()) -> None:
        """Let time pass. Timers of those who are asleep wait until they are awake."""
        self.microseconds += microseconds
        due = [timer for timer in self._pending(asleep) if timer.when <= self.microseconds]
        for timer in due:
            self._timers.remove(timer)
            timer.run()

    def next_timer(self, *, asleep: Container[str | None] = ()) -> int | None:
        """How many microseconds there are until the next timer of somebody who is awake."""
        pending = self._pending(asleep)
        return max(0, pending[0].when - self.microseconds) if pending else None

    def _pending(self, asleep: Container[str | None]) -> list[_Timer]:
        self._timers = [timer for timer in self._timers if not timer.handle.cancelled()]
        return sorted(
            (timer for timer in self._timers if timer.owner not in asleep),
            key=lambda timer: timer.when,
        )
