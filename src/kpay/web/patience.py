"""How long a request is waited for. One timer serves all that wait: one for each would be dear.

A timer of its own would add some 15 µs to every request with a body (uvloop), for the sake of one
in a million. Here a request is a row in a table, and a sweep looks through the oldest each second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

_SWEEP_SECONDS = 1.0


class Patience:
    """Gives up whoever waits longer than `seconds`, at the next sweep, by raising a `refusal()`.

    Each has one of its own: an exception keeps everything that the frames it passed through hold,
    and with a request's body its connection.
    """

    def __init__(self, seconds: float, refusal: Callable[[], Exception]) -> None:
        self._seconds = seconds
        self._refusal = refusal
        # By when each began: as all wait equally long, the oldest come first.
        self._began: dict[asyncio.Task[Any], float] = {}
        self._given_up: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def wait(self, waited: Awaitable[T]) -> T:
        """What is waited for, or the refusal. Only a task can wait."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._began[task] = time.monotonic()
        if self._loop is None or self._loop.is_closed():
            self._arm(task.get_loop())
        try:
            return await waited
        except asyncio.CancelledError:
            # Given up by us; any other cancellation is somebody else's and goes on.
            if task not in self._given_up or task.uncancel() > 0:
                raise
            raise self._refusal() from None
        finally:
            del self._began[task]
            self._given_up.discard(task)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.call_later(_SWEEP_SECONDS, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        limit = time.monotonic() - self._seconds
        for task, began in list(self._began.items()):
            if began > limit:
                break
            if task not in self._given_up:
                self._given_up.add(task)
                task.cancel()
        self._loop = None
        if self._began:
            self._arm(loop)
