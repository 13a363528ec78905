"""Payouts with a deadline, and the merchant's choice for an operator that is delayed.

Promise 5: what a rail may have is not failed before the rail says so, however late it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import CancelAnswer, Cancelling, Condition, Declined
from kpay.connectors.model import (
    Accepted,
    Instruction,
    NotFound,
    Paid,
    Refused,
    Unknown,
)
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.instructions.model import Overdue, Status
from kpay.settings import Settings
from tests.books import journal, operation_of
from tests.client import Answer, Merchant
from tests.hosted import Visitor, to_confirm, withdraw
from tests.hosted import words as words_of
from tests.houses import opened
from tests.rails import Said, ScriptedRail
from tests.soundness import assert_sound

HELD = {"CMR": (85_000, 10_000)}
PAID = {"CMR": (85_000, 0)}
GIVEN_BACK = {"CMR": (95_000, 0)}
BY_THE_RAIL = Refused("MANUALLY_CANCELLED", cancelled=True)


class QueueingRail(ScriptedRail):
    """One that can be asked to cancel: it says what it was told to, then the last of that."""

    def __init__(self, *script: Said, cancels: Sequence[CancelAnswer]) -> None:
        super().__init__(*script, otherwise=Accepted())
        self.answers = cancels
        self.cancelled: list[Instruction] = []

    async def cancel(self, instruction: Instruction) -> CancelAnswer:
        self.cancelled.append(instruction)
        return self.answers[min(len(self.cancelled), len(self.answers)) - 1]


async def waits(merchant: Merchant, minutes: int = 30, **fields: object) -> Answer:
    """A payout that may wait for so long."""
    made = await merchant.withdraw(amount=10_000, queueMinutes=minutes, **fields)
    assert made.status == 201, made.raw
    return made


async def stands(merchant: Merchant, made: Answer) -> tuple[Any, Any]:
    payout = await merchant.payout(made)
    return payout["status"], payout["failureReason"]


def tell(house: House, status: str) -> None:
    """The rail tells how MTN in Cameroon stands."""
    condition = Condition("MTN_MOMO_CMR", OperationType.PAYOUT, "XAF", status)
    house.routing.learn(Environment.TEST, ScriptedRail.name, [condition])


async def cancel(merchant: Merchant, made: Answer) -> Answer:
    return await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{made['id']}/cancel")


# The choice.


async def test_while_its_operator_is_delayed_a_payout_is_taken_unless_it_is_to_be_refused(
    funded: Merchant, house: House
) -> None:
    ScriptedRail(otherwise=Accepted()).serve(house)
    tell(house, "DELAYED")

    refused = await funded.withdraw(amount=10_000, ifDelayed="REFUSE", externalId="W-1")
    assert (refused.status, refused["code"]) == (400, "provider_closed")
    assert refused["message"] == (
        "MTN_MOMO_CMR is delayed in test, and ifDelayed is REFUSE: with QUEUE it would wait there, "
        "and be paid when the operator is back."
    )
    assert await funded.wallets() == GIVEN_BACK

    # Nothing was made of it: its externalId is free.
    assert (await funded.withdraw(amount=10_000, externalId="W-1")).status == 201
    assert (await funded.withdraw(amount=10_000, ifDelayed="QUEUE")).status == 201
    tell(house, "OPERATIONAL")
    assert (await funded.withdraw(amount=10_000, ifDelayed="REFUSE")).status == 201


async def test_what_is_closed_is_refused_whatever_was_chosen(
    funded: Merchant, house: House
) -> None:
    ScriptedRail().serve(house)
    tell(house, "CLOSED")

    for choice in ("QUEUE", "REFUSE"):
        refused = await funded.withdraw(ifDelayed=choice, queueMinutes=5)
        assert (refused.status, refused["code"]) == (400, "provider_closed")
        assert "is closed" in refused["message"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"queueMinutes": 0}, "queueMinutes"),
        ({"queueMinutes": 10_081}, "queueMinutes"),
        ({"queueMinutes": 1.5}, "queueMinutes"),
        ({"queueMinutes": "5"}, "queueMinutes"),
        ({"ifDelayed": "queue"}, "ifDelayed"),
        ({"ifDelayed": ""}, "ifDelayed"),
    ],
)
async def test_what_is_no_such_choice_is_refused(
    funded: Merchant, fields: dict[str, object], says: str
) -> None:
    refused = await funded.withdraw(**fields)

    assert (refused.status, refused["code"]) == (400, "invalid_body")
    assert says in refused["message"]
    assert await funded.wallets() == GIVEN_BACK


async def test_the_choice_and_the_deadline_are_shown_with_the_payout_and_in_its_file(
    funded: Merchant, house: House
) -> None:
    made = await waits(funded, 90, ifDelayed="REFUSE")
    usual = await funded.withdraw()

    found = [await funded.payout(one) for one in (made, usual)]
    shown = [[one[name] for name in ("ifDelayed", "queueMinutes", "queueUntil")] for one in found]
    assert shown == [["REFUSE", 90, "2026-06-23T11:30:00.000Z"], ["QUEUE", None, None]]
    file = await funded.keys.send("GET", "/api/v1/payments/withdrawals/export")
    rows = {row["id"]: row for row in file.csv}
    assert rows[made["id"]]["queueUntil"] == "2026-06-23T11:30:00.000Z"
    assert rows[usual["id"]]["queueUntil"] == ""


# What no rail was told of.


async def test_what_no_rail_was_told_of_by_its_deadline_fails_and_is_given_back(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    made = await waits(funded, externalId="W-1")
    clock.advance(minutes=30)

    await house.worker.run_until_idle()

    assert await stands(funded, made) == ("FAILED", "DEADLINE_PASSED")
    assert rail.verbs == []
    assert await funded.wallets() == GIVEN_BACK
    assert "payout_released" in await journal(house, made["id"])
    events = await funded.keys.send("GET", "/api/v1/payments/events")
    assert (events["data"][0]["event"], events["data"][0]["paymentId"]) == (
        "payout.failed",
        made["id"],
    )
    assert (await funded.withdraw(externalId="W-1")).status == 201
    await assert_sound(database_url)


async def test_until_its_deadline_a_payout_is_handed_over_as_any_other(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail().serve(house)
    made = await waits(funded)
    clock.advance(minutes=30, microseconds=-1)

    await house.worker.run_until_idle()

    assert await stands(funded, made) == ("COMPLETED", None)
    assert rail.verbs == ["submit"]
    clock.advance(hours=1)
    assert await house.deadlines.work(10) == 0
    assert await funded.wallets() == PAID


async def test_what_a_worker_has_just_taken_is_not_ended_by_who_found_it_untold(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    ScriptedRail(otherwise=Accepted()).serve(house)
    made = await waits(funded)
    book = Book(UUID(funded.application_id), Environment.TEST)
    await house.worker.run_until_idle()
    clock.advance(minutes=30)

    for status in (Status.PENDING, Status.PROCESSING):
        found = Overdue(book, operation_of(made["id"]), status, at_rail=False)
        await house.deadlines._see_to(found, clock.now())

    assert await stands(funded, made) == ("PROCESSING", None)
    assert await funded.wallets() == HELD


async def test_what_was_never_handed_over_because_no_rail_served_it_ends_at_its_deadline(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    ScriptedRail().serve(house)
    made = await waits(funded)
    house.routing.serve(Environment.TEST, {}, {})
    await house.worker.run_until_idle()
    assert await stands(funded, made) == ("PROCESSING", None)
    rail = ScriptedRail().serve(house)
    clock.advance(minutes=30)

    await house.worker.run_until_idle()

    assert await stands(funded, made) == ("FAILED", "DEADLINE_PASSED")
    assert rail.verbs == []
    assert await funded.wallets() == GIVEN_BACK


# What a rail has.


async def test_what_waits_at_a_rail_is_cancelled_there_and_fails_when_the_rail_says_so(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rail = QueueingRail(cancels=[Cancelling({"status": "ACCEPTED"})])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()
    clock.advance(minutes=29)
    await house.worker.run_until_idle()
    assert rail.cancelled == []
    clock.advance(minutes=1)

    await house.worker.run_until_idle()

    # The rail takes it, and has not said how it ends.
    assert [one.reference for one in rail.cancelled] == [rail.asked[0][1].reference]
    assert await stands(funded, made) == ("PROCESSING", None)
    assert await funded.wallets() == HELD
    attempts = (await funded.payout(made))["attempts"]
    (asked,) = [one for one in attempts if one["action"] == "cancel"]
    assert asked["outcome"] == "accepted"
    assert asked["sent"]["queueUntil"] == "2026-06-23T10:30:00.000Z"

    rail.otherwise = BY_THE_RAIL
    clock.advance(minutes=20)
    await house.worker.run_until_idle()

    assert await stands(funded, made) == ("FAILED", "DEADLINE_PASSED")
    assert await funded.wallets() == GIVEN_BACK
    await assert_sound(database_url)


async def test_the_rail_is_asked_at_once_how_it_ends_when_it_cancels(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Cancelling()])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()

    clock.advance(minutes=30)
    rail.script.extend([Accepted(), BY_THE_RAIL])
    await house.worker.run_until_idle()

    assert await stands(funded, made) == ("FAILED", "DEADLINE_PASSED")


async def test_what_is_being_paid_already_is_paid_and_asked_for_ever_more_seldom(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Declined("INVALID_STATE")])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()
    clock.advance(minutes=30)

    asked: list[int] = []
    for minute in range(61):
        await house.worker.run_until_idle()
        if len(rail.cancelled) > len(asked):
            asked.append(minute)
        clock.advance(minutes=1)
    assert asked == [0, 1, 2, 4, 8, 16, 31, 46]
    assert await funded.wallets() == HELD

    rail.otherwise = Paid()
    clock.advance(minutes=20)
    await house.worker.run_until_idle()
    assert await stands(funded, made) == ("COMPLETED", None)
    assert await funded.wallets() == PAID


async def test_what_cannot_be_cancelled_at_first_may_wait_later_and_is_cancelled_then(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Declined("INVALID_STATE"), Unknown("HTTP 500"), Cancelling()])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()
    for _ in range(3):
        clock.advance(minutes=30)
        await house.worker.run_until_idle()
        assert await stands(funded, made) == ("PROCESSING", None)
    cancels = [one for one in await funded.attempts(made) if one[0] == "cancel"]
    assert cancels == [("cancel", "declined"), ("cancel", "unknown"), ("cancel", "accepted")]

    rail.otherwise = BY_THE_RAIL
    clock.advance(minutes=20)
    await house.worker.run_until_idle()
    assert await stands(funded, made) == ("FAILED", "DEADLINE_PASSED")


async def test_a_rail_that_can_cancel_nothing_keeps_it_and_the_evidence_says_so(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rail = ScriptedRail(otherwise=Accepted()).serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()

    for _ in range(3):
        clock.advance(minutes=30)
        await house.worker.run_until_idle()

    attempts = (await funded.payout(made))["attempts"]
    (asked,) = [one for one in attempts if one["action"] == "cancel"]
    assert (asked["outcome"], asked["answer"]) == ("declined", {"failureCode": "CANNOT_CANCEL"})
    assert asked["sent"]["queueUntil"] == "2026-06-23T10:30:00.000Z"
    assert set(rail.verbs) == {"submit", "check"}
    assert await stands(funded, made) == ("PROCESSING", None)
    assert await funded.wallets() == HELD
    await assert_sound(database_url)
    # The merchant hears the same as ever of such a rail.
    assert (await cancel(funded, made))["code"] == "not_cancellable"

    rail.otherwise = Paid()
    clock.advance(minutes=20)
    await house.worker.run_until_idle()
    assert await stands(funded, made) == ("COMPLETED", None)


async def test_a_rail_that_is_out_of_service_is_asked_when_it_is_back(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Cancelling()])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()
    house.routing.serve(Environment.TEST, {}, {})
    clock.advance(minutes=30)
    await house.worker.run_until_idle()
    assert "cancel" not in [one for one, _ in await funded.attempts(made)]

    rail.serve(house)
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    assert len(rail.cancelled) == 1
    assert await stands(funded, made) == ("PROCESSING", None)


async def test_what_its_merchant_had_cancelled_before_its_deadline_failed_for_that(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Cancelling()])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()
    clock.advance(minutes=29, seconds=30)
    assert (await cancel(funded, made)).status == 202
    rail.otherwise = BY_THE_RAIL
    clock.advance(seconds=30)

    # The deadline finds that the rail was asked a moment ago, and leaves it at that.
    assert await house.deadlines.work(10) == 1
    await house.worker.run_until_idle()

    assert len(rail.cancelled) == 1
    assert await stands(funded, made) == ("FAILED", "MANUALLY_CANCELLED")
    assert await funded.wallets() == GIVEN_BACK


async def test_what_the_rail_refuses_after_its_deadline_failed_for_the_rail_s_own_reason(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Cancelling()])
    rail.serve(house)
    made = await waits(funded)
    await house.worker.run_until_idle()
    clock.advance(minutes=30)
    assert await house.deadlines.work(10) == 1
    rail.otherwise = Refused("RECIPIENT_NOT_FOUND")

    await house.worker.run_until_idle()

    assert await stands(funded, made) == ("FAILED", "RECIPIENT_NOT_FOUND")


async def test_after_its_deadline_what_the_rail_never_saw_is_not_handed_over_again(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = QueueingRail(Unknown("timeout"), cancels=[Declined("NOT_FOUND")])
    rail.otherwise = NotFound()
    rail.serve(house)
    made = await waits(funded, 1)
    await house.worker.run_until_idle()
    clock.advance(seconds=59)
    await house.worker.run_until_idle()
    assert rail.verbs == ["submit", "check"]
    clock.advance(seconds=10)

    for _ in range(12):
        await house.worker.run_until_idle()
        assert await stands(funded, made) == ("PROCESSING", None)
        clock.advance(minutes=1)
    clock.advance(minutes=15)
    await house.worker.run_until_idle()
    # An answer that is not certain counts for nothing when another attempt was made meanwhile.
    clock.advance(minutes=2)
    await house.worker.run_until_idle()

    assert rail.verbs.count("submit") == 1
    assert await stands(funded, made) == ("FAILED", "NOT_FOUND")
    assert await funded.wallets() == GIVEN_BACK


async def test_of_two_processes_one_sees_to_a_deadline(
    funded: Merchant, house: House, settings: Settings, clock: ManualClock
) -> None:
    rail = QueueingRail(cancels=[Declined("INVALID_STATE")])
    async with opened(settings, clock) as other:
        for one in (house, other):
            rail.serve(one)
        made = [await waits(funded) for _ in range(6)]
        await house.worker.run_until_idle()
        clock.advance(minutes=30)

        counts = await asyncio.gather(*(one.deadlines.work(100) for one in (house, other) * 2))

    assert sum(counts) == len(rail.cancelled) == len(made)


# With a hosted page.


async def confirmed(payer: Visitor) -> None:
    shown = await payer.choose()
    assert (await payer.post("/choose", **to_confirm(shown))).status == 303


async def test_on_the_page_the_time_counts_from_each_choice(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rail = ScriptedRail(Refused("RECIPIENT_NOT_FOUND")).serve(house)
    made = await withdraw(funded, queueMinutes=5)
    payer = Visitor.at(funded, made)
    clock.advance(minutes=10)
    await house.worker.run_until_idle()
    assert (await funded.payout(made))["queueUntil"] is None
    await confirmed(payer)
    assert (await funded.payout(made))["queueUntil"] == "2026-06-23T10:15:00.000Z"
    await house.worker.run_until_idle()
    # Refused, it is back on its page, where nothing waits for an operator.
    assert (await funded.payout(made))["queueUntil"] is None
    clock.advance(minutes=5)
    await house.worker.run_until_idle()
    assert await payer.state() == "choosing"

    await confirmed(payer)
    clock.advance(minutes=5)
    await house.worker.run_until_idle()

    assert rail.verbs == ["submit"]
    assert await stands(funded, made) == ("FAILED", "DEADLINE_PASSED")
    assert await funded.wallets() == GIVEN_BACK
    assert await payer.state() == "failed"
    await assert_sound(database_url)


async def test_the_page_offers_no_operator_that_is_delayed_where_none_is_to_wait(
    funded: Merchant, house: House
) -> None:
    ScriptedRail().serve(house)
    tell(house, "DELAYED")
    choosy = Visitor.at(funded, await withdraw(funded, amount=1_000, ifDelayed="REFUSE"))
    patient = Visitor.at(funded, await withdraw(funded, amount=1_000))

    assert b'value="MTN_MOMO_CMR"' not in (await choosy.look()).raw
    assert b'value="MTN_MOMO_CMR"' in (await patient.look()).raw
    refused = await choosy.choose()
    assert refused.status == 422
    assert "This operator cannot be used at the moment" in words_of(refused)
    assert (await patient.choose()).status == 200
