"""What is a break and what is not; and that breaks explain the float to the franc, always.

Histories are drawn: a rail and our books that each move what they like on the day they like, lines
that come later or never, operations that end before or after them. Day by day they are matched as
the program does it, with the rules alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.catalogue.model import OperationType
from kpay.contradictions.model import What
from kpay.core.book import Book, Environment
from kpay.instructions.model import Status
from kpay.reconciliation.model import (
    AGREES,
    Cut,
    Finding,
    Kind,
    Ours,
    Standing,
    State,
    Theirs,
    changes,
    found_on,
    judge,
    midnight,
    next_action,
    settles,
    signed,
)

FIRST = date(2026, 6, 20)
DAY = date(2026, 6, 22)
CUT = Cut(DAY, FIRST)
ONE_DAY = timedelta(days=1)
NOON = datetime(2026, 6, 22, 12, tzinfo=UTC)
NEXT_DAY = datetime(2026, 6, 23, 0, 0, 5, tzinfo=UTC)
BEFORE = datetime(2026, 6, 19, 23, 59, tzinfo=UTC)
BOOK = Book(UUID(int=1), Environment.PRODUCTION)
PAID = -1_000


def ours(
    status: Status = Status.COMPLETED,
    ended_at: datetime | None = NOON,
    submitted_at: datetime = NOON,
    *,
    earlier_choice: bool = False,
    elsewhere: bool = False,
) -> Ours:
    """A payout of 10."""
    return Ours(
        book=BOOK,
        id=UUID(int=2),
        type=OperationType.PAYOUT,
        status=status,
        moves=PAID,
        submitted_at=submitted_at,
        ended_at=ended_at,
        earlier_choice=earlier_choice,
        elsewhere=elsewhere,
    )


def told(moved: int = PAID) -> Theirs:
    return Theirs(moved, 1)


def test_the_same_on_both_sides_agrees() -> None:
    assert judge(told(), ours(), CUT) is AGREES


def test_what_moved_on_neither_side_agrees() -> None:
    """It failed here, and the rail took back what it had moved."""
    for status in (Status.FAILED, Status.CANCELLED, Status.PROCESSING):
        assert judge(Theirs(0, 2), ours(status), CUT) is AGREES


def test_around_midnight_the_other_side_is_awaited_for_a_day_and_then_missing() -> None:
    here_later = ours(ended_at=NEXT_DAY)
    there_later = Theirs()

    assert judge(told(), here_later, CUT).state is State.AWAITED
    assert judge(there_later, ours(), CUT).state is State.AWAITED
    after = Cut(DAY + ONE_DAY, FIRST)
    assert judge(told(), here_later, after, DAY) is AGREES
    missing = judge(there_later, ours(), after, DAY)
    assert (missing.kind, missing.state) == (Kind.MISSING_THERE, State.OPEN)


def test_what_is_asked_about_still_is_awaited_for_a_day_and_then_missing_here() -> None:
    under_way = ours(Status.PROCESSING, None)

    assert judge(told(), under_way, CUT).state is State.AWAITED
    missing = judge(told(), under_way, Cut(DAY + ONE_DAY, FIRST), DAY)
    assert (missing.kind, missing.state) == (Kind.MISSING_HERE, State.OPEN)
    assert missing.contradiction is None


def test_a_line_of_nobody_is_missing_here_at_once() -> None:
    found = judge(told(), None, CUT)

    assert found == Finding(Kind.MISSING_HERE, State.OPEN, theirs=PAID)


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        (ours(Status.FAILED), What.PAID_AFTER_FAILED),
        (ours(Status.CANCELLED), What.PAID_AFTER_CANCELLED),
        (ours(earlier_choice=True), What.PAID_AFTER_REFUSED),
        (ours(elsewhere=True), What.PAID_DIFFERENTLY),
    ],
)
def test_what_the_rail_moved_of_something_settled_otherwise_is_a_contradiction(
    operation: Ours, what: What
) -> None:
    found = judge(told(), operation, CUT)

    assert (found.kind, found.state) == (Kind.MISSING_HERE, State.OPEN)
    assert found.contradiction is what


@pytest.mark.parametrize(
    ("moved", "kind"),
    [
        (-999, Kind.DIFFERENT_AMOUNT),
        (1_000, Kind.DIFFERENT_AMOUNT),
        (-2_000, Kind.DUPLICATE),
        (-3_000, Kind.DUPLICATE),
        (-1_500, Kind.DIFFERENT_AMOUNT),
    ],
)
def test_another_amount_is_told_from_the_same_one_twice(moved: int, kind: Kind) -> None:
    found = judge(told(moved), ours(), CUT)

    assert (found.kind, found.state) == (kind, State.OPEN)
    assert found.contradiction is What.PAID_DIFFERENTLY


def test_what_was_under_way_before_the_first_statement_is_no_break() -> None:
    begun = ours(submitted_at=BEFORE, ended_at=NOON)
    ended = ours(submitted_at=BEFORE, ended_at=BEFORE)

    assert judge(Theirs(), begun, CUT).state is State.CLOSED
    assert judge(told(), begun, CUT) is AGREES
    # Its line is late, and the books had it before: the opening difference holds the other half.
    late_line = judge(told(), ended, CUT)
    assert (late_line.state, late_line.theirs, late_line.ours) == (State.CLOSED, PAID, 0)


def test_what_an_operator_closed_stays_closed_until_a_side_changes() -> None:
    finding = judge(told(-999), ours(), CUT)
    closed = Standing(State.CLOSED, finding.theirs, finding.ours, DAY)

    assert not changes(closed, finding)
    assert not settles(closed, finding)
    assert changes(closed, judge(told(-998), ours(), CUT))
    assert settles(closed, judge(told(), ours(), CUT))


def test_each_kind_says_what_to_do() -> None:
    assert all(
        next_action(kind, known=known).endswith(".") for kind in Kind for known in (False, True)
    )


# Whole histories.


@dataclass
class Known:
    """One reference: what the rail moved on which days, and how it ended here."""

    type: OperationType
    amount: int
    submitted: int
    lines: list[tuple[int, int]]
    """The day of each, and what it moved."""
    ended: int | None
    status: Status

    def theirs(self, day: int) -> Theirs:
        seen = [moved for on, moved in self.lines if 0 <= on <= day]
        return Theirs(sum(seen), len(seen))

    def ours(self, day: int) -> Ours:
        """As it stands some time after the day, when that is matched."""
        over = self.ended is not None and self.ended <= day + 1
        return Ours(
            book=BOOK,
            id=UUID(int=1),
            type=self.type,
            status=self.status if over else Status.PROCESSING,
            moves=signed(self.type, self.amount),
            submitted_at=moment(self.submitted),
            ended_at=moment(self.ended) if over and self.ended is not None else None,
        )

    def counted(self, since: int, until: int) -> int:
        """What our books moved on the days from `since` to `until`."""
        done = self.status is Status.COMPLETED and self.ended is not None
        if not done or self.ended is None or not since <= self.ended <= until:
            return 0
        return signed(self.type, self.amount)


def moment(day: int) -> datetime:
    return midnight(FIRST + day * ONE_DAY) + timedelta(hours=9)


@st.composite
def known(draw: st.DrawFn) -> Known:
    type_ = draw(st.sampled_from(OperationType))
    amount = draw(st.integers(1, 50))
    submitted = draw(st.integers(-3, 5))
    status = draw(st.sampled_from([Status.COMPLETED, Status.FAILED, Status.CANCELLED]))
    ended = draw(st.none() | st.integers(submitted, submitted + 4))
    usual = signed(type_, amount)
    moved = st.sampled_from([usual, usual, usual, -usual, usual + 1])
    lines = draw(st.lists(st.tuples(st.integers(submitted, submitted + 3), moved), max_size=3))
    return Known(type_, amount, submitted, lines, ended, status)


@given(operations=st.lists(known(), max_size=6), others=st.lists(st.integers(-50, 50), max_size=8))
def test_at_every_midnight_the_breaks_explain_the_difference_to_the_franc(
    operations: list[Known], others: list[int]
) -> None:
    standing: dict[int, Standing] = {}
    held_before = sum(moved for one in operations for on, moved in one.lines if on < 0)
    booked_before = sum(one.counted(-99, -1) for one in operations)
    for day in range(10):
        cut = Cut(FIRST + day * ONE_DAY, FIRST)
        for number, one in enumerate(operations):
            before = standing.get(number)
            finding = judge(one.theirs(day), one.ours(day), cut, found_on(before))
            if settles(before, finding):
                moved = one.theirs(day).moved
                standing[number] = Standing(State.CLOSED, moved, moved, cut.day)
            elif changes(before, finding):
                first = found_on(before) or cut.day
                standing[number] = Standing(finding.state, finding.theirs, finding.ours, first)
        held = held_before + sum(one.theirs(day).moved for one in operations)
        held += sum(others[: day + 1])
        booked = booked_before + sum(one.counted(0, day) for one in operations)

        explained = held_before - booked_before + sum(others[: day + 1])
        explained += sum(one.theirs - one.ours for one in standing.values())

        assert held - booked == explained
        # What is awaited was found on this very day: it waits for no more than the next.
        waiting = [one for one in standing.values() if one.state is State.AWAITED]
        assert all(one.found_on == cut.day for one in waiting)


@given(operation=known())
def test_once_both_sides_have_said_the_same_nothing_is_open(operation: Known) -> None:
    """A rail that moves what it said once, and our books that end as it did."""
    operation.submitted = max(operation.submitted, 0)
    operation.ended = operation.submitted + 1
    completed = operation.status is Status.COMPLETED
    usual = signed(operation.type, operation.amount)
    operation.lines = [(operation.submitted, usual)] if completed else []

    finding = judge(operation.theirs(9), operation.ours(9), Cut(FIRST + 9 * ONE_DAY, FIRST))

    assert finding is AGREES
