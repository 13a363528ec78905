"""A payment as plain values: what the payer gives, what the house keeps, what the wallet gets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from kpay.catalogue.model import Provider
from kpay.core.book import Book
from kpay.core.ids import dated_reference, public_id
from kpay.core.money import Money

PREFIX = "pay"


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


class Payment(msgspec.Struct, frozen=True):
    """A payment as it was asked for. How far it has come is its `Progress`."""

    book: Book
    id: UUID
    suffix: str
    external_id: str
    provider: str
    country: str
    phone_number: str
    amount: Money
    fee: Money
    customer_name: str | None
    customer_email: str | None
    description: str | None
    metadata: str | None
    created_at: datetime

    @property
    def net(self) -> Money:
        return self.amount - self.fee

    @property
    def public_id(self) -> str:
        return public_id(PREFIX, self.id)

    @property
    def reference(self) -> str:
        return dated_reference("KPAY", self.created_at, self.suffix)
