"""What needs a second person, who may decide, and until when: pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.approvals.model import (
    LIFE,
    MOST_REASON,
    Approval,
    Ended,
    Kind,
    Outcome,
    Rules,
    Wanted,
    clean_reason,
    read_rules,
)
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.refusals import Code
from kpay.people.model import Role
from tests.people import refused

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
FANTA, AWA = UUID(int=1), UUID(int=2)
CURRENCIES = ("XAF", "XOF", "KES")

amounts = st.integers(0, 5)
rules = st.builds(
    Rules,
    version=st.integers(0, 9),
    above=st.dictionaries(st.sampled_from(CURRENCIES[:2]), amounts),
    others=st.booleans(),
)


def approval(
    kind: Kind = Kind.PAYOUT, role: Role | None = Role.FINANCE, ended: Ended | None = None
) -> Approval:
    """A request of Fanta's, made now."""
    return Approval(
        book=Book(UUID(int=3), Environment.TEST),
        wanted=Wanted(UUID(int=4), kind, {}),
        asked_by=FANTA,
        asker="Fanta",
        asker_role=role,
        asked_at=NOW,
        ends_at=NOW + LIFE,
        ended=ended,
    )


def test_more_than_the_amount_needs_approval_and_the_amount_itself_does_not() -> None:
    found = Rules(1, {"XAF": 10_000_000})
    assert not found.need(Money(10_000_000, "XAF"))
    assert found.need(Money(10_000_001, "XAF"))
    assert not found.need(Money(99_999_999, "XOF"))


def test_zero_is_every_amount_and_the_others_are_every_amount_or_none() -> None:
    assert Rules(1, {"XAF": 0}).need(Money(1, "XAF"))
    every = Rules(1, {"XAF": 10_000_000}, others=True)
    assert every.need(Money(1, "XOF"))
    # What has a rule of its own is not one of the others.
    assert not every.need(Money(10_000_000, "XAF"))
    assert not Rules().need(Money(99_999_999, "XAF"))


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        (Rules(), Rules(above={"XAF": 5}), False),
        (Rules(above={"XAF": 5}), Rules(), True),
        (Rules(above={"XAF": 5}), Rules(above={"XAF": 6}), True),
        (Rules(above={"XAF": 5}), Rules(above={"XAF": 4}), False),
        (Rules(above={"XAF": 5}), Rules(others=True), False),
        (Rules(others=True), Rules(above={"XAF": 5}, others=True), True),
        (Rules(others=True), Rules(above={"XAF": 0}), True),
        (Rules(above={"XAF": 5, "XOF": 5}), Rules(above={"XAF": 1, "XOF": 6}), True),
    ],
)
def test_less_protection_in_any_currency_is_less(before: Rules, after: Rules, less: bool) -> None:
    assert after.protects_less_than(before) is less


@given(rules, rules, st.sampled_from(CURRENCIES), st.integers(1, 6))
def test_what_does_not_protect_less_lets_nothing_more_through(
    before: Rules, after: Rules, currency: str, minor: int
) -> None:
    amount = Money(minor, currency)
    if not after.protects_less_than(before):
        assert after.need(amount) or not before.need(amount)


@given(rules, rules)
def test_rules_that_differ_protect_less_one_way_or_the_other_or_say_the_same_of_every_amount(
    one: Rules, other: Rules
) -> None:
    assert not one.protects_less_than(one)
    if not one.protects_less_than(other) and not other.protects_less_than(one):
        for currency in (*CURRENCIES, "ZMW"):
            assert one.limit(currency) == other.limit(currency)


@given(rules)
def test_rules_that_are_asked_for_are_read_as_they_were_written(found: Rules) -> None:
    assert read_rules(found.spelled()) == found


def test_a_request_is_open_for_72_hours_and_not_a_moment_longer() -> None:
    found = approval()
    assert timedelta(hours=72) == LIFE
    assert found.is_open(NOW + LIFE - INSTANT)
    assert found.outcome(NOW + LIFE - INSTANT) is None
    assert not found.is_open(NOW + LIFE)
    assert found.outcome(NOW + LIFE) is Outcome.EXPIRED
    with refused(Code.NOT_OPEN):
        found.check_approved_by(AWA, NOW + LIFE)


def test_who_asked_decides_nothing_and_nobody_decides_twice() -> None:
    approval().check_approved_by(AWA, NOW)
    for person in (FANTA, None):
        with refused(Code.NOT_ALLOWED):
            approval().check_approved_by(person, NOW)
        with refused(Code.NOT_ALLOWED):
            approval().check_decided_by(person, NOW)
    over = approval(ended=Ended(Outcome.REJECTED, NOW, AWA, reason="no"))
    with refused(Code.NOT_OPEN):
        over.check_decided_by(AWA, NOW)


@pytest.mark.parametrize("role", [None, *Role])
def test_what_who_asked_may_do_no_longer_is_not_approved_and_can_be_rejected(
    role: Role | None,
) -> None:
    for kind, may in (
        (Kind.PAYOUT, {Role.OWNER, Role.FINANCE}),
        (Kind.RULES, {Role.OWNER}),
    ):
        found = approval(kind, role)
        found.check_decided_by(AWA, NOW)
        assert found.asker_may is (role in may)
        if not found.asker_may:
            with refused(Code.NOT_ALLOWED):
                found.check_approved_by(AWA, NOW)


def test_a_reason_is_one_line_with_something_in_it() -> None:
    assert clean_reason(" twice,\n\tI\0think ") == "twice, I think"
    assert clean_reason("x" * MOST_REASON) == "x" * MOST_REASON
    for text in ("", " \n\u200b", "x" * (MOST_REASON + 1)):
        with refused(Code.INVALID_PARAMETER):
            clean_reason(text)
