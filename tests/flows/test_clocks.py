"""A machine whose own clock is ten minutes off: timers and times are the database's all the same.

Each house here reads its time as it does in service, from the database; what is put in its way is
the machine's clock, where the house's own clock would read it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.database import clock as clocks
from kpay.instructions.model import CLAIM
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant

TEN_MINUTES = 600
# A house's clock is off by half of a round trip at most; this is far beyond that, and far from ten
# minutes.
NEAR = timedelta(seconds=30)


class Machine:
    """The machine's clock, so many seconds off. What it measures is right."""

    def __init__(self, off: int) -> None:
        self._off = off
        self.monotonic = time.monotonic

    def time(self) -> float:
        return time.time() + self._off


@pytest.fixture(params=[-TEN_MINUTES, TEN_MINUTES], ids=["ten minutes slow", "ten minutes fast"])
async def off(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """A house on a machine whose clock is off."""
    with monkeypatch.context() as machine:
        machine.setattr(clocks, "time", Machine(request.param))
        house = House(settings)
        assert abs(house.clock.now() - datetime.now(UTC)) > timedelta(minutes=9)
        await house.open()
    yield house
    await house.close()


@pytest.fixture
async def right(settings: Settings) -> AsyncIterator[House]:
    """A house on a machine whose clock is right."""
    house = House(settings)
    await house.open()
    yield house
    await house.close()


async def created_at(answer: Answer, house: House) -> timedelta:
    """How long ago it was made, by the database."""
    now: datetime = await house.database.fetchval("select clock_timestamp()")
    return now - datetime.fromisoformat(answer["createdAt"])


async def test_what_it_writes_has_the_database_s_time(off: House) -> None:
    merchant = await Merchant.join(off)
    await merchant.collect(100_000)

    payout = await merchant.withdraw()
    assert await off.worker.run_until_idle() == 1

    assert abs(await created_at(payout, off)) < NEAR
    completed = datetime.fromisoformat((await merchant.payout(payout))["completedAt"])
    assert abs(completed - datetime.fromisoformat(payout["createdAt"])) < NEAR


async def test_it_takes_up_what_another_machine_made_due_and_not_what_that_one_has_claimed(
    off: House, right: House
) -> None:
    """A clock ahead would be early with a payout, and one behind would leave it lying."""
    assert timedelta(seconds=TEN_MINUTES) > CLAIM
    merchant = await Merchant.join(right)
    await merchant.collect(100_000)
    for _ in range(2):
        await merchant.withdraw()

    (claimed,) = await right.rails.claim(OperationType.PAYOUT, 1)
    (taken,) = await off.rails.claim(OperationType.PAYOUT, 10)

    assert taken.id != claimed.id
    assert await right.rails.claim(OperationType.PAYOUT, 10) == []


async def test_a_token_that_it_gives_is_taken_by_another_machine_and_the_other_way_round(
    off: House, right: House
) -> None:
    merchant = await Merchant.join(right)
    api = off.asgi()
    elsewhere = replace(
        merchant,
        house=off,
        api=api,
        keys=Browser(api, dict(merchant.keys.headers)),
        token=Browser(api, dict(merchant.token.headers)),
    )
    assert (await elsewhere.token.send("GET", "/api/wallets/overview")).status == 200

    await elsewhere.renew_token()
    merchant.token.headers.update(elsewhere.token.headers)
    assert (await merchant.token.send("GET", "/api/wallets/overview")).status == 200
