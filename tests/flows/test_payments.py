"""Payments in: what is answered, what it costs, which wallet it opens, what is refused."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

from kpay.app import House
from kpay.connectors.model import NotFound, Unknown
from kpay.core.clock import ManualClock
from tests.books import journal, lines
from tests.client import Merchant
from tests.rails import ScriptedRail

PATH = "/api/v1/payments"


async def test_init_answers_with_every_field_of_the_contract(merchant: Merchant) -> None:
    answer = await merchant.pay(amount=5_000, externalId="ORDER-1", currency="XAF")

    assert answer.status == 201
    body: dict[str, Any] = answer.json
    assert re.fullmatch("pay_[0-9a-z]+", body["id"])
    assert re.fullmatch("KPAY-20260623-[0-9A-Z]{6}", body["reference"])
    assert str(UUID(body["providerReference"])) == body["providerReference"]
    assert isinstance(body["message"], str)
    expected = {
        "status": "PENDING",
        "amount": 5_000,
        "currency": "XAF",
        "externalId": "ORDER-1",
        "provider": "MTN_MOMO_CMR",
        "country": "CMR",
        "phoneNumber": "237653456789",
        "isTest": True,
    }
    assert {name: body[name] for name in expected} == expected
    assert await merchant.wallets() == {}


async def test_detail_goes_from_pending_to_completed_with_fee_and_times(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    answer = await merchant.pay(amount=5_000, description="Order 1")
    before = await merchant.payment(answer)
    clock.advance(seconds=7)
    await house.worker.run_until_idle()
    after = await merchant.payment(answer)

    common = {
        "id": answer["id"],
        "reference": answer["reference"],
        "netAmount": 4_750,
        "feeAmount": 250,
        "description": "Order 1",
        "metadata": None,
        "createdAt": "2026-06-23T10:00:00.000Z",
        "failedAt": None,
        "failureReason": None,
    }
    for detail, status, completed_at in (
        (before, "PENDING", None),
        (after, "COMPLETED", "2026-06-23T10:00:07.000Z"),
    ):
        expected = {**common, "status": status, "completedAt": completed_at}
        assert {name: detail[name] for name in expected} == expected


async def test_a_completed_payment_moves_money_as_the_design_says(
    merchant: Merchant, house: House
) -> None:
    payment = await merchant.collect(5_000)

    assert payment["status"] == "COMPLETED"
    assert await journal(house, payment["id"]) == lines("""
        payment_completed
          fees:XAF                       +250.00 XAF
          provider:MTN_MOMO_CMR        -5,000.00 XAF
          wallet:CMR                   +4,750.00 XAF
    """)
    assert await merchant.wallets() == {"CMR": (4_750, 0)}


async def test_a_wallet_is_opened_by_the_first_completed_payment_and_by_no_failed_one(
    merchant: Merchant, house: House
) -> None:
    failed = await merchant.pay(phoneNumber="237653456039")
    await house.worker.run_until_idle()

    detail = await merchant.payment(failed)
    assert (detail["status"], detail["failureReason"]) == ("FAILED", "PAYMENT_NOT_APPROVED")
    assert (detail["failedAt"], detail["completedAt"]) == ("2026-06-23T10:00:00.000Z", None)
    assert await merchant.wallets() == {}
    assert await journal(house, failed["id"]) == ""
    assert (await merchant.transfer()).status == 404

    await merchant.pay()
    assert await merchant.wallets() == {}
    await house.worker.run_until_idle()
    assert await merchant.wallets() == {"CMR": (950, 0)}


async def test_a_fee_of_a_fraction_is_kept_to_the_hundredth(merchant: Merchant) -> None:
    payment = await merchant.collect(333)

    assert (payment["feeAmount"], payment["netAmount"]) == (Decimal("16.65"), Decimal("316.35"))
    assert await merchant.wallets() == {"CMR": (Decimal("316.35"), 0)}


async def test_an_amount_has_no_more_decimals_than_its_provider_takes(merchant: Merchant) -> None:
    refused = await merchant.pay(amount=100.5)
    assert (refused.status, refused["code"]) == (400, "invalid_amount")
    assert "whole number" in refused["message"]
    # A fraction that is nought is none.
    assert (await merchant.pay(amount=100.0)).status == 201

    taken = await merchant.pay("GAB", amount=100.5)
    assert (taken.status, taken["amount"]) == (201, Decimal("100.5"))
    assert b'"amount":100.5,' in taken.raw
    too_fine = await merchant.pay("GAB", amount=100.555)
    assert (too_fine.status, too_fine["code"]) == (400, "invalid_amount")

    # M-Pesa in Kenya collects whole shillings only, though it pays out hundredths.
    assert (await merchant.pay("KEN", amount=100.5)).status == 400


async def test_the_least_and_the_most_of_a_payment_are_both_allowed(merchant: Merchant) -> None:
    for amount, status in ((49, 400), (50, 201), (10_000_000, 201), (10_000_001, 400)):
        answer = await merchant.pay(amount=amount)
        assert answer.status == status, amount
        if status == 400:
            assert answer["code"] == "amount_out_of_bounds"
            assert "between 50 and 10,000,000 XAF" in answer["message"]


async def test_a_currency_that_is_not_the_provider_s_is_refused(merchant: Merchant) -> None:
    answer = await merchant.pay(currency="XOF")

    assert (answer.status, answer["code"]) == (400, "currency_mismatch")
    assert "currency must be XAF" in answer["message"]


async def test_metadata_comes_back_unchanged(merchant: Merchant) -> None:
    own: list[dict[str, Any]] = [
        {"order": {"id": 7, "lines": [{"sku": "a", "price": None}, {"sku": "b", "gift": True}]}},
        {"big": 12345678901234567890, "negative": -3, "nought": 0, "price": 12.5, "tiny": 1e-7},
        {"nom": "Ngô Bảo 👍 é", "quote": "'\"\\/\n\t", "": "an empty name"},
        {},
    ]
    for metadata in own:
        answer = await merchant.pay(metadata=metadata)

        detail = await merchant.payment(answer)
        assert json.loads(detail.raw)["metadata"] == metadata


async def test_who_the_customer_is_comes_back_with_the_payment(merchant: Merchant) -> None:
    customer = {"customerName": "Aïcha N'Diaye", "customerEmail": "aicha@example.sn"}

    answer = await merchant.pay(**customer)

    detail = await merchant.payment(answer)
    assert {name: detail[name] for name in customer} == customer
    without = await merchant.payment(await merchant.pay())
    assert {without[name] for name in customer} == {None}


async def test_a_payment_whose_answer_was_lost_is_credited_once_when_it_comes(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Unknown("timeout"), NotFound()).serve(house)
    payment = await merchant.pay()
    for _ in range(4):
        await house.worker.run_until_idle()
        clock.advance(minutes=1)

    assert rail.verbs == ["submit", "check", "submit"]
    detail = await merchant.payment(payment)
    assert [attempt["outcome"] for attempt in detail["attempts"]] == [
        "unknown",
        "not_found",
        "paid",
    ]
    assert await merchant.wallets() == {"CMR": (950, 0)}


async def test_a_payment_cannot_be_read_as_a_withdrawal_nor_the_reverse(
    merchant: Merchant,
) -> None:
    payment = await merchant.collect(5_000)
    payout = await merchant.withdraw()

    assert (await merchant.keys.send("GET", f"{PATH}/withdraw/{payment['id']}")).status == 404
    assert (await merchant.keys.send("GET", f"{PATH}/{payout['id']}")).status == 404
