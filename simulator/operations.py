"""What merchants asked for, what they were answered, and what the record says: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from kpay.access.model import Terms
from kpay.core.book import Book
from simulator.turns import Seat


class Violation(Exception):
    """Something is not as was promised; the message says what, with its operation."""


class Kind(Enum):
    """What was asked for."""

    PAYMENT = "payment"
    TRANSFER = "transfer"
    PAYOUT = "payout"
    REFUND = "refund"


OUTGOING = frozenset({Kind.PAYOUT, Kind.REFUND})
"""What holds money until a rail has paid it, and can be called back before."""


class Answer(Enum):
    """What came back. A process that died, or lost its database, leaves it open what happened."""

    NONE = "no answer"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Shop:
    """An application, with its terms."""

    name: str
    book: Book
    terms: Terms


@dataclass(frozen=True)
class Record:
    """An operation as it is on record. Amounts in hundredths."""

    id: UUID
    application_id: UUID
    external_id: str | None
    country: str
    """The wallet's: of a payment the one that is credited, else the one that is debited."""
    currency: str
    amount: int
    fee: int
    target: str
    """The provider, or the country that a transfer goes to."""
    target_currency: str
    arrives: int
    """In the target's currency, before an operator's decimals."""
    sent: int
    """What the rail is told."""
    rate: Decimal
    created_at: datetime
    reference: UUID | None
    payment_id: UUID | None = None
    """Of a refund: the payment that it gives back."""


@dataclass(eq=False)
class Operation:
    """One request of a merchant and what is known of it. `token` is its description: unique."""

    token: str
    kind: Kind
    shop: Shop
    external_id: str | None
    country: str
    amount: int
    target: str
    seat: Seat | None = None
    """The process that it was sent to."""
    answer: Answer = Answer.NONE
    code: str = ""
    existing: UUID | None = None
    accepted: Any = None
    """What the flow answered: a payment, a transfer, a payout or a refund."""
    payment: Operation | None = None
    """Of a refund: the payment that is to be given back."""
    payment_was: str = ""
    """Of a refund: how that payment stood when it was asked for."""
    record: Record | None = None
    status: str = ""
    cancel_asked: bool = False
    cancel_accepted: bool = False

    @property
    def accepted_id(self) -> UUID | None:
        """The identifier that was answered."""
        accepted = getattr(self.accepted, "agreed", self.accepted)
        return None if accepted is None else accepted.id

    @property
    def live(self) -> bool:
        """Whether its externalId is taken by it."""
        return self.record is not None and self.status not in ("FAILED", "CANCELLED")

    @property
    def open(self) -> bool:
        return self.record is not None and self.status in ("PENDING", "PROCESSING")

    def __str__(self) -> str:
        called = f", externalId {self.external_id}" if self.external_id else ""
        if self.payment is not None:
            called += f", of {self.payment.token}"
        return (
            f"{self.kind.value} {self.token} of {self.shop.name}: {self.amount / Decimal(100)} "
            f"{self.country} → {self.target}{called}"
        )
