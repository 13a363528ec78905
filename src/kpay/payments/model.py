"""A payment as plain values: what the payer gives, what the house keeps, what the wallet gets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from kpay.catalogue.model import Provider
from kpay.core.book import Book
from kpay.core.ids import dated_reference, public_id
from kpay.core.money import SCALE, Money
from kpay.gateways.model import Addresses
from kpay.instructions.model import Hosted

PREFIX = "pay"

# What is collected on a hosted page when the merchant names no currency: the page's own examples'.
USUAL_CURRENCY = "XAF"


class Wanted(msgspec.Struct, frozen=True):
    """What a merchant asked for, checked: an amount that the operator takes, who pays it."""

    amount: Money
    provider: Provider
    phone_number: str
    external_id: str
    customer_name: str | None
    customer_email: str | None
    description: str | None
    metadata: str | None


class WantedPage(msgspec.Struct, frozen=True):
    """What a merchant asked for, checked, where the payer is to choose on the hosted page."""

    amount: Money
    addresses: Addresses
    external_id: str
    customer_name: str | None
    customer_email: str | None
    description: str | None
    metadata: str | None


class PaidFrom(msgspec.Struct, frozen=True):
    """Where a payment comes from: an operator, its country, and the payer's phone."""

    provider: str
    country: str
    phone_number: str


class Payment(msgspec.Struct, frozen=True):
    """A payment as it was asked for. How far it has come is its `Progress`.

    Of one with a hosted page, provider, country and number are what the payer chose last, and None
    before that.
    """

    book: Book
    id: UUID
    suffix: str
    external_id: str
    amount: Money
    fee: Money
    customer_name: str | None
    customer_email: str | None
    description: str | None
    metadata: str | None
    created_at: datetime
    provider: str | None = None
    country: str | None = None
    phone_number: str | None = None
    hosted: Hosted | None = None

    @property
    def net(self) -> Money:
        return self.amount - self.fee

    @property
    def paid_from(self) -> PaidFrom:
        """Who pays or has paid. RuntimeError while nobody has chosen it: then nothing is paid."""
        if self.provider is None or self.country is None or self.phone_number is None:
            raise RuntimeError("nobody has chosen yet how this payment is paid")
        return PaidFrom(self.provider, self.country, self.phone_number)

    @property
    def public_id(self) -> str:
        return public_id(PREFIX, self.id)

    @property
    def reference(self) -> str:
        return dated_reference("KPAY", self.created_at, self.suffix)


def takes(provider: Provider, amount: Money) -> bool:
    """Whether an operator collects this currency and, to the decimal, this amount."""
    smallest = 10 ** (SCALE - provider.deposit_decimals)
    limits = provider.deposit_limits
    return (
        provider.currency == amount.currency
        and amount.minor % smallest == 0
        and (limits is None or limits.allow(amount))
    )
