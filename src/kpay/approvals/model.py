"""Approval by a second person: the rules that say what needs it, and the requests for it. Pure.

Amounts are what leaves a wallet, fees with it, in the wallet's own currency. A request holds no
money: it says what somebody would move, and what that came to when they asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.people.model import RIGHTS, Right, Role

# Somebody who is asked on a Friday can still decide on Monday.
LIFE = timedelta(hours=72)
MOST_REASON = 200

OTHERS = "*"
"""Each currency that has no rule of its own."""

_NO_RULES: Mapping[str, int] = {}


class Rules(msgspec.Struct, frozen=True):
    """What of an application needs approval in one environment; each version is whole.

    `above` has the amount in minor units, by currency, above which it does; 0 is everything. What
    is in another currency needs it always where `others` says so, and else never.
    """

    version: int = 0
    above: Mapping[str, int] = _NO_RULES
    others: bool = False

    def limit(self, currency: str) -> Money | None:
        """What one person may move alone; None for any amount."""
        if currency in self.above:
            return Money(self.above[currency], currency)
        return Money(0, currency) if self.others else None

    def need(self, amount: Money) -> bool:
        """Whether so much leaves a wallet only with another person's approval."""
        limit = self.limit(amount.currency)
        return limit is not None and amount.minor > limit.minor

    def protects_less_than(self, before: Rules) -> bool:
        """Whether in any currency one person could move more alone than before."""
        currencies = (*self.above, *before.above, OTHERS)
        return any(_higher(self.limit(each), before.limit(each)) for each in currencies)

    def says_as(self, other: Rules) -> bool:
        """Whether both say the same, whichever version they are."""
        return (self.above, self.others) == (other.above, other.others)

    def spelled(self) -> dict[str, str]:
        """The rules as a request keeps them; `read_rules` reads it."""
        named = {currency: str(minor) for currency, minor in self.above.items()}
        return {"version": str(self.version), **named, **({OTHERS: "0"} if self.others else {})}


def read_rules(spelled: Mapping[str, str]) -> Rules:
    """What `Rules.spelled` has written."""
    named = {name: text for name, text in spelled.items() if name not in ("version", OTHERS)}
    above = {currency: int(minor) for currency, minor in named.items()}
    return Rules(int(spelled["version"]), above, OTHERS in spelled)


def _higher(limit: Money | None, before: Money | None) -> bool:
    return before is not None and (limit is None or limit.minor > before.minor)


class Kind(StrEnum):
    """What is asked for. The words are kept in the database and never change."""

    TRANSFER = "transfer"
    PAYOUT = "payout"
    REFUND = "refund"
    RULES = "rules"
    """Other rules, which protect less than those in force."""


class Outcome(StrEnum):
    """How a request has ended."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    """By who had asked."""
    EXPIRED = "EXPIRED"


class Shown(msgspec.Struct, frozen=True):
    """What a movement came to when somebody looked at it."""

    source: str
    amount: Money
    destination: str | None = None
    fee: Money | None = None
    rate: str | None = None
    """With all its digits; None within one currency."""
    arrives: Money | None = None
    left: Money | None = None
    """What the wallet then had left to use."""
    operator: str | None = None
    phone_number: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a request is made and decided: a book, by the names that the audit log tells."""

    book: Book
    company_id: UUID
    application: str


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for. Sent again with the same `id` it is the same request."""

    id: UUID
    kind: Kind
    asked: Mapping[str, str]
    """What the form said."""
    shown: Shown | None = None
    payment_id: UUID | None = None


class Ended(msgspec.Struct, frozen=True):
    """How a request ended; nobody ended one that has run out."""

    outcome: Outcome
    at: datetime
    by: UUID | None = None
    name: str | None = None
    reason: str | None = None
    operation_id: UUID | None = None


class Approval(msgspec.Struct, frozen=True):
    """A request for approval, and how it ended once it has."""

    book: Book
    wanted: Wanted
    asked_by: UUID
    asker: str
    """The person's name."""
    asker_role: Role | None
    """What who asked is in the company now; None for who is no longer there."""
    asked_at: datetime
    ends_at: datetime
    ended: Ended | None = None

    @property
    def id(self) -> UUID:
        return self.wanted.id

    @property
    def kind(self) -> Kind:
        return self.wanted.kind

    def is_open(self, now: datetime) -> bool:
        return self.ended is None and now < self.ends_at

    def outcome(self, now: datetime) -> Outcome | None:
        """How it has ended by now, whether or not the worker has come to write that down."""
        if self.ended is not None:
            return self.ended.outcome
        return None if now < self.ends_at else Outcome.EXPIRED

    @property
    def asker_may(self) -> bool:
        """Whether who asked could still ask for it: a right that was taken away ends at once."""
        needed = Right.APPROVAL_RULES if self.kind is Kind.RULES else Right.MOVE_MONEY
        return self.asker_role is not None and needed in RIGHTS[self.asker_role]

    def check_open(self, now: datetime) -> None:
        """Refuses: not_open."""
        if not self.is_open(now):
            raise no_longer_open()

    def check_decided_by(self, person_id: UUID | None, now: datetime) -> None:
        """Whether this person may decide it. Refuses: not_open, not_allowed."""
        self.check_open(now)
        if person_id is None or person_id == self.asked_by:
            raise Refusal(Code.NOT_ALLOWED, "Who asked for it does not decide it: another does.")

    def check_approved_by(self, person_id: UUID | None, now: datetime) -> None:
        """Whether this person may approve it. Refuses: not_open, not_allowed."""
        self.check_decided_by(person_id, now)
        if not self.asker_may:
            raise Refusal(Code.NOT_ALLOWED, "Who asked for it may not do it any more: reject it.")


def no_longer_open() -> Refusal:
    return Refusal(Code.NOT_OPEN, "This request for approval has ended already.")


def rules_changed() -> Refusal:
    return Refusal(Code.RATE_CHANGED, "The rules have been changed since they were looked at.")


def clean_reason(text: str) -> str:
    """Why something is rejected, as it is kept. Refuses: invalid_parameter."""
    reason = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if not 1 <= len(reason) <= MOST_REASON:
        raise Refusal(
            Code.INVALID_PARAMETER, f"reason must be 1 to {MOST_REASON} printable characters."
        )
    return reason
