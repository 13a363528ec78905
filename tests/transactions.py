"""What tests of the dashboard's transactions share: a book with one of everything in it."""

from __future__ import annotations

from kpay.core.clock import ManualClock
from tests.client import Answer, Merchant

STAYS_OPEN = "237653456129"
"""A beneficiary in Cameroon whose money stays on its way until the sandbox is told."""


async def one_of_each(merchant: Merchant, clock: ManualClock) -> dict[str, Answer]:
    """A payment, a transfer with an exchange, a payout with one, a refund, and a payment refused.

    A minute lies between two of them; the last is the newest.
    """
    made: dict[str, Answer] = {}
    made["payment"] = await merchant.collect(400_000, externalId="order-1")
    clock.advance(minutes=1)
    made["transfer"] = await merchant.transfer(amount=100_000, externalId="TRF-1")
    clock.advance(minutes=1)
    made["payout"] = await merchant.withdraw(
        amount=50_000,
        provider="MTN_MOMO_CIV",
        phoneNumber="2250503456789",
        sourceCountry="CMR",
        externalId="PAYOUT-1",
        description="Supplier in Abidjan",
    )
    assert made["payout"].status == 201, made["payout"].raw
    await merchant.house.worker.run_until_idle()
    clock.advance(minutes=1)
    made["small"] = await merchant.collect(5_000, externalId="order-2")
    made["refund"] = await merchant.refund(made["small"], reason="Wrong size")
    assert made["refund"].status == 201, made["refund"].raw
    await merchant.house.worker.run_until_idle()
    clock.advance(minutes=1)
    made["refused"] = await merchant.pay(
        amount=7_000, phoneNumber="237653456039", externalId="order-3"
    )
    assert made["refused"].status == 201, made["refused"].raw
    await merchant.house.worker.run_until_idle()
    return made
