"""An event: that an operation of a merchant's has ended, and how."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from kpay.core.book import Book

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
