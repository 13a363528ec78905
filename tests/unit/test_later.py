"""What is made when somebody first comes to it: once, on a thread, and tried again if it failed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kpay.web.later import Later


class Made:
    """Counts what was loaded, made and served."""

    def __init__(self, *, fails: int = 0) -> None:
        self.fails = fails
        self.loaded_on: list[int] = []
        self.made_on: list[int] = []
        self.served: list[object] = []
        self.loading = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.let_go = threading.Event()
        self.let_go.set()

    def load(self) -> None:
        self.loaded_on.append(threading.get_ident())
        self._loop.call_soon_threadsafe(self.loading.set)
        assert self.let_go.wait(10)
        if self.fails:
            self.fails -= 1
            raise ImportError

    def make(self) -> Any:
        self.made_on.append(threading.get_ident())

        async def serve(scope: object, _receive: object, _send: object) -> None:
            self.served.append(scope)

        return serve


async def come(later: Later, scope: object) -> None:
    any_: Any = None
    given: Any = scope
    await later(given, any_, any_)


async def test_those_who_come_at_once_wait_for_one_loading_and_nobody_else_waits() -> None:
    made = Made()
    made.let_go.clear()
    later = Later(made.load, made.make)
    visitors = [asyncio.create_task(come(later, number)) for number in range(3)]
    # The loop goes on: whatever else there is to serve is served.
    await made.loading.wait()
    assert made.served == []
    made.let_go.set()
    await asyncio.gather(*visitors)
    await come(later, 3)

    assert sorted(made.served, key=str) == [0, 1, 2, 3]
    assert len(made.loaded_on) == len(made.made_on) == 1
    assert made.loaded_on[0] != threading.get_ident() == made.made_on[0]


async def test_whoever_goes_away_takes_nothing_along() -> None:
    made = Made()
    made.let_go.clear()
    later = Later(made.load, made.make)
    first, second = (asyncio.create_task(come(later, number)) for number in range(2))
    await made.loading.wait()
    first.cancel()
    made.let_go.set()
    await second

    assert (made.served, len(made.loaded_on)) == ([1], 1)


async def test_what_could_not_be_loaded_is_tried_again() -> None:
    made = Made(fails=1)
    later = Later(made.load, made.make)
    with pytest.raises(ImportError):
        await come(later, 0)
    await come(later, 1)

    assert (made.served, len(made.loaded_on), len(made.made_on)) == ([1], 2, 1)
