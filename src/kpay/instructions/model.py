"""The life of an instruction at a rail: its statuses, its one transition table, its timers.

Payments, payouts and refunds share it: each is handed to a rail, asked about, and ends once. Pure
rules; the same table is held by the trigger `instructions_steps`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import CancelAnswer, Cancelling, Declined
from kpay.connectors.model import (
    Accepted,
    Instruction,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
    outcome_evidence,
    storable_evidence,
    storable_text,
)
from kpay.contradictions.model import What
from kpay.core.book import Book
from kpay.core.money import Money
from kpay.rates.model import Quote

A = TypeVar("A")


class Status(StrEnum):
    """What a merchant sees."""

    PENDING = "PENDING"
    """Recorded, and what goes out is held; no rail has it now. It can be cancelled."""
    PROCESSING = "PROCESSING"
    """Handed to a rail, or about to be: only the rail's answer ends it now."""
    COMPLETED = "COMPLETED"
    """The money moved."""
    FAILED = "FAILED"
    """The money did not move and will not; `failure_code` says why."""
    CANCELLED = "CANCELLED"
    """Called back while no rail had it."""


class Event(StrEnum):
    """What can happen to an instruction."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    CHOOSE = "choose"
    EXPIRE = "expire"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    PAID = "paid"
    REFUSED = "refused"
    REOPEN = "reopen"
    """Refused, and on a hosted page another operator or number can still be tried."""
    ONWARD = "onward"
    """Refused for a reason of the rail's own, and another rail can be tried."""
    OVERDUE = "overdue"
    """Its deadline has passed, and no rail was told of it."""


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.PENDING, Event.SUBMIT): Status.PROCESSING,
    (Status.PENDING, Event.CANCEL): Status.CANCELLED,
    (Status.PENDING, Event.CHOOSE): Status.PROCESSING,
    (Status.PENDING, Event.EXPIRE): Status.FAILED,
    (Status.PENDING, Event.OVERDUE): Status.FAILED,
    (Status.PROCESSING, Event.SUBMIT): Status.PROCESSING,
    (Status.PROCESSING, Event.ACCEPTED): Status.PROCESSING,
    (Status.PROCESSING, Event.UNKNOWN): Status.PROCESSING,
    (Status.PROCESSING, Event.PAID): Status.COMPLETED,
    (Status.PROCESSING, Event.REFUSED): Status.FAILED,
    (Status.PROCESSING, Event.REOPEN): Status.PENDING,
    (Status.PROCESSING, Event.ONWARD): Status.PROCESSING,
    (Status.PROCESSING, Event.OVERDUE): Status.FAILED,
}

# These happen to what has a hosted page only; the trigger holds that too.
HOSTED_EVENTS = frozenset({Event.CHOOSE, Event.EXPIRE, Event.REOPEN})
# And this to what has a deadline only.
DEADLINE_EVENTS = frozenset({Event.OVERDUE})

ENDS = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

# What an instruction carries out, as the types of events call it.
_SUBJECTS = {
    OperationType.DEPOSIT: "payment",
    OperationType.PAYOUT: "payout",
    OperationType.REFUND: "refund",
}


class Action(StrEnum):
    """What comes next: an attempt that hands over or asks what became of it, or the payer."""

    CHOOSE = "choose"
    """Nothing is done until somebody has chosen on the hosted page, or its time is over."""
    SUBMIT = "submit"
    CHECK = "check"
    CANCEL = "cancel"
    """Never what comes next: an attempt between two others, which a merchant or a deadline brings
    about.
    """


class Progress(msgspec.Struct, frozen=True):
    """How far an instruction has come, as its payment, payout or refund shows it."""

    status: Status
    reference: UUID
    failure_code: str | None = None
    ended_at: datetime | None = None
    connector: str | None = None
    """The rail that has it, or had it when it ended."""


class Agreed(Protocol):
    """What an instruction carries out: a payment, a payout or a refund, as it was agreed."""

    @property
    def book(self) -> Book: ...

    @property
    def id(self) -> UUID: ...

    @property
    def public_id(self) -> str: ...

    @property
    def hosted(self) -> Hosted | None: ...


class Tracked(msgspec.Struct, Generic[A], frozen=True):
    """A payment, a payout or a refund, and how far it has come."""

    agreed: A
    progress: Progress


class Hosted(msgspec.Struct, frozen=True):
    """What is known of an operation's hosted page. `choice` counts what was chosen there so far."""

    expires_at: datetime
    choice: int = 0

    def admits_another(self, now: datetime) -> bool:
        """Whether something else can still be chosen after a refusal."""
        return now < self.expires_at and self.choice < MOST_CHOICES


class Choice(msgspec.Struct, frozen=True):
    """What was picked on a hosted page; a beneficiary's has its price as well.

    `sent` is what the rail is told; `payout_amount` what arrives, before the operator's decimals.
    """

    provider: str
    country: str
    phone_number: str
    reference: UUID
    sent: Money
    payout_amount: Money | None = None
    quote: Quote | None = None
    queue_minutes: int | None = None
    """How long it may wait at a rail from then on, if there is a bound to that."""


class Overdue(msgspec.Struct, frozen=True):
    """An instruction whose deadline has passed. `at_rail` where a rail may have heard of it."""

    book: Book
    id: UUID
    status: Status
    at_rail: bool


class Onward(msgspec.Struct, frozen=True):
    """Where something goes on that one rail has refused: the next rail, and our reference there."""

    connector: str
    reference: UUID


class Claim(msgspec.Struct, frozen=True):
    """The right to make one attempt, already on record: the intent is committed before the call."""

    id: UUID
    number: int
    action: Action
    instruction: Instruction
    connector: str | None = None
    """The connector that it was first handed to, or is to be: nobody else has heard of it."""

    @property
    def book(self) -> Book:
        return self.instruction.book

    @property
    def type(self) -> OperationType:
        return self.instruction.type


class Step(msgspec.Struct, frozen=True):
    """One change of an instruction, with the attempt that brought it about, if one did."""

    book: Book
    id: UUID
    type: OperationType
    expected: Status
    status: Status
    at: datetime
    due_at: datetime | None = None
    next_action: Action = Action.CHECK
    failure_code: str | None = None
    attempt: int | None = None
    outcome: Outcome | None = None
    onward: Onward | None = None
    overdue_code: str | None = None
    """The failure code instead, where the rail was asked to cancel it because of its deadline."""

    @property
    def event_type(self) -> str | None:
        """What the merchant must hear of an end; of a step on the way, nothing."""
        if self.status not in ENDS:
            return None
        return f"{_SUBJECTS[self.type]}.{self.status.lower()}"

    @property
    def contradiction(self) -> What | None:
        """What the answer says against what the rail was told, if it does."""
        outcome = self.outcome
        if isinstance(outcome, Unknown) and outcome.contradicts:
            return What.PAID_DIFFERENTLY
        return None


def contradiction(late: Step, standing: Status) -> What | None:
    """What an answer that changes nothing says against how its instruction stands.

    Only a definite answer says anything.
    """
    match late.outcome:
        case Paid():
            return _AGAINST_PAID.get(standing)
        case Refused() if standing is Status.COMPLETED:
            return What.REFUSED_AFTER_COMPLETED
        case _:
            return late.contradiction


def contradiction_of_earlier_reference(late: Step) -> What | None:
    """The same of an answer about an earlier choice of a hosted page, or from an earlier rail,
    however the last one stands.

    The rail has refused it: nothing else can be chosen, or goes on, before that.
    """
    return What.PAID_AFTER_REFUSED if isinstance(late.outcome, Paid) else late.contradiction


_AGAINST_PAID = {
    Status.FAILED: What.PAID_AFTER_FAILED,
    Status.CANCELLED: What.PAID_AFTER_CANCELLED,
    # Back on its hosted page after a refusal.
    Status.PENDING: What.PAID_AFTER_REFUSED,
}

# A reference that a rail says it never saw may still be on its way; pawaPay asks for 15 minutes.
NOT_FOUND_IS_FINAL_AFTER = timedelta(minutes=15)
NEVER_ARRIVED = "NOT_FOUND"

# How often a payer may try on one page, and what is said when none of it was in time.
MOST_CHOICES = 10
EXPIRED = "EXPIRED"

# What was not paid by its deadline failed for that, and a rail that can cancel nothing says so.
DEADLINE_PASSED = "DEADLINE_PASSED"
CANNOT_CANCEL = "CANNOT_CANCEL"

# When a rail is asked once more about what went on elsewhere. And however often one calls back
# about what is over, it is asked about it no more often than this.
ASKED_AGAIN_AFTER = timedelta(minutes=15)

# How long a claim holds: longer than the longest call, so that nobody else asks meanwhile.
CLAIM = timedelta(seconds=60)

_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=15)
# Whatever a rail advises, it is not asked without pause, and not forgotten.
_SHORTEST_WAIT = timedelta(milliseconds=100)
_MOST_DOUBLINGS = 16


def ran_out(claim: Claim, now: datetime) -> bool:
    """Whether it is too late to hand over what was claimed for that.

    A process may be stopped for any time between its claim and its call. When the claim has run
    out, another may have handed the same thing over, been told that it never arrived, and given
    the money back: what arrives now would be paid all the same. To ask too late does no harm.
    """
    return claim.action is Action.SUBMIT and now - claim.instruction.submitted_at >= CLAIM


def event_of(outcome: Outcome, instruction: Instruction, now: datetime) -> Event:
    """What an outcome means. Only a definite answer ends anything (promise 5)."""
    match outcome:
        case Paid():
            return Event.PAID
        case Refused():
            return Event.REFUSED
        case NotFound() if now - instruction.submitted_at >= NOT_FOUND_IS_FINAL_AFTER:
            return Event.REFUSED
        case Accepted():
            return Event.ACCEPTED
        case _:
            return Event.UNKNOWN


def step_after(
    claim: Claim,
    outcome: Outcome,
    now: datetime,
    hosted: Hosted | None = None,
    onward: Onward | None = None,
) -> Step:
    """The change that an attempt's outcome brings about, and when to look again.

    What a rail has refused for certain goes on at the next rail, if there is one for it. Else it
    goes back to its hosted page, if it has one that is open; what never arrived anywhere does not:
    of that we know less. Nor does what was cancelled there.
    """
    if onward is not None:
        return _going_on(claim, outcome, now, onward)
    event = event_of(outcome, claim.instruction, now)
    if (
        isinstance(outcome, Refused)
        and not _was_cancelled(outcome)
        and hosted is not None
        and hosted.admits_another(now)
    ):
        return _reopening(claim, outcome, now, hosted)
    status = TRANSITIONS[Status.PROCESSING, event]
    failure_code = None
    if event is Event.REFUSED:
        failure_code = (
            storable_text(outcome.code) if isinstance(outcome, Refused) else NEVER_ARRIVED
        )
    return Step(
        book=claim.book,
        id=claim.id,
        type=claim.type,
        expected=Status.PROCESSING,
        status=status,
        at=now,
        due_at=None if status in ENDS else now + wait_before(claim.number, outcome),
        # What the rail never saw is handed over again, under the same reference.
        next_action=Action.SUBMIT if isinstance(outcome, NotFound) else Action.CHECK,
        failure_code=failure_code,
        attempt=claim.number,
        outcome=outcome,
        # Whether it was we who had it cancelled, and why, the attempts before this one tell.
        overdue_code=DEADLINE_PASSED if _was_cancelled(outcome) else None,
    )


def _going_on(claim: Claim, outcome: Outcome, now: datetime, onward: Onward) -> Step:
    """To the next rail at once; what is held stays held, and nobody is told of an end."""
    return Step(
        book=claim.book,
        id=claim.id,
        type=claim.type,
        expected=Status.PROCESSING,
        status=TRANSITIONS[Status.PROCESSING, Event.ONWARD],
        at=now,
        due_at=now,
        next_action=Action.SUBMIT,
        attempt=claim.number,
        outcome=outcome,
        onward=onward,
    )


def _was_cancelled(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.cancelled


def _reopening(claim: Claim, outcome: Refused, now: datetime, hosted: Hosted) -> Step:
    """Back to the page, which says why, for as long as it would have been open anyway."""
    return Step(
        book=claim.book,
        id=claim.id,
        type=claim.type,
        expected=Status.PROCESSING,
        status=TRANSITIONS[Status.PROCESSING, Event.REOPEN],
        at=now,
        due_at=hosted.expires_at,
        next_action=Action.CHOOSE,
        failure_code=storable_text(outcome.code),
        attempt=claim.number,
        outcome=outcome,
    )


def expiry(book: Book, instruction_id: UUID, type_: OperationType, now: datetime) -> Step:
    """The end of what was not chosen in time on its hosted page."""
    return Step(
        book=book,
        id=instruction_id,
        type=type_,
        expected=Status.PENDING,
        status=TRANSITIONS[Status.PENDING, Event.EXPIRE],
        at=now,
        failure_code=EXPIRED,
    )


def overdue(late: Overdue, type_: OperationType, now: datetime) -> Step:
    """The end of what no rail was told of by its deadline.

    That none was is seen once more under the lock with which it is written.
    """
    return Step(
        book=late.book,
        id=late.id,
        type=type_,
        expected=late.status,
        status=TRANSITIONS[late.status, Event.OVERDUE],
        at=now,
        failure_code=DEADLINE_PASSED,
    )


def cancellation(book: Book, instruction_id: UUID, type_: OperationType, now: datetime) -> Step:
    """Calling back what no rail has."""
    return Step(
        book=book,
        id=instruction_id,
        type=type_,
        expected=Status.PENDING,
        status=TRANSITIONS[Status.PENDING, Event.CANCEL],
        at=now,
    )


def wait_before(attempts: int, outcome: Outcome) -> timedelta:
    """How long until the next attempt: what the rail advises, else doubling up to a bound."""
    if isinstance(outcome, Accepted | Unknown) and outcome.ask_after is not None:
        return min(max(outcome.ask_after, _SHORTEST_WAIT), _LONGEST_WAIT)
    doublings = min(attempts - 1, _MOST_DOUBLINGS)
    return min(_FIRST_WAIT * (1 << doublings), _LONGEST_WAIT)


def outcome_name(outcome: Outcome) -> str:
    """The word that an attempt is recorded with."""
    match outcome:
        case Accepted():
            return "accepted"
        case Paid():
            return "paid"
        case Refused():
            return "refused"
        case NotFound():
            return "not_found"
        case Unknown():
            return "unknown"


def cancelling_name(answer: CancelAnswer) -> str:
    """The word that an attempt to have something cancelled is recorded with."""
    match answer:
        case Cancelling():
            return "accepted"
        case Declined():
            return "declined"
        case Unknown():
            return "unknown"


def cancelling_evidence(answer: CancelAnswer) -> dict[str, Any]:
    """What came back, as it is kept with that attempt."""
    match answer:
        case Declined():
            return storable_evidence({**answer.raw, "failureCode": answer.code})
        case Cancelling():
            return storable_evidence(answer.raw)
        case Unknown():
            return outcome_evidence(answer)
