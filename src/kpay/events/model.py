"""An event: that an operation of a merchant's has ended, and how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kpay.core.book import Book

PREFIX = "evt"

# The public identifiers of what an event is about, by the first word of its type.
OPERATION_PREFIXES = {"payment": "pay", "payout": "wdr"}


@dataclass(frozen=True, slots=True)
class Event:
    """`type` is KPay's: payment. or payout. and completed, failed or cancelled."""

    book: Book
    type: str
    operation_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it is on record."""

    id: UUID
    event: Event
