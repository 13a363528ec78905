"""A refund from its request to its end: its answer, what it moves, when it is refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from kpay.app import House
from kpay.connectors.model import Refused
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.books import journal, lines
from tests.client import Answer, Merchant
from tests.houses import opened
from tests.rails import ScriptedRail

BASE = "/api/v1/payments"
OPEN_NUMBER = "237653456129"


@pytest.fixture
async def paid(funded: Merchant) -> Answer:
    """A payment of 10,000 that is complete: the wallet has 95,000 and its net of 9,500."""
    return await funded.collect(10_000, externalId="ORDER-1")


async def cancel(merchant: Merchant, refund: Answer) -> Answer:
    return await merchant.keys.send("POST", f"{BASE}/refunds/{refund['id']}/cancel")


async def finish(merchant: Merchant, made: Answer, outcome: str, path: str = "/refunds") -> Answer:
    return await merchant.keys.send(
        "POST", f"{BASE}{path}/{made['id']}/sandbox/finish", {"outcome": outcome}
    )


async def paid_by_open_number(merchant: Merchant, **fields: Any) -> Answer:
    """A payment by the number that stays open, finished by hand: its refund stays open too."""
    made = await merchant.pay(phoneNumber=OPEN_NUMBER, **fields)
    await merchant.house.worker.run_until_idle()
    await finish(merchant, made, "COMPLETED", "")
    await merchant.house.worker.run_until_idle()
    return await merchant.payment(made)


async def test_a_refund_answers_with_every_field_of_the_contract(
    funded: Merchant, paid: Answer
) -> None:
    answer = await funded.refund(paid, reason="Out of stock", externalId="REFUND-1")

    assert answer.status == 201
    body: dict[str, Any] = answer.json
    assert re.fullmatch("rfd_[0-9a-z]{26}", body["id"])
    assert re.fullmatch("KPAY-RF-20260623-[0-9A-Z]{6}", body["reference"])
    assert str(UUID(body["providerReference"])) == body["providerReference"]
    assert body["message"] == "Refund request received. Processing via Mobile Money."
    expected = {
        "status": "PENDING",
        "amount": 10_000,
        "currency": "XAF",
        "originalPaymentId": paid["id"],
        "originalPaymentStatus": "COMPLETED",
        "externalId": "REFUND-1",
        "provider": "MTN_MOMO_CMR",
        "country": "CMR",
        "phoneNumber": "237653456789",
        "isTest": True,
        "createdAt": "2026-06-23T10:00:00.000Z",
    }
    assert {name: body[name] for name in expected} == expected


async def test_a_refund_needs_no_body(funded: Merchant, paid: Answer) -> None:
    answer = await funded.keys.send("POST", f"{BASE}/{paid['id']}/refund")

    assert (answer.status, answer["externalId"]) == (201, None)


async def test_the_payer_gets_back_all_of_it_and_the_merchant_bears_the_fee(
    funded: Merchant, house: House, paid: Answer
) -> None:
    rail = ScriptedRail().serve(house)
    refund = await funded.refund(paid)
    assert await funded.wallets() == {"CMR": (94_500, 10_000)}

    await house.worker.run_until_idle()

    assert (await funded.refunded(refund))["status"] == "COMPLETED"
    assert await journal(house, refund["id"]) == lines("""
        refund_requested
          reserved:CMR                +10,000.00 XAF
          wallet:CMR                  -10,000.00 XAF
        refund_completed
          provider:MTN_MOMO_CMR       +10,000.00 XAF
          reserved:CMR                -10,000.00 XAF
    """)
    assert await funded.wallets() == {"CMR": (94_500, 0)}
    ((verb, told),) = rail.asked
    assert (verb, told.type, told.amount.number) == ("submit", "REFUND", 10_000)
    assert (told.provider, told.phone_number) == ("MTN_MOMO_CMR", "237653456789")
    assert (str(told.reference), str(told.deposit_reference)) == (
        refund["providerReference"],
        paid["providerReference"],
    )


async def test_an_amount_with_hundredths_goes_back_to_the_hundredth(
    merchant: Merchant, house: House
) -> None:
    """Airtel collects hundredths; what it pays out in is no matter of a refund."""
    await merchant.collect(5_000, "GAB")
    payment = await merchant.pay("GAB", amount=100.55)
    await house.worker.run_until_idle()

    refund = await merchant.refund(payment)
    await house.worker.run_until_idle()

    detail = await merchant.refunded(refund)
    assert b'"amount":100.55,' in detail.raw
    assert detail["attempts"][0]["sent"]["amount"] == "100.55"
    assert "rounding" not in await journal(house, refund["id"])


async def test_each_attempt_says_which_deposit_is_given_back(
    funded: Merchant, house: House, paid: Answer
) -> None:
    refund = await funded.refund(paid, reason="Changed their mind")
    await house.worker.run_until_idle()

    detail = await funded.refunded(refund)
    (attempt,) = detail["attempts"]
    assert (attempt["action"], attempt["outcome"]) == ("submit", "paid")
    assert attempt["sent"] == {
        "reference": refund["providerReference"],
        "operationType": "REFUND",
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456789",
        "currency": "XAF",
        "amount": "10000",
        "depositReference": paid["providerReference"],
    }
    assert "depositReference" not in (await funded.payment(paid))["attempts"][0]["sent"]
    assert detail["reason"] == "Changed their mind"
    assert (detail["completedAt"], detail["failedAt"], detail["failureReason"]) == (
        "2026-06-23T10:00:00.000Z",
        None,
        None,
    )


async def test_a_payment_shows_its_refunds_and_stays_completed(
    funded: Merchant, house: House, paid: Answer
) -> None:
    assert (paid["refunds"], paid["refundedAmount"]) == ([], 0)
    ScriptedRail(Refused("RECIPIENT_NOT_FOUND")).serve(house)
    failed = await funded.refund(paid)
    await house.worker.run_until_idle()
    done = await funded.refund(paid)
    open_ = await funded.payment(paid)
    assert (open_["refunds"][-1]["status"], open_["refundedAmount"]) == ("PENDING", 0)
    await house.worker.run_until_idle()

    payment = await funded.payment(paid)

    assert payment["refunds"] == [
        {"id": failed["id"], "status": "FAILED", "amount": 10_000},
        {"id": done["id"], "status": "COMPLETED", "amount": 10_000},
    ]
    assert payment["refundedAmount"] == 10_000
    assert payment["status"] == "COMPLETED"


async def test_a_refund_that_fails_gives_all_of_the_hold_back_and_can_be_asked_for_again(
    funded: Merchant, house: House, paid: Answer
) -> None:
    ScriptedRail(Refused("RECIPIENT_NOT_FOUND")).serve(house)
    refund = await funded.refund(paid, externalId="mine")
    await house.worker.run_until_idle()

    detail = await funded.refunded(refund)
    assert (detail["status"], detail["failureReason"]) == ("FAILED", "RECIPIENT_NOT_FOUND")
    assert (detail["failedAt"], detail["completedAt"]) == ("2026-06-23T10:00:00.000Z", None)
    assert await funded.wallets() == {"CMR": (104_500, 0)}
    assert await journal(house, refund["id"]) == lines("""
        refund_requested
          reserved:CMR                +10,000.00 XAF
          wallet:CMR                  -10,000.00 XAF
        refund_released
          reserved:CMR                -10,000.00 XAF
          wallet:CMR                  +10,000.00 XAF
    """)

    again = await funded.refund(paid, externalId="mine")
    await house.worker.run_until_idle()
    assert again.status == 201
    assert (await funded.refunded(again))["status"] == "COMPLETED"
    assert await funded.wallets() == {"CMR": (94_500, 0)}


async def test_a_pending_refund_can_be_cancelled_and_asked_for_again(
    funded: Merchant, house: House, paid: Answer
) -> None:
    rail = ScriptedRail().serve(house)
    refund = await funded.refund(paid, externalId="mine")

    answer = await cancel(funded, refund)

    assert (answer.status, answer["status"], answer["id"]) == (200, "CANCELLED", refund["id"])
    assert await funded.wallets() == {"CMR": (104_500, 0)}
    assert (await cancel(funded, refund))["code"] == "not_cancellable"
    await house.worker.run_until_idle()
    assert rail.asked == []
    assert (await funded.refund(paid, externalId="mine")).status == 201


async def test_a_refund_that_was_sent_or_has_ended_cannot_be_cancelled(
    funded: Merchant, house: House, paid: Answer
) -> None:
    open_ = await funded.refund(await paid_by_open_number(funded))
    done = await funded.refund(paid)
    await house.worker.run_until_idle()

    for refund in (open_, done):
        before = await funded.refunded(refund)
        answer = await cancel(funded, refund)
        assert (answer.status, answer["code"]) == (409, "not_cancellable")
        assert "refund" in answer["message"]
        assert (await funded.refunded(refund)).json == before.json


async def test_the_payer_s_number_decides_in_the_sandbox(funded: Merchant, house: House) -> None:
    """Of a number that stays open a refund stays open, and is finished either way."""
    for outcome, status in (("COMPLETED", "COMPLETED"), ("FAILED", "FAILED")):
        payment = await paid_by_open_number(funded, amount=2_000)
        before = await funded.wallets()
        refund = await funded.refund(payment)
        assert (await finish(funded, refund, outcome))["code"] == "not_open"
        await house.worker.run_until_idle()
        assert (await funded.refunded(refund))["status"] == "PROCESSING"

        assert (await finish(funded, refund, outcome)).status == 202
        await house.worker.run_until_idle()

        assert (await funded.refunded(refund))["status"] == status
        assert (await funded.wallets() == before) == (status == "FAILED")


async def test_an_operator_can_finish_an_open_refund(funded: Merchant, house: House) -> None:
    refund = await funded.refund(await paid_by_open_number(funded))
    await house.worker.run_until_idle()

    await house.finish_in_sandbox(UUID(funded.application_id), refund["id"], "NO_ANSWER")
    await house.worker.run_until_idle()

    assert (await funded.refunded(refund))["failureReason"] == "NO_ANSWER"


async def test_each_end_is_told_as_an_event(funded: Merchant, house: House, paid: Answer) -> None:
    cancelled = await funded.refund(paid)
    await cancel(funded, cancelled)
    ScriptedRail(Refused("RECIPIENT_NOT_FOUND")).serve(house)
    failed = await funded.refund(paid)
    await house.worker.run_until_idle()
    done = await funded.refund(paid)
    await house.worker.run_until_idle()

    events = (await funded.keys.send("GET", f"{BASE}/events"))["data"]

    assert [(event["event"], event["paymentId"]) for event in events[:3]] == [
        ("refund.completed", done["id"]),
        ("refund.failed", failed["id"]),
        ("refund.cancelled", cancelled["id"]),
    ]


# What is refused.


async def test_a_payment_that_is_not_complete_cannot_be_refunded(
    funded: Merchant, house: House
) -> None:
    pending = await funded.pay()
    open_ = await funded.pay(phoneNumber=OPEN_NUMBER)
    failed = await funded.pay(phoneNumber="237653456039")
    answer = await funded.refund(pending)
    assert (answer.status, answer["code"]) == (409, "not_refundable")
    assert "this one is PENDING" in answer["message"]

    await house.worker.run_until_idle()

    for payment, status in ((open_, "PROCESSING"), (failed, "FAILED")):
        answer = await funded.refund(payment)
        assert (answer.status, answer["code"]) == (409, "not_refundable")
        assert f"this one is {status}" in answer["message"]
    assert (await funded.refund(pending)).status == 201


async def test_a_payment_can_be_refunded_for_seven_days_to_the_second(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    late, early = [await funded.pay(externalId=name) for name in ("late", "early")]
    clock.advance(minutes=5)
    # The seven days are counted from its end, not from its beginning.
    await house.worker.run_until_idle()

    clock.advance(days=7)
    assert (await funded.refund(early)).status == 201
    clock.advance(seconds=1)
    answer = await funded.refund(late)

    assert (answer.status, answer["code"]) == (409, "refund_window_closed")
    assert "until 2026-06-30T10:05:00.000Z" in answer["message"]


async def test_a_refund_beyond_the_available_balance_is_unprocessable(
    merchant: Merchant, house: House
) -> None:
    """The net of the payment alone does not suffice: its fee was earned and stays earned."""
    payment = await merchant.collect(1_000)
    answer = await merchant.refund(payment)
    assert (answer.status, answer["code"]) == (422, "refund_exceeds_balance")
    assert "1,000 XAF" in answer["message"]
    assert await merchant.wallets() == {"CMR": (950, 0)}
    assert (await merchant.payment(payment))["refunds"] == []

    # Money of another country does not help, nor what is reserved; another payment does.
    await merchant.collect(5_000, "GAB")
    await merchant.collect(50)
    held = await merchant.withdraw(amount=100)
    assert (await merchant.refund(payment)).status == 422
    await merchant.keys.send("POST", f"{BASE}/withdraw/{held['id']}/cancel")
    await merchant.collect(50)
    assert (await merchant.refund(payment)).status == 201


async def test_a_second_refund_of_a_payment_is_a_conflict_that_names_the_first(
    funded: Merchant, house: House, paid: Answer
) -> None:
    first = await funded.refund(paid, externalId="mine")
    for _ in range(2):
        for fields in ({}, {"externalId": "another"}):
            again = await funded.refund(paid, **fields)
            assert (again.status, again["code"]) == (409, "refund_exists")
            assert again["existingId"] == first["id"]
        await house.worker.run_until_idle()
    assert await funded.wallets() == {"CMR": (94_500, 0)}


async def test_a_replay_is_told_what_became_of_the_first_however_late_or_poor(
    funded: Merchant, house: House, clock: ManualClock, paid: Answer
) -> None:
    first = await funded.refund(paid, externalId="mine")
    await house.worker.run_until_idle()
    await funded.withdraw(amount=94_500)

    for days in (0, 8):
        clock.advance(days=days)
        by_id = await funded.refund(paid, externalId="mine")
        assert (by_id.status, by_id["code"]) == (409, "external_id_used")
        assert "mine already exists" in by_id["message"]
        by_payment = await funded.refund(paid)
        assert (by_payment.status, by_payment["code"]) == (409, "refund_exists")
        assert by_id["existingId"] == by_payment["existingId"] == first["id"]


async def test_an_external_id_of_another_payment_s_refund_is_a_conflict_that_names_it(
    funded: Merchant, house: House, paid: Answer
) -> None:
    other = await funded.collect(2_000)
    first = await funded.refund(paid, externalId="mine")

    again = await funded.refund(other, externalId="mine")
    assert (again.status, again["code"]) == (409, "external_id_used")
    assert again["existingId"] == first["id"]

    # With a refund of its own the payment is not what it is told of, for the id is another's.
    assert (await funded.refund(other)).status == 201
    both = await funded.refund(other, externalId="mine")
    assert (both["code"], both["existingId"]) == ("external_id_used", first["id"])


async def test_refunds_share_no_external_ids_with_other_operations(
    funded: Merchant, paid: Answer
) -> None:
    assert (await funded.withdraw(externalId="ORDER-1")).status == 201

    assert (await funded.refund(paid, externalId="ORDER-1")).status == 201


async def test_an_unknown_payment_is_not_found(funded: Merchant, paid: Answer) -> None:
    payout = await funded.withdraw()
    refund = await funded.refund(paid)
    for id_ in ("nothing", "pay_" + "0" * 26, str(uuid4()), payout["id"], refund["id"]):
        answer = await funded.keys.send("POST", f"{BASE}/{id_}/refund")
        assert (answer.status, answer["code"]) == (404, "not_found")
        assert "There is no payment" in answer["message"]


async def test_what_belongs_to_others_or_to_the_other_environment_is_not_found(
    funded: Merchant, house: House, paid: Answer
) -> None:
    refund = await funded.refund(paid)
    strangers = [
        await Merchant.join(house, "Rival"),
        await Merchant.join(house, name="second"),
        await funded.live(),
    ]
    for stranger in strangers:
        asked = await stranger.refund(paid)
        assert (asked.status, asked["code"]) == (404, "not_found")
        assert (await cancel(stranger, refund)).status == 404
        assert (await stranger.refunded(refund)).status == 404
        assert (await finish(stranger, refund, "COMPLETED")).status == 404
        assert (await stranger.keys.send("GET", f"{BASE}/refunds"))["data"] == []
    assert await funded.wallets() == {"CMR": (94_500, 10_000)}


async def test_a_test_key_cannot_refund_a_live_payment(funded: Merchant, house: House) -> None:
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await funded.live()
    payment = await live.collect(10_000, phoneNumber="237650000000")
    await live.collect(10_000, phoneNumber="237650000000")
    assert payment["status"] == "COMPLETED"

    refused = await funded.refund(payment)
    assert (refused.status, refused["code"]) == (404, "not_found")

    refund = await live.refund(payment)
    await house.worker.run_until_idle()
    assert (refund.status, refund["isTest"]) == (201, False)
    assert (await live.refunded(refund))["status"] == "COMPLETED"
    assert await live.wallets() == {"CMR": (9_000, 0)}
    assert await funded.wallets() == {"CMR": (95_000, 0)}


async def test_a_provider_that_has_closed_since_gives_nothing_back(
    funded: Merchant, house: House
) -> None:
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await funded.live()
    payment = await live.collect(10_000, phoneNumber="237650000000")
    house.routing.serve(Environment.PRODUCTION, {}, {})

    answer = await live.refund(payment)

    assert (answer.status, answer["code"]) == (400, "provider_closed")
    assert "MTN_MOMO_CMR" in answer["message"]


async def test_a_provider_that_the_application_may_not_use_any_more_still_gives_back(
    funded: Merchant, house: House, paid: Answer
) -> None:
    """That says with whom new business may be done; a payer's money is a matter of before."""
    await house.office.configure(funded.new.application.id, allowed_providers=["ORANGE_CMR"])
    house.gate.forget()

    assert (await funded.pay())["code"] == "provider_not_allowed"
    assert (await funded.refund(paid)).status == 201


async def test_with_a_delay_it_is_accepted_first_and_paid_three_seconds_later(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, sandbox_delay=timedelta(seconds=3)) as house:
        merchant = await Merchant.join(house)
        payments = [await merchant.pay(amount=1_000) for _ in range(2)]
        await house.worker.run_until_idle()
        clock.advance(seconds=3)
        await house.worker.run_until_idle()

        refund = await merchant.refund(payments[0])
        await house.worker.run_until_idle()
        assert (await merchant.refunded(refund))["status"] == "PROCESSING"
        clock.advance(seconds=3)
        await house.worker.run_until_idle()

        assert (await merchant.refunded(refund))["completedAt"] == "2026-06-23T10:00:06.000Z"
        assert await merchant.wallets() == {"CMR": (900, 0)}
