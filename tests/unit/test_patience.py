"""Who waits too long is given up; everybody else's cancellations stay what they are."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from kpay.core.refusals import Code, Refusal
from kpay.web.patience import Patience


def slow() -> Refusal:
    return Refusal(Code.BODY_TOO_SLOW, "Too slow.")


async def never() -> str:
    await asyncio.Event().wait()
    return "never"


async def at_once() -> str:
    return "here"


async def test_what_comes_is_given_back() -> None:
    assert await Patience(10, slow).wait(at_once()) == "here"


async def test_what_does_not_come_is_given_up_and_the_task_goes_on() -> None:
    patience = Patience(0, slow)

    with pytest.raises(Refusal) as caught:
        await patience.wait(never())
    assert caught.value.code is Code.BODY_TOO_SLOW
    # The task is as if it had never been cancelled: it can wait for other things.
    async with asyncio.timeout(5):
        assert await patience.wait(at_once()) == "here"
    with pytest.raises(Refusal):
        await patience.wait(never())


async def test_many_that_wait_are_all_given_up() -> None:
    patience = Patience(0, slow)
    ended = await asyncio.gather(
        *(patience.wait(never()) for _ in range(100)), return_exceptions=True
    )

    assert [str(each) for each in ended] == [str(slow())] * 100
    assert not patience._began


class Body:
    """What a request holds as long as it is there."""

    async def arrive(self) -> str:
        return await never()


async def test_what_was_given_up_is_let_go_of_at_once() -> None:
    """A connection is closed when nobody holds its body any more."""
    patience = Patience(0, slow)
    bodies = [Body(), Body()]
    left = [weakref.ref(body) for body in bodies]
    gc.disable()
    try:
        while bodies:
            with suppress(Refusal):
                await patience.wait(bodies.pop().arrive())
            # The turn of the loop that gave it up is over.
            await asyncio.sleep(0)
        assert [body() for body in left] == [None, None]
    finally:
        gc.enable()


async def test_a_cancellation_by_somebody_else_is_no_refusal() -> None:
    patience = Patience(1_000, slow)
    task = asyncio.create_task(patience.wait(never()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert not patience._began
