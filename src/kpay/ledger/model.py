"""The ledger's values: what is asked of it, and what it answers.

A posting is one signed line on one account; an entry is a balanced set of them; an order is an
entry together with the record (a transfer, a payout) that is written in the same transaction. Which
of the waiting orders can be posted is decided where the accounts are locked: by the database's
function `post` (0009_journal.sql), one order after the other. Nothing here does any I/O.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.money import Money

R = TypeVar("R")


class Kind(StrEnum):
    """Why money moved. `movements.py` has one function for each."""

    PAYMENT_COMPLETED = "payment_completed"
    TRANSFER = "transfer"
    PAYOUT_REQUESTED = "payout_requested"
    PAYOUT_COMPLETED = "payout_completed"
    PAYOUT_RELEASED = "payout_released"
    REFUND_REQUESTED = "refund_requested"
    REFUND_COMPLETED = "refund_completed"
    REFUND_RELEASED = "refund_released"

    @property
    def step(self) -> int:
        """1 opens an operation, 2 closes one that was opened; each happens at most once."""
        return 2 if self in _CLOSINGS else 1


_CLOSINGS = frozenset(
    {
        Kind.PAYOUT_COMPLETED,
        Kind.PAYOUT_RELEASED,
        Kind.REFUND_COMPLETED,
        Kind.REFUND_RELEASED,
    }
)


class Posting(msgspec.Struct, frozen=True):
    """One signed line: positive adds to the account, in its own currency."""

    account: str
    amount: Money


class Entry(msgspec.Struct, frozen=True):
    """A balanced set of postings: each currency in it sums to zero."""

    kind: Kind
    operation_id: UUID
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        totals: dict[str, int] = {}
        accounts = set()
        for posting in self.postings:
            totals[posting.amount.currency] = (
                totals.get(posting.amount.currency, 0) + posting.amount.minor
            )
            accounts.add(posting.account)
        if any(totals.values()) or len(accounts) != len(self.postings):
            raise ValueError(f"a {self.kind} entry does not balance, or names an account twice")


class Reason(StrEnum):
    """Why an order was not posted."""

    NO_WALLET = "no_wallet"
    SHORT_FUNDS = "short_funds"
    ALREADY_USED = "already_used"
    """The externalId has a live operation already; `existing_id` names it."""
    STATE_CHANGED = "state_changed"
    """The record is no longer in a status from which this can happen."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of an order: posted, or not and why."""

    reason: Reason | None = None
    existing_id: UUID | None = None

    @property
    def posted(self) -> bool:
        return self.reason is None


POSTED = Verdict()


class Order(msgspec.Struct, Generic[R], frozen=True):
    """An entry to post and the record that goes with it; either may be all there is to do.

    `claim` is what two orders may not both have: an externalId, or the right to close a payout. The
    records' own constraints hold it; two orders with one claim never go into the same batch.
    """

    book: Book
    entry: Entry | None
    record: R
    claim: tuple[object, ...] | None = None
