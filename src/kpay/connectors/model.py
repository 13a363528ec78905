"""What a rail is asked and what it can answer: a closed set of outcomes.

A connector never raises for business and never guesses. Whatever is not a definite answer is
`Unknown`: the money stays held and the question is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.core.book import Book
from kpay.core.money import Money

Evidence: TypeAlias = Mapping[str, Any]


class Instruction(msgspec.Struct, frozen=True):
    """One operation as a rail is told it. `reference` is ours, and the rail's idempotency key."""

    book: Book
    type: OperationType
    reference: UUID
    provider: str
    phone_number: str
    amount: Money
    submitted_at: datetime
    """When it was last handed over; the age of what a rail says it never saw counts from here."""
    deposit_reference: UUID | None = None
    """Of a refund: the reference of the deposit that it gives back, which rails ask for."""


class Accepted(msgspec.Struct, frozen=True):
    """The rail has it and will say later. `ask_after` is when a status check is worth while."""

    raw: Evidence = msgspec.field(default_factory=dict)
    ask_after: timedelta | None = None


class Paid(msgspec.Struct, frozen=True):
    """The money has moved."""

    raw: Evidence = msgspec.field(default_factory=dict)


class Refused(msgspec.Struct, frozen=True):
    """The money has not moved and will not, with the rail's code for why.

    With `alarm`, that is the operator's affair and not the merchant's: a person has to look. With
    `cancelled` somebody had it cancelled there: nothing else is tried instead of it. With
    `own_trouble` the reason is the rail's own (it is down, our account there is empty, its limits,
    its contract), so that another rail may carry the same thing out. A reason that may as well be
    the payer's or the beneficiary's, or that nobody knows, is none of those.
    """

    code: str
    raw: Evidence = msgspec.field(default_factory=dict)
    alarm: bool = False
    cancelled: bool = False
    own_trouble: bool = False


class NotFound(msgspec.Struct, frozen=True):
    """The rail has never seen this reference. Only a status check can answer so."""

    raw: Evidence = msgspec.field(default_factory=dict)


class Unknown(msgspec.Struct, frozen=True):
    """No answer, or none that can be understood. It is not a failure.

    With `alarm`, a person has to look: asking again alone will not mend it. With `contradicts` the
    rail says that it has moved something else than it was told to. `ask_after` as of `Accepted`.
    """

    why: str
    raw: Evidence = msgspec.field(default_factory=dict)
    alarm: bool = False
    contradicts: bool = False
    ask_after: timedelta | None = None


Outcome: TypeAlias = Accepted | Paid | Refused | NotFound | Unknown


class Connector(Protocol):
    """A rail. Both verbs may be called again with the same reference, at any time."""

    @property
    def name(self) -> str: ...

    async def submit(self, instruction: Instruction) -> Outcome: ...

    async def check(self, instruction: Instruction) -> Outcome: ...


def outcome_evidence(outcome: Outcome) -> dict[str, Any]:
    """What came back, as it is kept with the attempt: always something a JSON column can hold."""
    evidence = dict(outcome.raw)
    if isinstance(outcome, Refused):
        evidence["failureCode"] = outcome.code
    elif isinstance(outcome, Unknown):
        evidence["why"] = outcome.why
    return storable_evidence(evidence)


def storable_evidence(evidence: Evidence) -> dict[str, Any]:
    """Evidence as a JSON column can hold it."""
    kept: dict[str, Any] = _storable(evidence)
    return kept


def storable_text(text: str) -> str:
    """Text as PostgreSQL can hold it: a rail may send a NUL or half a surrogate pair.

    Refusing such an answer would leave money held for ever over a stray byte.
    """
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _storable(value: Any) -> Any:
    match value:
        case str():
            return storable_text(value)
        case Mapping():
            return {storable_text(str(name)): _storable(part) for name, part in value.items()}
        case list() | tuple():
            return [_storable(part) for part in value]
        case None | bool() | int():
            return value
        case _:
            # A Decimal, a date, a number that JSON has no word for: as it is written.
            return storable_text(str(value))
