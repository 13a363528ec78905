"""A transfer and its rules, as plain values."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.money import Money, convert
from kpay.core.refusals import Code, Refusal
from kpay.rates.model import Quote


class Wanted(msgspec.Struct, frozen=True):
    """What a merchant asked for, checked: two different countries, an amount within bounds."""

    source_country: str
    destination_country: str
    amount: Money
    destination_currency: str
    external_id: str | None
    description: str | None


class Priced(msgspec.Struct, frozen=True):
    """What a transfer comes to at one moment: the rate, and what arrives at it."""

    quote: Quote
    credited: Money


class Transfer(msgspec.Struct, frozen=True):
    """A transfer as recorded. Its identifier is also that of its outgoing side."""

    book: Book
    id: UUID
    destination_id: UUID
    suffix: str
    external_id: str | None
    source_country: str
    debited: Money
    destination_country: str
    credited: Money
    quote: Quote
    description: str | None
    created_at: datetime

    @property
    def source_reference(self) -> str:
        return f"TRF-OUT-{self.suffix}"

    @property
    def destination_reference(self) -> str:
        return f"TRF-IN-{self.suffix}"


def credited_for(wanted: Wanted, quote: Quote) -> Money:
    """What arrives: the amount at the unrounded rate, to hundredths.

    Refuses: amount_out_of_bounds, when a weak currency's amount would arrive as nothing.
    """
    if wanted.amount.currency == wanted.destination_currency:
        return wanted.amount
    credited = convert(wanted.amount, quote.rate, wanted.destination_currency)
    if credited.minor == 0:
        raise Refusal(
            Code.AMOUNT_OUT_OF_BOUNDS,
            f"amount is worth less than 0.01 {wanted.destination_currency}: send more.",
        )
    return credited
