"""What a payout costs, what a transfer credits, and what is worth too little to be sent at all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kpay.catalogue.model import Provider, ProviderStatus
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.payouts.model import Price, price
from kpay.payouts.model import Wanted as WantedPayout
from kpay.rates.model import Quote
from kpay.transfers.model import Wanted as WantedTransfer
from kpay.transfers.model import credited_for

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
PAGE_RATE = Decimal("1.0149842105263157895")


def at(rate: str | Decimal) -> Quote:
    return Quote(Decimal(rate), "fixed", NOW, 0, NOW)


def payout(minor: int, *, decimals: int = 0, currency: str = "XOF") -> WantedPayout:
    """A payout out of Cameroon to an operator that pays out in so many decimals."""
    provider = Provider(
        code="MTN_MOMO_CIV",
        country="CIV",
        operator="MTN",
        currency=currency,
        # Another number than for payouts, which is the one that counts.
        deposit_decimals=2 - decimals,
        payout_decimals=decimals,
        status=ProviderStatus.ACTIVE,
        prefixes=(),
    )
    return WantedPayout("CMR", Money(minor, "XAF"), provider, "2250503456789", None, None, None)


def transfer(minor: int, currency: str = "XOF") -> WantedTransfer:
    return WantedTransfer("CMR", "SEN", Money(minor, "XAF"), currency, None, None)


def test_the_page_s_payout_is_priced_as_the_page_says() -> None:
    assert price(payout(5_000_000), at(PAGE_RATE), 500) == Price(
        fee=Money(250_000, "XAF"),
        payout_amount=Money(4_821_175, "XOF"),
        sent=Money(4_821_200, "XOF"),
    )


def test_an_operator_with_decimals_is_sent_every_hundredth() -> None:
    made = price(payout(5_000_000, decimals=2), at(PAGE_RATE), 500)

    assert made.sent == made.payout_amount == Money(4_821_175, "XOF")


@pytest.mark.parametrize(
    ("minor", "decimals", "sent"), [(50, 0, 100), (149, 0, 100), (1, 2, 1), (5, 1, 10)]
)
def test_the_least_that_an_operator_can_pay_is_sent(minor: int, decimals: int, sent: int) -> None:
    assert price(payout(minor, decimals=decimals), at("1"), 0).sent == Money(sent, "XOF")


@pytest.mark.parametrize(("minor", "decimals", "rate"), [(49, 0, "1"), (1, 2, "0.4"), (4, 1, "1")])
def test_what_leaves_the_operator_nothing_to_pay_is_refused(
    minor: int, decimals: int, rate: str
) -> None:
    with pytest.raises(Refusal) as caught:
        price(payout(minor, decimals=decimals), at(rate), 0)

    assert caught.value.code is Code.AMOUNT_OUT_OF_BOUNDS
    assert caught.value.message == (
        "amount is worth too little in XOF for MTN_MOMO_CIV to pay it: send more."
    )


def test_a_transfer_in_one_currency_credits_what_it_debits_whatever_the_quote() -> None:
    assert credited_for(transfer(12_345, "XAF"), at("2")) == Money(12_345, "XAF")


def test_a_transfer_across_currencies_credits_the_amount_at_the_unrounded_rate() -> None:
    assert credited_for(transfer(4_750_000), at(PAGE_RATE)) == Money(4_821_175, "XOF")


def test_a_transfer_credits_a_hundredth_or_is_refused() -> None:
    assert credited_for(transfer(1, "KES"), at("0.5")) == Money(1, "KES")

    with pytest.raises(Refusal) as caught:
        credited_for(transfer(1, "KES"), at("0.49"))

    assert caught.value.code is Code.AMOUNT_OUT_OF_BOUNDS
    assert caught.value.message == "amount is worth less than 0.01 KES: send more."
