"""A process dies, or stands still, anywhere on the way of a request with an Idempotency-Key.

Its caller sends the request again, to another process, and never is anything done twice: at each
point, before and after each statement and each commit. None of the requests has an externalId that
would hold it to once but for payments, which always have one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.database import pool
from kpay.idempotency.model import HOLD
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.deaths import Fate
from tests.flows import test_hosted_requests as hosted
from tests.flows.test_idempotency import cancel, is_replayed, pay, transfer, withdraw
from tests.flows.test_rate_limits import at
from tests.houses import opened
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

Send: TypeAlias = Callable[[Merchant, str], Coroutine[Any, Any, Answer]]

# In service it is ten seconds; what is tested is what comes of it.
SOON = "100ms"


@dataclass
class Two:
    """One merchant at two processes on one database: the first is doomed."""

    doomed: Merchant
    fate: Fate
    other: Merchant
    clock: ManualClock

    def outlast(self) -> None:
        """Time passes until the claim of whoever carries a request out has run out."""
        self.clock.advance(seconds=int(HOLD.total_seconds()))


@pytest.fixture
async def two(
    settings: Settings,
    clock: ManualClock,
    house: House,
    merchant: Merchant,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Two]:
    monkeypatch.setitem(pool._SESSION, "lock_timeout", SOON)
    await merchant.collect(500_000)
    async with opened(settings, clock) as survivor, opened(settings, clock) as doomed:
        # References are drawn a thousand at a time, and tokens looked up once.
        here, there = at(merchant, doomed), at(merchant, survivor)
        for seat in (here, there):
            await withdraw(seat, None)
            await transfer(seat, None)
        yield Two(here, Fate(doomed), there, clock)


async def paid(merchant: Merchant, key: str) -> Answer:
    return await pay(merchant, key, externalId=key)


async def with_external_id(merchant: Merchant, key: str) -> Answer:
    return await withdraw(merchant, key, externalId=key)


OPERATIONS: dict[str, tuple[Send, str]] = {
    "withdrawal": (withdraw, "payouts"),
    "withdrawal with an externalId": (with_external_id, "payouts"),
    "transfer": (transfer, "transfers"),
    "payment": (paid, "payments"),
    "hosted withdrawal": (hosted.withdraw, "payouts"),
    "hosted payment": (hosted.init, "payments"),
}
# A claim, the fence, what is written, its commit, and the answer: two points each.
LEAST_POINTS = 10


async def how_many(house: House, table: str) -> int:
    found: int = await house.database.fetchval(f"select count(*) from {table}")  # noqa: S608
    return found


@pytest.mark.parametrize("name", OPERATIONS)
async def test_wherever_its_process_dies_the_request_is_done_once_and_answered(
    two: Two, database_url: str, name: str
) -> None:
    send, table = OPERATIONS[name]
    house = two.other.house
    before = await how_many(house, table)
    for point in count():
        key = f"key {point}"
        two.fate.dies_at(point)
        lost = await send(two.doomed, key)
        if not two.fate.met:
            assert lost.status == 201
            assert point >= LEAST_POINTS
            break
        two.fate.lives()

        early = await send(two.other, key)
        two.outlast()
        answer = await send(two.other, key)
        again = await send(two.doomed, key)

        if early.status == 409:
            assert early["code"] == "idempotency_in_progress", point
        else:
            assert (early.status, early.raw) == (201, answer.raw), point
        assert answer.status == 201, (point, answer.raw)
        assert (again.status, again.raw, is_replayed(again)) == (201, answer.raw, True), point
        assert await how_many(house, table) == before + point + 1, point
    await house.worker.run_until_idle()
    await assert_sound(database_url)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_wherever_its_process_stands_still_and_goes_on_later_the_request_is_done_once(
    two: Two, database_url: str, name: str
) -> None:
    """It wakes when others have long answered: what it did not commit, it cannot commit now."""
    send, table = OPERATIONS[name]
    house = two.other.house
    before = await how_many(house, table)
    overtaken = 0
    for point in count():
        key = f"key {point}"
        two.fate.stops_at(point)
        sending = asyncio.create_task(send(two.doomed, key))
        stopping = asyncio.create_task(two.fate.stopped.wait())
        await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not two.fate.met:
            assert (await sending).status == 201
            assert point >= LEAST_POINTS
            break
        two.outlast()
        answer = await send(two.other, key)
        two.fate.goes_on()
        late = await sending
        again = await send(two.other, key)

        assert again.status == 201, (point, again.raw)
        if answer.status == 503:
            # It stood still with the key's row locked: nobody could take it over, so it went on.
            assert answer["code"] == "database_unavailable", point
            assert late.status == 201, point
        else:
            assert answer.raw == again.raw, point
        if late.status == 409:
            assert late["code"] == "idempotency_in_progress", point
            overtaken += 1
        else:
            assert (late.status, late["id"]) == (201, again["id"]), point
        assert await how_many(house, table) == before + point + 1, point
    assert overtaken > 0
    await house.worker.run_until_idle()
    await assert_sound(database_url)


async def test_wherever_its_process_dies_a_withdrawal_is_cancelled_once(
    two: Two, database_url: str
) -> None:
    available, _ = (await two.other.wallets())["CMR"]
    for point in count():
        payout = await withdraw(two.other, None)
        key = f"key {point}"
        two.fate.dies_at(point)
        lost = await cancel(two.doomed, payout, key)
        if not two.fate.met:
            assert lost.status == 200
            break
        two.fate.lives()
        two.outlast()
        answer = await cancel(two.other, payout, key)
        again = await cancel(two.doomed, payout, key)

        assert (answer.status, answer["status"]) == (200, "CANCELLED"), point
        assert (again.raw, is_replayed(again)) == (answer.raw, True), point
    assert point >= LEAST_POINTS
    assert (await two.other.wallets())["CMR"] == (available, 2_000)
    await assert_sound(database_url)


async def test_a_refusal_is_not_told_by_an_attempt_that_was_overtaken_before_it_was_kept(
    two: Two, database_url: str
) -> None:
    """It found too little money and stood still; meanwhile there was enough for the next one."""
    amount = 475_000
    two.fate.lives()
    assert (await withdraw(two.doomed, "refused", amount=amount)).status == 422
    # The last statement keeps the refusal, and the last point but one is before it.
    two.fate.stops_at(two.fate.points - 2)
    sending = asyncio.create_task(withdraw(two.doomed, "key", amount=amount))
    await two.fate.stopped.wait()
    two.outlast()
    await two.other.collect(10_000)
    answer = await withdraw(two.other, "key", amount=amount)
    two.fate.goes_on()
    late = await sending

    assert answer.status == 201
    assert (late.status, late["code"]) == (409, "idempotency_in_progress")
    assert (await withdraw(two.doomed, "key", amount=amount)).raw == answer.raw
    await two.other.house.worker.run_until_idle()
    await assert_sound(database_url)


async def test_nobody_is_refused_what_another_attempt_is_about_to_commit(two: Two) -> None:
    """The operator closes a provider while a payment through it stands still before its commit."""
    two.fate.lives()
    assert (await paid(two.doomed, "counted")).status == 201
    # The last statement keeps the answer; the two points before are around the commit.
    two.fate.stops_at(two.fate.points - 4)
    sending = asyncio.create_task(paid(two.doomed, "key"))
    await two.fate.stopped.wait()
    two.outlast()
    application_id = two.other.new.application.id
    await two.other.house.office.configure(application_id, allowed_providers=["ORANGE_CMR"])
    answer = await paid(two.other, "key")
    two.fate.goes_on()
    first = await sending

    assert (answer.status, answer["code"]) == (503, "database_unavailable")
    assert first.status == 201
    assert (await paid(two.other, "key")).raw == first.raw
    refused = await paid(two.other, "closed")
    assert (refused.status, refused["code"]) == (400, "provider_not_allowed")


async def test_a_refusal_that_could_not_be_kept_is_not_told(two: Two) -> None:
    """The process lives on, but cannot reach the database when it has its refusal."""
    payout = await withdraw(two.other, None)
    await two.other.house.worker.run_until_idle()
    two.fate.lives()
    assert (await cancel(two.doomed, payout, "counted")).status == 409
    two.fate.is_cut_off_at(two.fate.points - 2)
    lost = await cancel(two.doomed, payout, "key")
    assert (lost.status, lost["code"]) == (503, "database_unavailable")

    two.fate.lives()
    two.outlast()
    final = await cancel(two.doomed, payout, "key")
    assert (final["code"], is_replayed(final)) == ("not_cancellable", False)


async def test_a_success_that_could_not_be_kept_is_told_and_found_again(two: Two) -> None:
    two.fate.lives()
    assert (await withdraw(two.doomed, "counted")).status == 201
    two.fate.is_cut_off_at(two.fate.points - 2)
    first = await withdraw(two.doomed, "key")
    two.fate.lives()
    two.outlast()
    again = await withdraw(two.doomed, "key")

    assert first.status == 201
    assert (again.status, again["id"], is_replayed(again)) == (201, first["id"], True)


async def test_a_rail_is_told_once_of_what_was_recalled(two: Two) -> None:
    rail = ScriptedRail().serve(two.other.house)
    await two.other.house.worker.run_until_idle()
    rail.asked.clear()
    for point in count():
        two.fate.dies_at(point)
        await withdraw(two.doomed, f"key {point}")
        if not two.fate.met:
            break
        two.fate.lives()
        await two.other.house.worker.run_until_idle()
        two.outlast()
        assert (await withdraw(two.other, f"key {point}")).status == 201
        await two.other.house.worker.run_until_idle()
    await two.other.house.worker.run_until_idle()

    assert rail.verbs == ["submit"] * (point + 1)
    assert len({instruction.reference for _, instruction in rail.asked}) == point + 1
