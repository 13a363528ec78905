"""A payout and its arithmetic: gross, fee, net, what arrives, what the rail is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType, Provider
from kpay.core.book import Book
from kpay.core.ids import dated_reference, public_id
from kpay.core.money import Money, convert, fee_of, to_rail
from kpay.core.refusals import Code, Refusal
from kpay.gateways.model import Addresses
from kpay.instructions.model import Hosted
from kpay.rates.model import Quote

PREFIX = "wdr"

# A week: a rail that has kept something for longer has forgotten it, or its operator is gone.
MOST_QUEUE_MINUTES = 7 * 24 * 60


class IfDelayed(StrEnum):
    """What is to be done with a payout while its operator is delayed."""

    QUEUE = "QUEUE"
    """It is taken, and waits at the rail until the operator is back."""
    REFUSE = "REFUSE"
    """It is refused, with the reason, before anything is held."""


class Wait(msgspec.Struct, frozen=True):
    """On which terms a payout waits for its operator.

    `minutes` is how long it may, from when its operator is known: as it is requested, or chosen on
    its page. None is for as long as the rail keeps it.
    """

    if_delayed: IfDelayed = IfDelayed.QUEUE
    minutes: int | None = None

    def until(self, begun: datetime) -> datetime | None:
        """The deadline of what begins to wait then."""
        return None if self.minutes is None else begun + timedelta(minutes=self.minutes)


USUAL_WAIT = Wait()


class Wanted(msgspec.Struct, frozen=True):
    """What a merchant asked for, checked: a wallet's country, a gross amount, who is paid."""

    source_country: str
    amount: Money
    provider: Provider
    phone_number: str
    external_id: str | None
    description: str | None
    metadata: str | None
    wait: Wait = USUAL_WAIT


class WantedPage(msgspec.Struct, frozen=True):
    """What a merchant asked for, checked, where the beneficiary chooses on the hosted page."""

    source_country: str
    amount: Money
    addresses: Addresses
    external_id: str | None
    description: str | None
    metadata: str | None
    wait: Wait = USUAL_WAIT


class Price(msgspec.Struct, frozen=True):
    """What a payout costs and what arrives.

    `fee` and `net` are in the wallet's currency and add up to the gross amount; `payout_amount` is
    the net at the unrounded rate, to hundredths; `sent` is that in the operator's own decimals.
    """

    fee: Money
    payout_amount: Money
    sent: Money


class Priced(msgspec.Struct, frozen=True):
    """What a payout comes to at one moment, and the rate that it does so at."""

    quote: Quote
    price: Price


class Payout(msgspec.Struct, frozen=True):
    """A payout as it was agreed. How far it has come is its `Progress`.

    Of one with a hosted page, the destination and its price are what the beneficiary chose last,
    and None before that.
    """

    book: Book
    id: UUID
    suffix: str
    external_id: str | None
    source_country: str
    amount: Money
    fee: Money
    description: str | None
    metadata: str | None
    created_at: datetime
    provider: str | None = None
    country: str | None = None
    phone_number: str | None = None
    payout_amount: Money | None = None
    quote: Quote | None = None
    hosted: Hosted | None = None
    wait: Wait = USUAL_WAIT
    queue_until: datetime | None = None
    """Until when it may wait at its operator's rail; None before there is one, or without end."""

    @property
    def net(self) -> Money:
        return self.amount - self.fee

    @property
    def public_id(self) -> str:
        return public_id(PREFIX, self.id)

    @property
    def reference(self) -> str:
        return dated_reference("KPAY-WD", self.created_at, self.suffix)

    @property
    def exchange(self) -> tuple[Money, Quote] | None:
        """What arrives in another currency, and at which rate; None where nothing is converted."""
        arrives, quote = self.payout_amount, self.quote
        if arrives is None or quote is None or arrives.currency == self.amount.currency:
            return None
        return arrives, quote


def price(wanted: Wanted, quote: Quote, fee_bps: int) -> Price:
    """The page: 50,000 XAF less 5 % is 47,500, at 1.0149842105… 48,211.75 XOF, sent as 48,212.

    Refuses: amount_out_of_bounds, when the operator's decimals leave nothing to send.
    """
    return price_after(fee_of(wanted.amount, fee_bps), wanted.amount, wanted.provider, quote)


def price_after(fee: Money, amount: Money, provider: Provider, quote: Quote) -> Price:
    """The price where the fee is agreed already. Refuses: amount_out_of_bounds."""
    payout_amount = convert(amount - fee, quote.rate, provider.currency)
    sent = to_rail(payout_amount, provider.decimals(OperationType.PAYOUT))
    if payout_amount.minor <= 0 or sent.minor <= 0:
        raise Refusal(
            Code.AMOUNT_OUT_OF_BOUNDS,
            f"amount is worth too little in {provider.currency} for {provider.code} "
            "to pay it: send more.",
        )
    limits = provider.limits(OperationType.PAYOUT)
    if limits is not None and not limits.allow(sent):
        raise Refusal(
            Code.AMOUNT_OUT_OF_BOUNDS,
            f"{provider.code} pays between {limits.least.number:,} and {limits.most.number:,} "
            f"{provider.currency} at once, and this would be {sent.number:,}.",
        )
    return Price(fee, payout_amount, sent)
