"""The life of an instruction: its transition table as drawn in docs/payout.md, and when it may end.

Promise 5: a payout is paid at most once, so FAILED is concluded from a definite answer only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.catalogue.model import OperationType
from kpay.connectors.model import (
    Accepted,
    Instruction,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
    outcome_evidence,
)
from kpay.contradictions.model import What, next_action
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.instructions.model import (
    CLAIM,
    ENDS,
    TRANSITIONS,
    Action,
    Claim,
    Event,
    Overdue,
    Status,
    Step,
    cancellation,
    contradiction,
    contradiction_of_earlier_reference,
    event_of,
    outcome_name,
    overdue,
    ran_out,
    step_after,
    wait_before,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "payout.md"
HANDED_OVER = datetime(2026, 6, 23, 10, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
INSTANT = timedelta(microseconds=1)
BOOK = Book(UUID(int=1), Environment.TEST)
ATTEMPTS = st.integers(1, 200)
AGES = st.timedeltas(timedelta(0), timedelta(days=3_000))


def claim(number: int = 1, action: Action = Action.CHECK) -> Claim:
    instruction = Instruction(
        book=BOOK,
        type=OperationType.PAYOUT,
        reference=UUID(int=2),
        provider="MTN_MOMO_CMR",
        phone_number="237653456789",
        amount=Money(100_000, "XAF"),
        submitted_at=HANDED_OVER,
    )
    return Claim(UUID(int=3), number, action, instruction)


# The transition table.


def diagram() -> str:
    """The table as text: under each status what can happen to it and where that leads."""
    lines = []
    for status in Status:
        lines.append(status.value)
        exits = {event: to for (of, event), to in TRANSITIONS.items() if of is status}
        lines += [f"    {event.value:<9}→ {to.value}" for event, to in exits.items()]
        if not exits:
            lines.append("    the end")
    return "\n".join(lines)


def test_the_diagram_in_the_documentation_is_the_table() -> None:
    assert f"```text\n{diagram()}\n```" in DOCUMENT.read_text(encoding="utf-8")


def test_every_status_has_the_exits_it_is_meant_to_have() -> None:
    exits = {
        status: {(event, to) for (of, event), to in TRANSITIONS.items() if of is status}
        for status in Status
    }

    assert exits == {
        Status.PENDING: {
            (Event.SUBMIT, Status.PROCESSING),
            (Event.CANCEL, Status.CANCELLED),
            (Event.CHOOSE, Status.PROCESSING),
            (Event.EXPIRE, Status.FAILED),
            (Event.OVERDUE, Status.FAILED),
        },
        Status.PROCESSING: {
            (Event.SUBMIT, Status.PROCESSING),
            (Event.ACCEPTED, Status.PROCESSING),
            (Event.UNKNOWN, Status.PROCESSING),
            (Event.PAID, Status.COMPLETED),
            (Event.REFUSED, Status.FAILED),
            (Event.REOPEN, Status.PENDING),
            (Event.ONWARD, Status.PROCESSING),
            (Event.OVERDUE, Status.FAILED),
        },
        Status.COMPLETED: set(),
        Status.FAILED: set(),
        Status.CANCELLED: set(),
    }


def test_the_ends_are_the_statuses_without_a_way_out() -> None:
    assert {status for status in Status if status not in {of for of, _ in TRANSITIONS}} == ENDS


def test_every_status_is_reached_and_every_event_leads_somewhere() -> None:
    assert {Status.PENDING, *TRANSITIONS.values()} == set(Status)
    assert {event for _, event in TRANSITIONS} == set(Event)


def reachable(start: Status) -> set[Status]:
    """Every status that some events lead to."""
    found, news = {start}, [start]
    while news:
        of = news.pop()
        further = {to for (status, _), to in TRANSITIONS.items() if status is of} - found
        found |= further
        news += further
    return found


@pytest.mark.parametrize("status", Status)
def test_every_status_that_is_reached_can_reach_an_end_and_an_end_reaches_nothing(
    status: Status,
) -> None:
    assert status in reachable(Status.PENDING)
    assert reachable(status) & ENDS
    if status in ENDS:
        assert reachable(status) == {status}


@given(st.lists(st.sampled_from(Event), max_size=30))
def test_whatever_happens_in_whatever_order_an_end_is_never_left(events: list[Event]) -> None:
    status, ended = Status.PENDING, None
    for event in events:
        status = TRANSITIONS.get((status, event), status)
        ended = ended or (status if status in ENDS else None)
        assert ended in (None, status)
    # Money can only have moved after the rail was spoken to, or was about to be.
    if status is Status.COMPLETED:
        begun = [place for place, one in enumerate(events) if one in (Event.SUBMIT, Event.CHOOSE)]
        assert Event.PAID in events[begun[0] :]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Accepted(), Refused("X"), NotFound(), Unknown("x"), Paid()]), AGES
        ),
        max_size=20,
    )
)
def test_whatever_a_rail_answers_an_instruction_ends_only_once_and_is_due_until_then(
    answers: list[tuple[Outcome, timedelta]],
) -> None:
    for number, (outcome, age) in enumerate(answers, start=1):
        step = step_after(claim(number), outcome, HANDED_OVER + age)
        assert (step.expected, step.status) in {(of, to) for (of, _), to in TRANSITIONS.items()}
        assert (step.due_at is None) is (step.status in ENDS)
        if step.status in ENDS:
            assert not isinstance(outcome, Accepted | Unknown)
            break


# When it may end.


@pytest.mark.parametrize("action", Action)
def test_paid_is_paid_whenever_it_is_said(action: Action) -> None:
    step = step_after(claim(9, action), Paid(), HANDED_OVER + timedelta(days=3))

    assert (step.status, step.due_at, step.failure_code) == (Status.COMPLETED, None, None)


@pytest.mark.parametrize("action", Action)
def test_a_refusal_with_a_code_is_a_failure_with_that_code(action: Action) -> None:
    """The first two safe ways to FAILED: refused as it was handed over, or when asked later."""
    step = step_after(claim(1, action), Refused("RECIPIENT_NOT_FOUND"), HANDED_OVER)

    assert (step.status, step.due_at) == (Status.FAILED, None)
    assert step.failure_code == "RECIPIENT_NOT_FOUND"


def test_a_reference_that_was_never_seen_fails_after_a_quarter_of_an_hour() -> None:
    """The third safe way to FAILED: younger than that, it may still be on its way."""
    young = step_after(claim(), NotFound(), HANDED_OVER + QUARTER - INSTANT)
    old = step_after(claim(), NotFound(), HANDED_OVER + QUARTER)

    assert (young.status, young.failure_code) == (Status.PROCESSING, None)
    assert (old.status, old.failure_code) == (Status.FAILED, "NOT_FOUND")


@given(
    st.sampled_from([Accepted(), Accepted(ask_after=QUARTER), Unknown("TimeoutError")]),
    ATTEMPTS,
    AGES,
)
def test_nothing_else_ever_ends_it(outcome: Outcome, number: int, age: timedelta) -> None:
    now = HANDED_OVER + age
    step = step_after(claim(number), outcome, now)

    assert step.status is Status.PROCESSING
    assert step.next_action is Action.CHECK
    assert step.failure_code is None
    assert step.due_at is not None
    assert step.due_at > now


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Accepted(), Event.ACCEPTED),
        (Unknown("timeout"), Event.UNKNOWN),
        (NotFound(), Event.UNKNOWN),
        (Refused("DECLINED"), Event.REFUSED),
        (Paid(), Event.PAID),
    ],
    ids=lambda value: value.value if isinstance(value, Event) else type(value).__name__,
)
def test_each_answer_is_the_event_that_it_says(outcome: Outcome, event: Event) -> None:
    assert event_of(outcome, claim().instruction, HANDED_OVER) is event


def test_what_the_rail_never_saw_is_handed_over_again() -> None:
    step = step_after(claim(), NotFound(), HANDED_OVER)

    assert step.next_action is Action.SUBMIT
    assert event_of(NotFound(), claim().instruction, HANDED_OVER) is Event.UNKNOWN


@given(st.sampled_from([Accepted(), Paid(), Refused("X"), NotFound(), Unknown("x")]), AGES)
def test_a_step_keeps_the_attempt_that_brought_it_about(outcome: Outcome, age: timedelta) -> None:
    now = HANDED_OVER + age
    step = step_after(claim(4), outcome, now)

    assert (step.book, step.id, step.at) == (BOOK, UUID(int=3), now)
    assert (step.attempt, step.outcome) == (4, outcome)
    assert step.expected is Status.PROCESSING
    assert (step.due_at is None) == (step.status in ENDS)
    assert (step.failure_code is not None) == (step.status is Status.FAILED)


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING])
def test_what_no_rail_was_told_of_by_its_deadline_fails_for_that(status: Status) -> None:
    late = Overdue(BOOK, UUID(int=3), status, at_rail=False)

    step = overdue(late, OperationType.PAYOUT, HANDED_OVER)

    assert (step.expected, step.status) == (status, Status.FAILED)
    assert (step.failure_code, step.due_at, step.attempt) == ("DEADLINE_PASSED", None, None)
    assert step.event_type == "payout.failed"


@pytest.mark.parametrize("status", sorted(ENDS))
def test_what_has_ended_is_not_overdue(status: Status) -> None:
    with pytest.raises(KeyError):
        overdue(Overdue(BOOK, UUID(int=3), status, False), OperationType.PAYOUT, HANDED_OVER)


@given(st.sampled_from([Accepted(), Paid(), Refused("X"), NotFound(), Unknown("x")]), AGES)
def test_only_what_was_cancelled_at_the_rail_can_have_failed_for_its_deadline(
    outcome: Outcome, age: timedelta
) -> None:
    cancelled = Refused("MANUALLY_CANCELLED", cancelled=True)

    assert step_after(claim(), outcome, HANDED_OVER + age).overdue_code is None
    step = step_after(claim(), cancelled, HANDED_OVER + age)
    assert (step.failure_code, step.overdue_code) == ("MANUALLY_CANCELLED", "DEADLINE_PASSED")


def test_only_what_no_rail_has_heard_of_is_called_back() -> None:
    step = cancellation(BOOK, UUID(int=3), OperationType.PAYOUT, HANDED_OVER)

    assert (step.expected, step.status) == (Status.PENDING, Status.CANCELLED)
    assert (step.due_at, step.attempt, step.outcome) == (None, None, None)


@pytest.mark.parametrize(
    ("type_", "subject"),
    [
        (OperationType.DEPOSIT, "payment"),
        (OperationType.PAYOUT, "payout"),
        (OperationType.REFUND, "refund"),
    ],
)
def test_an_end_is_told_by_what_it_is_the_end_of(type_: OperationType, subject: str) -> None:
    step = cancellation(BOOK, UUID(int=3), type_, HANDED_OVER)

    told = {status: msgspec.structs.replace(step, status=status).event_type for status in Status}

    assert told == {
        Status.PENDING: None,
        Status.PROCESSING: None,
        Status.COMPLETED: f"{subject}.completed",
        Status.FAILED: f"{subject}.failed",
        Status.CANCELLED: f"{subject}.cancelled",
    }


# When to look again.


def test_waits_double_from_two_seconds_to_a_quarter_of_an_hour() -> None:
    waits = [wait_before(number, Unknown("x")).total_seconds() for number in range(1, 13)]

    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


@given(ATTEMPTS, st.sampled_from([Accepted(), NotFound(), Unknown("x")]))
def test_no_number_of_attempts_makes_the_wait_longer_than_its_bound(
    number: int, outcome: Outcome
) -> None:
    assert timedelta(0) < wait_before(number, outcome) <= QUARTER


@given(ATTEMPTS, st.timedeltas(timedelta(0), timedelta(days=1)))
def test_the_rail_s_own_advice_comes_first_within_bounds(number: int, advice: timedelta) -> None:
    expected = min(max(advice, timedelta(milliseconds=100)), QUARTER)
    assert wait_before(number, Accepted(ask_after=advice)) == expected
    assert wait_before(number, Unknown("x", ask_after=advice)) == expected


def test_a_claim_outlasts_the_longest_call() -> None:
    assert timedelta(seconds=30) < CLAIM


def test_what_was_claimed_is_handed_over_until_the_claim_runs_out_and_asked_about_at_any_time() -> (
    None
):
    end = HANDED_OVER + CLAIM
    submit, check = claim(action=Action.SUBMIT), claim(action=Action.CHECK)

    assert not ran_out(submit, end - INSTANT)
    # At that very moment another may take it.
    assert ran_out(submit, end)
    assert not ran_out(check, end + QUARTER)


# The evidence.


@pytest.mark.parametrize(
    ("outcome", "name", "evidence"),
    [
        (Accepted({"status": "ACCEPTED"}), "accepted", {"status": "ACCEPTED"}),
        (Paid({"status": "COMPLETED"}), "paid", {"status": "COMPLETED"}),
        (Refused("NO"), "refused", {"failureCode": "NO"}),
        (NotFound(), "not_found", {}),
        (Unknown("TimeoutError"), "unknown", {"why": "TimeoutError"}),
    ],
)
def test_every_outcome_is_kept_under_its_name_with_what_came_back(
    outcome: Outcome, name: str, evidence: dict[str, str]
) -> None:
    assert outcome_name(outcome) == name
    assert outcome_evidence(outcome) == evidence


# What a late answer says against how an instruction stands.


def late(outcome: Outcome, attempt: int = 3) -> Step:
    """The step that an answer would have brought about, had it been in time."""
    return step_after(claim(attempt), outcome, HANDED_OVER)


@pytest.mark.parametrize(
    ("status", "outcome", "what"),
    [
        (Status.FAILED, Paid(), What.PAID_AFTER_FAILED),
        (Status.CANCELLED, Paid(), What.PAID_AFTER_CANCELLED),
        (Status.PENDING, Paid(), What.PAID_AFTER_REFUSED),
        (Status.COMPLETED, Paid(), None),
        (Status.PROCESSING, Paid(), None),
        (Status.COMPLETED, Refused("X"), What.REFUSED_AFTER_COMPLETED),
        (Status.FAILED, Refused("X"), None),
        (Status.CANCELLED, Refused("X"), None),
        (Status.PENDING, Refused("X"), None),
    ],
)
def test_a_definite_answer_after_the_end_is_held_against_it(
    status: Status, outcome: Outcome, what: What | None
) -> None:
    assert contradiction(late(outcome), status) is what


@given(
    status=st.sampled_from(Status), outcome=st.sampled_from([Accepted(), NotFound(), Unknown("")])
)
def test_an_answer_without_certainty_contradicts_nothing(status: Status, outcome: Outcome) -> None:
    assert contradiction(late(outcome), status) is None
    assert contradiction_of_earlier_reference(late(outcome)) is None


def test_an_earlier_choice_was_refused_so_paid_contradicts_it() -> None:
    assert contradiction_of_earlier_reference(late(Paid())) is What.PAID_AFTER_REFUSED
    assert contradiction_of_earlier_reference(late(Refused("X"))) is None


@pytest.mark.parametrize("type_", OperationType)
def test_each_contradiction_says_what_to_do_about_it(type_: OperationType) -> None:
    assert all(next_action(type_, what).endswith(".") for what in What)
