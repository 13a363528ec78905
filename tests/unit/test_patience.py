"""Who waits too long is given up; everybody else's cancellations stay what they are."""

from __future__ import annotations

import asyncio

import pytest

from kpay.core.refusals import Code, Refusal
from kpay.web.patience import Patience

SLOW = Refusal(Code.BODY_TOO_SLOW, "Too slow.")


async def never() -> str:
    await asyncio.Event().wait()
    return "never"


async def at_once() -> str:
    return "here"


async def test_what_comes_is_given_back() -> None:
    assert await Patience(10, SLOW).wait(at_once()) == "here"


async def test_what_does_not_come_is_given_up_and_the_task_goes_on() -> None:
    patience = Patience(0, SLOW)

    with pytest.raises(Refusal) as caught:
        await patience.wait(never())
    assert caught.value is SLOW
    # The task is as if it had never been cancelled: it can wait for other things.
    async with asyncio.timeout(5):
        assert await patience.wait(at_once()) == "here"
    with pytest.raises(Refusal):
        await patience.wait(never())


async def test_many_that_wait_are_all_given_up() -> None:
    patience = Patience(0, SLOW)
    ended = await asyncio.gather(
        *(patience.wait(never()) for _ in range(100)), return_exceptions=True
    )

    assert ended == [SLOW] * 100
    assert not patience._began


async def test_a_cancellation_by_somebody_else_is_no_refusal() -> None:
    patience = Patience(1_000, SLOW)
    task = asyncio.create_task(patience.wait(never()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert not patience._began
