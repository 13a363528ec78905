"""Refunds when a rail misbehaves: no answer is unknown, and the hold stays (promise 5)."""

from __future__ import annotations

import asyncio

import pytest

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Accepted, NotFound, Outcome, Paid, Refused, Unknown
from kpay.core.clock import ManualClock
from kpay.instructions.model import outcome_name
from tests.books import journal
from tests.client import Answer, Merchant
from tests.flows.test_payout_trouble import Stuck
from tests.rails import ScriptedRail

# 95,000 and the net of a payment of 10,000, of which all is held, gone, or there again.
HELD = {"CMR": (94_500, 10_000)}
GIVEN_BACK = {"CMR": (94_500, 0)}
KEPT = {"CMR": (104_500, 0)}


@pytest.fixture
async def paid(funded: Merchant) -> Answer:
    return await funded.collect(10_000)


async def outcomes(merchant: Merchant, refund: Answer) -> list[tuple[str, str | None]]:
    rows = (await merchant.refunded(refund))["attempts"]
    return [(row["action"], row["outcome"]) for row in rows]


async def test_without_an_answer_it_stays_open_with_its_hold_until_there_is_one(
    funded: Merchant, house: House, clock: ManualClock, paid: Answer
) -> None:
    rail = ScriptedRail(ConnectionResetError("by peer"), Unknown("HTTP 500"), Paid()).serve(house)
    refund = await funded.refund(paid)
    for _ in range(2):
        await house.worker.run_until_idle()
        assert (await funded.refunded(refund))["status"] == "PROCESSING"
        assert (await funded.refund(paid))["code"] == "refund_exists"
        assert await funded.wallets() == HELD
        clock.advance(hours=1)

    await house.worker.run_until_idle()

    assert (await funded.refunded(refund))["status"] == "COMPLETED"
    assert rail.verbs == ["submit", "check", "check"]
    assert {told.deposit_reference for _, told in rail.asked} == {
        rail.asked[0][1].deposit_reference
    }
    assert await funded.wallets() == GIVEN_BACK


async def test_what_the_rail_never_saw_is_handed_over_again_under_the_same_reference(
    funded: Merchant, house: House, clock: ManualClock, paid: Answer
) -> None:
    rail = ScriptedRail(Unknown("lost"), NotFound(), Accepted(), Paid()).serve(house)
    refund = await funded.refund(paid)
    for _ in range(4):
        await house.worker.run_until_idle()
        clock.advance(minutes=1)

    assert rail.verbs == ["submit", "check", "submit", "check"]
    assert {str(told.reference) for _, told in rail.asked} == {refund["providerReference"]}
    assert {str(told.deposit_reference) for _, told in rail.asked} == {paid["providerReference"]}
    assert await funded.wallets() == GIVEN_BACK


async def test_one_whose_worker_died_before_the_call_is_asked_about_and_never_handed_over_blindly(
    funded: Merchant, house: House, clock: ManualClock, paid: Answer
) -> None:
    rail = ScriptedRail(NotFound(), Paid()).serve(house)
    refund = await funded.refund(paid)
    await house.rails.claim(OperationType.REFUND, 10)
    assert (await funded.refunded(refund))["status"] == "PROCESSING"
    for _ in range(3):
        clock.advance(minutes=1)
        await house.worker.run_until_idle()

    assert await outcomes(funded, refund) == [
        ("submit", None),
        ("check", "not_found"),
        ("submit", "paid"),
    ]
    assert rail.verbs == ["check", "submit"]
    assert await funded.wallets() == GIVEN_BACK


@pytest.mark.parametrize("first", [Paid(), Refused("RECIPIENT_NOT_FOUND")], ids=["paid", "refused"])
async def test_a_contradiction_after_the_end_changes_nothing_and_is_kept_as_evidence(
    funded: Merchant, house: House, clock: ManualClock, first: Outcome
) -> None:
    for late in (Paid(), Refused("TOO_LATE"), Unknown("?"), NotFound(), Accepted()):
        payment = await funded.collect(1_000)
        call = Stuck(late)
        ScriptedRail(call.answer, first).serve(house)
        refund = await funded.refund(payment)
        stuck_worker = asyncio.create_task(house.worker.step())
        await call.begun.wait()
        clock.advance(minutes=1)
        await house.worker.run_until_idle()
        ended, books = await funded.refunded(refund), await journal(house, refund["id"])
        wallets = await funded.wallets()

        call.released.set()
        await stuck_worker

        found = await funded.refunded(refund)
        for name in ("status", "failureReason", "completedAt", "failedAt"):
            assert found[name] == ended[name]
        assert await journal(house, refund["id"]) == books
        assert await funded.wallets() == wallets
        assert found["attempts"][0]["outcome"] == outcome_name(late)
        ScriptedRail().serve(house)


async def test_a_late_contradiction_does_not_free_the_payment_for_another_refund(
    funded: Merchant, house: House, clock: ManualClock, paid: Answer
) -> None:
    call = Stuck(Refused("TOO_LATE"))
    ScriptedRail(call.answer, Paid()).serve(house)
    refund = await funded.refund(paid)
    stuck_worker = asyncio.create_task(house.worker.step())
    await call.begun.wait()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    call.released.set()
    await stuck_worker

    again = await funded.refund(paid)

    assert (again["code"], again["existingId"]) == ("refund_exists", refund["id"])
    assert await funded.wallets() == GIVEN_BACK


async def test_a_refused_one_keeps_the_money_where_it_was(
    funded: Merchant, house: House, clock: ManualClock, paid: Answer
) -> None:
    ScriptedRail(Unknown("lost"), Refused("RECIPIENT_NOT_FOUND")).serve(house)
    refund = await funded.refund(paid)
    await house.worker.run_until_idle()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()

    assert (await funded.refunded(refund))["failureReason"] == "RECIPIENT_NOT_FOUND"
    assert await funded.wallets() == KEPT


async def test_a_cancellation_while_the_worker_hands_it_over_comes_too_late(
    funded: Merchant, house: House, paid: Answer
) -> None:
    call = Stuck(Paid())
    ScriptedRail(call.answer).serve(house)
    refund = await funded.refund(paid)
    working = asyncio.create_task(house.worker.step())
    await call.begun.wait()

    answer = await funded.keys.send("POST", f"/api/v1/payments/refunds/{refund['id']}/cancel")

    assert (answer.status, answer["code"]) == (409, "not_cancellable")
    assert await funded.wallets() == HELD
    call.released.set()
    await working
    assert (await funded.refunded(refund))["status"] == "COMPLETED"
    assert await funded.wallets() == GIVEN_BACK
