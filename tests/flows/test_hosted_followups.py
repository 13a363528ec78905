"""What follows a hosted operation: the payer's refund, and what its merchant is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from tests.client import Merchant
from tests.flows.test_webhooks import set_url
from tests.hosted import PAYS, REFUSES, Visitor, init, to_confirm, withdraw
from tests.rails import ScriptedRail
from tests.receivers import Receiver, listening
from tests.soundness import assert_sound


@pytest.fixture(autouse=True)
async def sound(database_url: str) -> AsyncIterator[None]:
    yield
    await assert_sound(database_url)


@pytest.fixture
async def receiver(merchant: Merchant) -> AsyncIterator[Receiver]:
    async with listening() as heard:
        await set_url(merchant, "generic", heard.url)
        yield heard


async def test_a_refund_goes_back_to_the_phone_and_operator_that_were_chosen_and_paid(
    funded: Merchant, house: House
) -> None:
    made = await init(funded)
    payer = Visitor.at(funded, made)
    await payer.choose("MTN_MOMO_CMR", REFUSES)
    await house.worker.run_until_idle()
    await payer.choose("ORANGE_CMR", PAYS)
    await house.worker.run_until_idle()
    rail = ScriptedRail().serve(house)

    refund = await funded.refund(made)
    await house.worker.run_until_idle()

    assert refund.status == 201, refund.raw
    chosen = ("ORANGE_CMR", "CMR", PAYS)
    assert (refund["provider"], refund["country"], refund["phoneNumber"]) == chosen
    assert refund["amount"] == 5000
    (told,) = [instruction for _, instruction in rail.asked]
    assert (told.provider, told.phone_number) == ("ORANGE_CMR", PAYS)
    payment = await funded.payment(made)
    assert told.deposit_reference is not None
    assert str(told.deposit_reference) == payment["providerReference"]
    assert (await funded.refunded(refund))["status"] == "COMPLETED"
    assert (payment["status"], payment["refundedAmount"]) == ("COMPLETED", 5000)


async def test_what_nobody_has_paid_on_its_page_cannot_be_refunded(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    made = await init(funded)
    early = await funded.refund(made)
    clock.advance(minutes=31)
    await house.worker.run_until_idle()
    late = await funded.refund(made)

    for answer in (early, late):
        assert (answer.status, answer["code"]) == (409, "not_refundable"), answer.raw


async def test_a_webhook_of_a_hosted_payment_tells_the_phone_that_was_chosen(
    merchant: Merchant, house: House, receiver: Receiver
) -> None:
    made = await init(merchant)
    await Visitor.at(merchant, made).choose("MTN_MOMO_CMR", PAYS)
    await house.worker.run_until_idle()

    (heard,) = receiver.heard
    assert (heard["event"], heard["paymentId"]) == ("payment.completed", made["id"])
    assert (heard["phoneNumber"], heard["externalId"]) == (PAYS, "ORDER-1")


async def test_a_webhook_of_what_was_never_chosen_tells_no_phone(
    merchant: Merchant, house: House, clock: ManualClock, receiver: Receiver
) -> None:
    made = await init(merchant)
    clock.advance(minutes=31)
    await house.worker.run_until_idle()

    (heard,) = receiver.heard
    assert (heard["event"], heard["paymentId"]) == ("payment.failed", made["id"])
    assert (heard["phoneNumber"], heard["failureReason"]) == (None, "EXPIRED")


async def test_a_webhook_of_a_hosted_withdrawal_tells_where_the_money_went(
    funded: Merchant, house: House, receiver: Receiver
) -> None:
    made = await withdraw(funded)
    beneficiary = Visitor.at(funded, made)
    await beneficiary.post("/choose", **to_confirm(await beneficiary.choose()))
    await house.worker.run_until_idle()

    (heard,) = [each for each in receiver.heard if each["event"].startswith("payout.")]
    assert (heard["event"], heard["paymentId"]) == ("payout.completed", made["id"])
    assert heard["phoneNumber"] == PAYS


async def test_a_refused_hosted_withdrawal_can_be_called_back_and_its_hold_is_released_once(
    funded: Merchant, house: House, receiver: Receiver
) -> None:
    before = await funded.wallets()
    made = await withdraw(funded)
    beneficiary = Visitor.at(funded, made)
    refused = await beneficiary.choose(number="237653456089")
    await beneficiary.post("/choose", **to_confirm(refused))
    await house.worker.run_until_idle()
    assert (await funded.payout(made))["status"] == "PENDING"

    path = f"/api/v1/payments/withdraw/{made['id']}/cancel"
    keyed = {"Idempotency-Key": "call back"}
    first, again = [await funded.keys.send("POST", path, headers=keyed) for _ in range(2)]
    await house.worker.run_until_idle()

    assert (first.status, first["status"], again.raw) == (200, "CANCELLED", first.raw)
    assert first["gatewayUrl"] == made["gatewayUrl"]
    assert await funded.wallets() == before
    assert [h["event"] for h in receiver.heard if h["event"].startswith("payout.")] == [
        "payout.cancelled"
    ]
    # The page says so too, and takes no further choice.
    assert await beneficiary.state() == "cancelled"
    await beneficiary.choose()
    assert (await funded.payout(made))["status"] == "CANCELLED"
