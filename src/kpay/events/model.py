"""An event: that an operation of a merchant's has ended, and how; and what is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.money import Money

PREFIX = "evt"

# The public identifiers of what an event is about, by the first word of its type.
OPERATION_PREFIXES = {"payment": "pay", "payout": "wdr", "refund": "rfd"}


class Event(msgspec.Struct, frozen=True):
    """`type` is KPay's: payment. or payout. or refund. and completed, failed or cancelled."""

    book: Book
    type: str
    operation_id: UUID
    at: datetime


class Recorded(msgspec.Struct, frozen=True):
    """An event as it is on record."""

    id: UUID
    event: Event


class Told(msgspec.Struct, frozen=True):
    """An operation as a merchant is told of it, read from what is committed at that moment."""

    public_id: str
    reference: str
    status: str
    amount: Money
    phone_number: str | None
    external_id: str | None
    metadata: str | None
    """The merchant's own JSON object, as it was sent."""
    ended_at: datetime | None
    failure_code: str | None
    original_payment_id: str | None = None
    """Of a refund: the public id of the payment that it gives back."""


Teller: TypeAlias = Callable[[Sequence[tuple[Book, UUID]]], Awaitable[Mapping[UUID, Told]]]
"""Reads the operations of one noun, for many events at once, by their identifiers."""
