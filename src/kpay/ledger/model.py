"""The ledger's values and its one decision: which of the waiting orders can be posted.

A posting is one signed line on one account; an entry is a balanced set of them; an order is an
entry together with the record (a transfer, a payout) that is written in the same transaction.
`judge` takes the state of the locked accounts and the orders as they came, and gives each its own
verdict: one that cannot be afforded never fails its neighbours. Nothing here does any I/O; the
database checks the same guarantees again as the lines are written (0002_ledger.sql).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

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

    @property
    def step(self) -> int:
        """1 opens an operation, 2 closes one that was opened; each happens at most once."""
        return 2 if self in (Kind.PAYOUT_COMPLETED, Kind.PAYOUT_RELEASED) else 1


@dataclass(frozen=True, slots=True)
class Posting:
    """One signed line: positive adds to the account, in its own currency."""

    account: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Entry:
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


@dataclass(slots=True)
class State:
    """Where an account stands. Version 0 means that nothing was ever posted to it."""

    currency: str
    balance: int = 0
    version: int = 0


AccountKey: TypeAlias = tuple[Book, str]


class Reason(StrEnum):
    """Why an order was not posted."""

    NO_WALLET = "no_wallet"
    SHORT_FUNDS = "short_funds"
    ALREADY_USED = "already_used"
    """The externalId has a live operation already; `existing_id` names it."""
    STATE_CHANGED = "state_changed"
    """The record is no longer in a status from which this can happen."""
    CLASH = "clash"
    """A reference that was drawn at random exists already: draw another."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an order: posted, or not and why."""

    reason: Reason | None = None
    existing_id: UUID | None = None

    @property
    def posted(self) -> bool:
        return self.reason is None


POSTED = Verdict()


@dataclass(frozen=True, slots=True)
class Order(Generic[R]):
    """An entry to post and the record that goes with it; either may be all there is to do.

    `claim` is what two orders of one batch may not both have: an externalId, or the right to close
    a payout. Across batches the record's own constraints hold the same line.
    """

    book: Book
    id: UUID
    entry: Entry | None
    record: R
    claim: tuple[object, ...] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A posting as it is written, with what its account came to."""

    book: Book
    entry: Entry
    posting: Posting
    balance_after: int
    version: int


@dataclass(slots=True)
class Judgement:
    """The verdict on each order of a batch, and the lines of those that are posted."""

    verdicts: list[Verdict] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    touched: set[AccountKey] = field(default_factory=set)


def has_floor(account: str) -> bool:
    """Wallets and reserved money never go below zero; house accounts may."""
    return account.startswith(("wallet:", "reserved:"))


def account_keys(orders: Iterable[Order[R]]) -> set[AccountKey]:
    """Every account that the orders would touch."""
    return {
        (order.book, posting.account)
        for order in orders
        if order.entry is not None
        for posting in order.entry.postings
    }


def judge(
    orders: Sequence[Order[R]],
    refused: Mapping[int, Verdict],
    accounts: Mapping[AccountKey, State],
) -> Judgement:
    """Decide each order in the order of arrival. `accounts` moves on as orders are accepted.

    `refused` holds the verdicts that the records themselves gave, by position in the batch.
    """
    judgement = Judgement()
    claimed: dict[tuple[object, ...], Order[R]] = {}
    for position, order in enumerate(orders):
        verdict = refused.get(position) or _verdict(order, claimed, accounts)
        judgement.verdicts.append(verdict)
        if not verdict.posted:
            continue
        # After this point the entry must succeed.
        if order.claim is not None:
            claimed[order.book, *order.claim] = order
        if order.entry is not None:
            _apply(order.book, order.entry, accounts, judgement)
    return judgement


def _verdict(
    order: Order[R],
    claimed: Mapping[tuple[object, ...], Order[R]],
    accounts: Mapping[AccountKey, State],
) -> Verdict:
    if order.claim is not None:
        earlier = claimed.get((order.book, *order.claim))
        if earlier is not None:
            return Verdict(Reason.ALREADY_USED, earlier.id)
    if order.entry is None:
        return POSTED
    for posting in order.entry.postings:
        if posting.amount.minor >= 0 or not has_floor(posting.account):
            continue
        state = accounts[order.book, posting.account]
        if state.version == 0:
            return Verdict(Reason.NO_WALLET)
        if state.balance + posting.amount.minor < 0:
            return Verdict(Reason.SHORT_FUNDS)
    return POSTED


def _apply(
    book: Book, entry: Entry, accounts: Mapping[AccountKey, State], judgement: Judgement
) -> None:
    for posting in entry.postings:
        key = (book, posting.account)
        state = accounts[key]
        if state.currency != posting.amount.currency:
            raise ValueError(f"{posting.account} is not kept in {posting.amount.currency}")
        state.balance += posting.amount.minor
        state.version += 1
        judgement.touched.add(key)
        judgement.lines.append(Line(book, entry, posting, state.balance, state.version))
