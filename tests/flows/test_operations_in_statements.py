"""What a statement says of the operation behind a movement, noun by noun."""

from __future__ import annotations

from uuid import UUID

from kpay.core.book import Book, Environment
from kpay.core.ids import parse_public_id
from kpay.core.money import Money
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payouts.model import PREFIX as PAYOUT
from kpay.refunds.model import PREFIX as REFUND
from kpay.statements import operations
from kpay.statements.model import Operation
from tests.client import Answer, Merchant

FAILS = "237653456089"


def named(prefix: str, made: Answer) -> UUID:
    identifier = parse_public_id(prefix, made["id"])
    assert identifier is not None
    return identifier


def book_of(merchant: Merchant) -> Book:
    return Book(merchant.new.application.id, Environment.TEST)


async def test_of_a_payment_the_whole_and_the_fee(funded: Merchant) -> None:
    made = await funded.collect(10_000, externalId="ORDER-1", description="A lamp")
    teller = operations.of_payments(funded.house.payments)

    told = await teller.tell(book_of(funded), "CMR", [named(PAYMENT, made)])

    assert told[named(PAYMENT, made)] == Operation(
        id=made["id"],
        reference=made["reference"],
        external_id="ORDER-1",
        description="A lamp",
        provider="MTN_MOMO_CMR",
        gross=Money(1_000_000, "XAF"),
        fee=Money(50_000, "XAF"),
    )
    assert await teller.named(book_of(funded), "ORDER-1") == [named(PAYMENT, made)]


async def test_of_a_payout_what_arrives_and_why_it_failed(funded: Merchant) -> None:
    made = await funded.withdraw(
        amount=10_000,
        provider="MTN_MOMO_CIV",
        phoneNumber=FAILS,
        sourceCountry="CMR",
        externalId="PAYOUT-1",
        description="Wages",
    )
    await funded.house.worker.run_until_idle()
    teller = operations.of_payouts(funded.house.payouts)

    told = await teller.tell(book_of(funded), "CMR", [named(PAYOUT, made)])

    shown = await funded.payout(made)
    assert told[named(PAYOUT, made)] == Operation(
        id=made["id"],
        reference=made["reference"],
        external_id="PAYOUT-1",
        description="Wages",
        provider="MTN_MOMO_CIV",
        gross=Money(1_000_000, "XAF"),
        fee=Money(50_000, "XAF"),
        counter_country="CIV",
        counter=Money(964_535, "XOF"),
        failure_code=shown["failureReason"],
    )
    assert shown["failureReason"] is not None
    assert await teller.named(book_of(funded), "PAYOUT-1") == [named(PAYOUT, made)]


async def test_of_a_refund_all_that_goes_back(funded: Merchant) -> None:
    paid = await funded.collect(10_000)
    made = await funded.refund(paid, reason="Out of stock", externalId="REFUND-1")
    teller = operations.of_refunds(funded.house.refunds)

    told = await teller.tell(book_of(funded), "CMR", [named(REFUND, made)])

    assert told[named(REFUND, made)] == Operation(
        id=made["id"],
        reference=made["reference"],
        external_id="REFUND-1",
        description="Out of stock",
        provider="MTN_MOMO_CMR",
        gross=Money(1_000_000, "XAF"),
    )


async def test_of_a_transfer_the_other_side(funded: Merchant) -> None:
    made = await funded.transfer(amount=1_000, externalId="TRF-1", description="Stock")
    teller, identifier = operations.of_transfers(funded.house.transfers), UUID(made["id"])
    source, destination = made["sourceTransaction"], made["destinationTransaction"]

    for country, own, other in (
        (source["country"], source, destination),
        (destination["country"], destination, source),
    ):
        told = (await teller.tell(book_of(funded), country, [identifier]))[identifier]
        assert told == Operation(
            id=made["id"],
            reference=own["reference"],
            external_id="TRF-1",
            description="Stock",
            counter_country=other["country"],
            counter=Money(int(other["amount"] * 100), other["currency"]),
        )
    assert await teller.named(book_of(funded), "TRF-1") == [identifier]
