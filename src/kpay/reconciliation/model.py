"""The rules of reconciliation: what a rail moved under a reference against what our books say.

Both sides are sums in hundredths of one currency, as they change what the rail holds for us: money
in is above zero, money out below. A day's cut is the midnight that ends it. Pure.

Two sums explain the float to the franc. With `R` what the rail's statement says that it holds and
`O` what our books say, and with the figures of the midnight before the first statement,

    R - O = (R - O at first) + lines that are no operations + sum of (theirs - ours) of every break

where a break is every reference whose two sums differ at the cut, be it for a night only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.contradictions.model import What
from kpay.core.book import Book
from kpay.core.words import to_say
from kpay.instructions.model import Status


class Kind(StrEnum):
    """How the two sides of a reference differ."""

    MISSING_HERE = "missing_here"
    """The rail has moved money and our books have not."""
    MISSING_THERE = "missing_there"
    """Our books have moved money and no line of the rail says so."""
    DIFFERENT_AMOUNT = "different_amount"
    """Both have, and not the same."""
    DUPLICATE = "duplicate"
    """The rail has moved all of it more than once."""


class State(StrEnum):
    """How far a break has come."""

    AWAITED = "awaited"
    """The other side may come with the next day: an end on this side of midnight only."""
    OPEN = "open"
    """A person has to look."""
    CLOSED = "closed"
    """The two sides agree now, or an operator has said why they do not."""


class Theirs(msgspec.Struct, frozen=True):
    """What the lines of one reference come to, up to the cut."""

    moved: int = 0
    lines: int = 0


class Ours(msgspec.Struct, frozen=True):
    """The operation that a reference is of. `moves` is what it moves when it is complete."""

    book: Book
    id: UUID
    type: OperationType
    status: Status
    moves: int
    submitted_at: datetime | None
    ended_at: datetime | None
    earlier_choice: bool = False
    """The rail refused it, and another choice of its page, or another rail, came after it."""
    elsewhere: bool = False
    """It was to go through another wallet, or through another rail."""

    @property
    def completed_at(self) -> datetime | None:
        """When it moved money by our books, of what was to go through this wallet."""
        if self.status is not Status.COMPLETED or self.earlier_choice or self.elsewhere:
            return None
        return self.ended_at


class Cut(msgspec.Struct, frozen=True):
    """The day that is judged, and the first one of which there is a statement."""

    day: date
    first: date

    @property
    def start(self) -> datetime:
        return midnight(self.day)

    @property
    def end(self) -> datetime:
        return midnight(self.day + timedelta(days=1))

    @property
    def beginning(self) -> datetime:
        """Nothing before is known of the rail."""
        return midnight(self.first)


class Finding(msgspec.Struct, frozen=True):
    """What one reference comes to at a cut; without a kind both sides agree."""

    kind: Kind | None = None
    state: State = State.CLOSED
    theirs: int = 0
    ours: int = 0
    note: str | None = None
    """Why it is closed though the sides differ, where the program itself can say so."""
    contradiction: What | None = None


class Standing(msgspec.Struct, frozen=True):
    """A break as it is on record."""

    state: State
    theirs: int
    ours: int
    found_on: date

    def agrees_with(self, finding: Finding) -> bool:
        return (self.theirs, self.ours) == (finding.theirs, finding.ours)


AGREES = Finding()

BEFORE_STATEMENTS = to_say(
    "It was under way before the first statement, and the other side is older."
)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def judge(theirs: Theirs, ours: Ours | None, cut: Cut, found_on: date | None = None) -> Finding:
    """What one reference comes to at a cut. `found_on` is the day on which it was a break first.

    Lines around midnight are held against the next day before they are called missing, and what
    was under way before the first statement cannot be judged: its line may be in none.
    """
    counted = _counted(ours, cut)
    if theirs.moved == counted:
        return AGREES
    found = Finding(_kind(theirs, counted), State.OPEN, theirs.moved, counted)
    if _is_older(theirs, ours, cut):
        return msgspec.structs.replace(found, state=State.CLOSED, note=BEFORE_STATEMENTS)
    if _may_still_come(theirs, ours, cut) and found_on in (None, cut.day):
        return msgspec.structs.replace(found, state=State.AWAITED)
    return msgspec.structs.replace(found, contradiction=_contradiction(theirs, ours))


def settles(standing: Standing | None, finding: Finding) -> bool:
    """Whether a break that is on record ends because both sides agree now."""
    return standing is not None and finding.kind is None and standing.theirs != standing.ours


def changes(standing: Standing | None, finding: Finding) -> bool:
    """Whether a finding is to be written. What an operator closed stays closed while it is so."""
    if finding.kind is None:
        return False
    if standing is None or not standing.agrees_with(finding):
        return True
    return standing.state is State.AWAITED and finding.state is not State.AWAITED


def found_on(standing: Standing | None) -> date | None:
    """Since when a break is looked at: a closed one begins anew."""
    return None if standing is None or standing.state is State.CLOSED else standing.found_on


def _counted(ours: Ours | None, cut: Cut) -> int:
    """What our books have moved between the first statement and the cut."""
    completed_at = None if ours is None else ours.completed_at
    if ours is None or completed_at is None:
        return 0
    return ours.moves if cut.beginning <= completed_at < cut.end else 0


def _kind(theirs: Theirs, counted: int) -> Kind:
    if not counted:
        return Kind.MISSING_HERE
    if not theirs.moved:
        return Kind.MISSING_THERE
    whole, rest = divmod(theirs.moved, counted)
    return Kind.DUPLICATE if whole > 1 and not rest else Kind.DIFFERENT_AMOUNT


def _is_older(theirs: Theirs, ours: Ours | None, cut: Cut) -> bool:
    """Whether one side of it may be from before the first statement."""
    if ours is None:
        return False
    completed_at = ours.completed_at
    if completed_at is not None and completed_at < cut.beginning:
        return theirs.moved == ours.moves
    begun_before = ours.submitted_at is not None and ours.submitted_at < cut.beginning
    return begun_before and completed_at is not None and not theirs.moved


def _may_still_come(theirs: Theirs, ours: Ours | None, cut: Cut) -> bool:
    """Whether the next day can make both sides agree without anybody having done wrong."""
    if ours is None or ours.earlier_choice or ours.elsewhere:
        return False
    if ours.status in (Status.FAILED, Status.CANCELLED):
        return False
    completed_at = ours.completed_at
    if completed_at is None or completed_at >= cut.end:
        # Not complete at the cut: asked about still, or between midnight and now.
        return theirs.moved == ours.moves
    # The rail's moment may be on the other side of midnight, by its own clock.
    return not theirs.moved


def _contradiction(theirs: Theirs, ours: Ours | None) -> What | None:
    """What the statement says against how an operation stands, for the operator to settle."""
    if ours is None or not theirs.moved:
        return None
    if ours.earlier_choice:
        return What.PAID_AFTER_REFUSED
    if ours.elsewhere or theirs.moved != ours.moves:
        return What.PAID_DIFFERENTLY
    match ours.status:
        case Status.FAILED:
            return What.PAID_AFTER_FAILED
        case Status.CANCELLED:
            return What.PAID_AFTER_CANCELLED
        case _:
            return None


def signed(type_: OperationType, minor: int) -> int:
    """What an operation does to what the rail holds for us."""
    return minor if type_ is OperationType.DEPOSIT else -minor


_NEXT: Mapping[Kind, str] = {
    Kind.MISSING_HERE: to_say(
        "Ask the rail what this line is by its reference. Is it ours and open, the rail is asked "
        "on by itself; did it fail here, it is held as a contradiction; is it nobody's, have the "
        "rail prove it or take it back."
    ),
    Kind.MISSING_THERE: to_say(
        "Ask the rail for the proof of this operation by our reference: it said that it was paid, "
        "and no statement has it. Until then the float is short, or over, by its amount."
    ),
    Kind.DIFFERENT_AMOUNT: to_say(
        "Compare what the rail was told (the operation's attempts) with its line. Have it correct "
        "the line, or claim the difference."
    ),
    Kind.DUPLICATE: to_say(
        "The rail has moved this more than once under one reference. Have it reverse all but one."
    ),
}


def next_action(kind: Kind, *, known: bool) -> str:
    """What an operator does about it, in words. `known` is whether our books have the reference."""
    if kind is Kind.MISSING_HERE and not known:
        return to_say(
            "No operation of ours has this reference. Have the rail say who asked for it: if it is "
            "not a test of its own, somebody else may be using our account."
        )
    return _NEXT[kind]
