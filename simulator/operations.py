"""What merchants asked for, what they were answered, and what the record says: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from kpay.access.model import Terms
from kpay.core.book import Book
from kpay.core.routes import Principal
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


ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class Shop:
    """An application, with its terms and what it hears of by webhook."""

    name: str
    principal: Principal
    terms: Terms
    topics: frozenset[str] = frozenset()

    @property
    def book(self) -> Book:
        return self.principal.book

    def hears_of(self, kind: Kind) -> str | None:
        """The topic at which it hears of such operations, if it does."""
        own = f"{kind.value}s"
        return next((topic for topic in (own, "generic") if topic in self.topics), None)


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
    expires_at: datetime | None = None
    """Of what has a hosted page: until when it can be chosen on."""


@dataclass(frozen=True)
class Choice:
    """What was picked on a hosted page, as it is on record; `currency` and on of a payout only."""

    number: int
    provider: str
    country: str
    reference: UUID
    at: datetime
    currency: str | None
    arrives: int | None
    rate: Decimal | None


@dataclass(frozen=True)
class Standing:
    """How an operation stands on record."""

    status: str
    failure_code: str | None
    ended_at: datetime | None


@dataclass(eq=False)
class Sending:
    """One time that a request was sent: to which process, and what came back."""

    seat: Seat
    answer: Answer = Answer.NONE


@dataclass(frozen=True)
class Told:
    """An answer that decides: accepted, as what; or refused, why, and for which other one."""

    answer: Answer
    code: str
    id: UUID | None


@dataclass(eq=False)
class Operation:
    """One request of a merchant and what is known of it. `token` is its description: unique.

    With an Idempotency-Key it may be sent more than once, to several processes.
    """

    token: str
    kind: Kind
    shop: Shop
    external_id: str | None
    country: str
    amount: int
    target: str
    currency: str = ""
    """Of a payment with a hosted page, for which nothing else says it."""
    hosted: bool = False
    minutes: int | None = None
    """Of a payout: how long it may wait for its operator, if there is an end to that."""
    key: str | None = None
    sendings: list[Sending] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    """Every answer that decided, in their order."""
    payment: Operation | None = None
    """Of a refund: the payment that is to be given back."""
    payment_was: str = ""
    """Of a refund: how that payment stood when it was asked for."""
    record: Record | None = None
    status: str = ""
    cancel_asked: bool = False
    cancel_accepted: bool = False
    picks: list[str] = field(default_factory=list)
    """The providers that somebody tried to pick on its page."""
    choices: list[Choice] = field(default_factory=list)
    """Those that were taken; the last one holds."""

    def hear(self, sending: Sending, answer: Answer, code: str, identifier: UUID | None) -> None:
        sending.answer = answer
        if answer in (Answer.ACCEPTED, Answer.REFUSED):
            self.told.append(Told(answer, code, identifier))

    @property
    def under_way(self) -> bool:
        """Whether a process that lives may still do it."""
        return any(one.answer is Answer.NONE and one.seat.alive for one in self.sendings)

    @property
    def answer(self) -> Answer:
        """The first answer that decided; without one, whether any came."""
        if self.told:
            return self.told[0].answer
        heard = {one.answer for one in self.sendings}
        return Answer.UNKNOWN if Answer.UNKNOWN in heard else Answer.NONE

    @property
    def code(self) -> str:
        """Why it was refused."""
        return self.told[0].code if self.answer is Answer.REFUSED else ""

    @property
    def existing(self) -> UUID | None:
        """What stands in its way, as the refusal named it."""
        return self.told[0].id if self.answer is Answer.REFUSED else None

    @property
    def accepted_id(self) -> UUID | None:
        """The identifier that was answered."""
        return self.told[0].id if self.answer is Answer.ACCEPTED else None

    @property
    def live(self) -> bool:
        """Whether its externalId is taken by it."""
        return self.record is not None and self.status not in ("FAILED", "CANCELLED")

    @property
    def open(self) -> bool:
        return self.record is not None and self.status in ("PENDING", "PROCESSING")

    @property
    def references(self) -> list[UUID]:
        """What the rail was told it under: of a hosted page one for each choice."""
        if self.hosted:
            return [choice.reference for choice in self.choices]
        reference = None if self.record is None else self.record.reference
        return [] if reference is None else [reference]

    def __str__(self) -> str:
        called = f", externalId {self.external_id}" if self.external_id else ""
        if self.payment is not None:
            called += f", of {self.payment.token}"
        if self.key is not None:
            called += f", with key {self.key}"
        where = f"{self.country} → {self.target}"
        if self.hosted:
            where = f"{self.country or self.currency} → hosted page"
        return (
            f"{self.kind.value} {self.token} of {self.shop.name}: {self.amount / Decimal(100)} "
            f"{where}{called}"
        )
