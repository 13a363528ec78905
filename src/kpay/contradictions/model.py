"""Contradictions: a rail says of an operation what cannot be true beside what is settled.

Nothing is guessed from one. What ended stays as it ended, with its entries, and what was learnt is
kept beside it until a person has settled it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.words import to_say


class What(StrEnum):
    """What speaks against what. The words are kept in the database and never change."""

    PAID_AFTER_FAILED = "paid_after_failed"
    """It failed here, and its money was given back or never credited; the rail has moved it."""
    PAID_AFTER_CANCELLED = "paid_after_cancelled"
    """It was called back here, and the rail has moved its money all the same."""
    PAID_AFTER_REFUSED = "paid_after_refused"
    """A rail refused it, another choice of its page or another rail came next, and it was paid."""
    REFUSED_AFTER_COMPLETED = "refused_after_completed"
    """It is complete here; the rail says now that it did not move the money."""
    PAID_DIFFERENTLY = "paid_differently"
    """The rail has moved another amount or currency than it was told to, or for somebody else."""


class Decision(StrEnum):
    """What an operator can decide. Each leaves the ledger as it is."""

    NOTED = "noted"
    """Looked into and settled outside of these books; the note says how."""


class Contradiction(msgspec.Struct, frozen=True):
    """One contradiction with the evidence of it. `told` is what the rail had been told to move."""

    book: Book
    operation_id: UUID
    type: str
    """DEPOSIT, PAYOUT or REFUND."""
    what: What
    reference: UUID
    """Ours, which the rail spoke of: an earlier choice on a page, or rail, has another."""
    status: str
    """How the operation stands."""
    told: Money | None
    provider: str | None
    phone_number: str | None
    connector: str
    attempt: int | None
    """The attempt whose answer said so; None where the rail's statement did."""
    evidence: object
    found_at: datetime
    company_id: UUID
    company_name: str
    application_name: str
    settled: Settled | None = None


class Settled(msgspec.Struct, frozen=True):
    """How an operator has settled one, and who."""

    decision: Decision
    note: str
    by: str
    """The command, or the id of the person."""
    at: datetime
    name: str | None = None
    """The person's, where it was one."""


class Cursor(msgspec.Struct, frozen=True):
    """Which one a page of the list ended with."""

    operation_id: UUID
    what: What
    reference: UUID


class ContradictionFilter(msgspec.Struct, frozen=True):
    """What the list is narrowed to; None narrows nothing. `after` is the last page's last one."""

    limit: int
    is_open: bool | None = None
    operation_id: UUID | None = None
    what: What | None = None
    environment: Environment | None = None
    after: Cursor | None = None


MOST_NOTE = 2_000

_OUTGOING: Mapping[What, str] = {
    What.PAID_AFTER_FAILED: to_say(
        "The hold was given back to the merchant's wallet and the beneficiary may have been paid. "
        "Ask the rail for its proof by our reference. If it paid: agree with the merchant who "
        "bears it, or have the rail reverse it. If it did not: have it confirm that in writing."
    ),
    What.PAID_AFTER_CANCELLED: to_say(
        "The merchant has called it back and has the money; the rail may have paid it. Ask the "
        "rail for its proof by our reference, then agree with the merchant who bears it."
    ),
    What.PAID_AFTER_REFUSED: to_say(
        "A rail had refused it, and may have paid it after all: before another choice on its "
        "page, or before another rail was told. Look whether it was paid a second time by what "
        "came after: then somebody was paid twice, and the rail is to reverse one of the two."
    ),
    What.REFUSED_AFTER_COMPLETED: to_say(
        "The merchant was told that it was paid, and the hold was consumed. Ask the rail which of "
        "its two answers holds. If the money never left, the beneficiary waits for it: agree with "
        "the merchant to send it again, under another externalId."
    ),
    What.PAID_DIFFERENTLY: to_say(
        "The hold stays and the rail is asked on, since nothing here can say what it did. Have the "
        "rail correct what it has on record, or prove what it moved."
    ),
}
_INCOMING: Mapping[What, str] = {
    What.PAID_AFTER_FAILED: to_say(
        "The payer may have paid and the merchant was not credited. Ask the rail for its proof by "
        "our reference. If it has the money: have it given back to the payer, or agree with the "
        "merchant what is due to them."
    ),
    What.PAID_AFTER_CANCELLED: to_say(
        "The payment was called off and the payer may have paid. Ask the rail for its proof by our "
        "reference; if it has the money, have it given back to the payer."
    ),
    What.PAID_AFTER_REFUSED: to_say(
        "A rail had refused it, and may have collected it after all: before another choice on "
        "its page, or before another rail was told. Look whether it was paid a second time by "
        "what came after: then somebody has paid twice, and the rail is to give one of the two "
        "back."
    ),
    What.REFUSED_AFTER_COMPLETED: to_say(
        "The merchant's wallet was credited. Ask the rail which of its two answers holds. If the "
        "payer never paid, the rail owes us what we have credited: claim it with the evidence."
    ),
    What.PAID_DIFFERENTLY: to_say(
        "The payment stays open and the rail is asked on. Have the rail correct what it has on "
        "record, or prove what the payer paid."
    ),
}


def next_action(type_: str, what: What) -> str:
    """What an operator does about it, in words."""
    return (_INCOMING if type_ == "DEPOSIT" else _OUTGOING)[what]
