"""A refund's webhook: what it says, and that it comes after its payment's."""

from __future__ import annotations

from kpay.core.clock import ManualClock
from tests.client import Merchant
from tests.receivers import listening


async def test_a_refund_is_told_after_its_payment_though_the_payment_s_webhook_failed_first(
    merchant: Merchant, clock: ManualClock
) -> None:
    """The payer's server is down for a moment; it must not learn of the refund first."""
    await merchant.collect(50_000)
    async with listening(503) as receiver:
        url = {"url": receiver.url}
        await merchant.keys.send("PUT", "/api/v1/payments/webhooks/generic", url)
        payment = await merchant.collect(10_000, externalId="ORDER-1")
        refund = await merchant.refund(payment, externalId="BACK-1", reason="Out of stock")
        await merchant.house.worker.run_until_idle()
        assert receiver.events == ["payment.completed"]

        clock.advance(seconds=10)
        await merchant.house.worker.run_until_idle()

    assert receiver.events == ["payment.completed", "payment.completed", "refund.completed"]
    told = receiver.heard[-1]
    assert told.headers["X-KPAY-Event"] == "refund.completed"
    assert told["paymentId"] == refund["id"]
    assert told["originalPaymentId"] == payment["id"]
    assert told["reference"] == (await merchant.refunded(refund))["reference"]
    assert (told["status"], told["amount"], told["currency"]) == ("COMPLETED", 10_000, "XAF")
    assert (told["externalId"], told["metadata"]) == ("BACK-1", {})
    assert told["phoneNumber"] == payment["phoneNumber"]


async def test_refunds_may_have_a_url_of_their_own(merchant: Merchant) -> None:
    payment = await merchant.collect(10_000)
    await merchant.collect(10_000)
    async with listening() as receiver:
        for topic in ("generic", "refunds"):
            url = {"url": f"{receiver.url}/{topic}"}
            await merchant.keys.send("PUT", f"/api/v1/payments/webhooks/{topic}", url)
        await merchant.refund(payment)
        await merchant.house.worker.run_until_idle()

    assert [(heard.path, heard["event"]) for heard in receiver.heard] == [
        ("/hook/refunds", "refund.completed")
    ]
