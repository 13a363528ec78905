"""Who may do what, when a session ends, which email and name are kept, what a form carries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.access.model import Vault
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal
from kpay.people.model import (
    CODE_WITHIN,
    IDLE_LIFE,
    OPERATOR_RIGHTS,
    RIGHTS,
    SESSION_LIFE,
    Membership,
    OperatorRight,
    OperatorRole,
    Person,
    Right,
    Role,
    Session,
    clean_agent,
    clean_email,
    clean_name,
    environment_of_people,
    must_prove_twice,
    session_ends,
)
from tests.people import refused

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
COMPANY, ELSEWHERE = UUID(int=1), UUID(int=2)
VAULT = Vault("a secret for tests that is long enough")


def session_of(
    role: Role | None = None,
    *,
    operator_role: OperatorRole | None = None,
    factor: bool = False,
    proved: bool = False,
    approved: bool = True,
) -> Session:
    """A session of a person with one role in one company, or of the operator's."""
    membership = () if role is None else (Membership(COMPANY, "Acme", role, approved),)
    factor_since = NOW if factor else None
    return Session(
        id=UUID(int=3),
        person=Person(
            UUID(int=4), "amina@example.com", "Amina", None, operator_role, None, factor_since
        ),
        memberships=membership,
        created_at=NOW,
        second_factor_at=NOW if proved else None,
        address=None,
        csrf_token=VAULT.form_token("kpses_a"),
        device=None,
    )


# The table, spelled out once more by hand: who changes one must change both.
ALLOWED = {
    Role.OWNER: set(Right),
    Role.FINANCE: {Right.VIEW_MONEY, Right.MOVE_MONEY},
    Role.APPROVER: {Right.VIEW_MONEY, Right.APPROVE},
    Role.DEVELOPER: {Right.VIEW_MONEY, Right.APPLICATIONS},
    Role.VIEWER: {Right.VIEW_MONEY},
}


@pytest.mark.parametrize("role", Role)
def test_a_role_allows_what_it_is_for_and_nothing_else(role: Role) -> None:
    session = session_of(role)

    assert {right for right in Right if session.right(COMPANY, right)} == ALLOWED[role]
    assert not any(session.right(ELSEWHERE, right) for right in Right)
    assert not any(session.operator_right(right) for right in OperatorRight)
    for right in set(Right) - ALLOWED[role]:
        with refused(Code.NOT_ALLOWED):
            session.check(COMPANY, right)
    with refused(Code.NOT_ALLOWED):
        session.check(ELSEWHERE, Right.VIEW_MONEY)


def test_every_role_has_its_rights() -> None:
    assert set(RIGHTS) == set(Role)
    assert set(OPERATOR_RIGHTS) == set(OperatorRole)


def test_nobody_both_moves_money_and_approves_it_but_an_owner() -> None:
    both = {role for role, rights in RIGHTS.items() if {Right.MOVE_MONEY, Right.APPROVE} <= rights}

    assert both == {Role.OWNER}


def test_support_looks_and_an_admin_does() -> None:
    support = session_of(operator_role=OperatorRole.SUPPORT)
    admin = session_of(operator_role=OperatorRole.ADMIN)

    assert [right for right in OperatorRight if support.operator_right(right)] == [
        OperatorRight.VIEW
    ]
    assert all(admin.operator_right(right) for right in OperatorRight)
    assert not any(admin.right(COMPANY, right) for right in Right)
    with refused(Code.NOT_ALLOWED):
        support.check_operator(OperatorRight.SETTLE)


@pytest.mark.parametrize("role", Role)
def test_only_an_owner_must_prove_twice_and_only_in_production(role: Role) -> None:
    wanted = [None, Environment.TEST, Environment.PRODUCTION]

    assert [must_prove_twice(role, changes) for changes in wanted] == [
        False,
        False,
        role is Role.OWNER,
    ]


def test_who_reaches_live_money_is_a_change_in_production() -> None:
    approved, fresh = (
        session_of(Role.OWNER, approved=each).memberships[0] for each in (True, False)
    )

    assert environment_of_people(approved) is Environment.PRODUCTION
    assert environment_of_people(fresh) is Environment.TEST


def test_a_second_factor_counts_when_it_is_in_force_and_was_shown() -> None:
    for factor, proved, needs_code, has in (
        (False, False, False, False),
        (False, True, False, False),
        (True, False, True, False),
        (True, True, False, True),
    ):
        session = session_of(Role.OWNER, factor=factor, proved=proved)
        assert (session.needs_code, session.has_second_factor) == (needs_code, has)


def test_half_in_no_right_is_given() -> None:
    owner = session_of(Role.OWNER, factor=True)
    admin = session_of(operator_role=OperatorRole.ADMIN, factor=True)

    assert not any(owner.right(COMPANY, right) for right in Right)
    assert not any(admin.operator_right(right) for right in OperatorRight)
    with refused(Code.SECOND_FACTOR_NEEDED):
        owner.check(COMPANY, Right.VIEW_MONEY)
    with refused(Code.SECOND_FACTOR_NEEDED):
        admin.check_operator(OperatorRight.VIEW)


@given(st.integers(0, 2 * 12 * 3_600), st.integers(0, 12 * 3_600))
def test_a_session_ends_by_whichever_time_comes_first(age: int, idle: int) -> None:
    now = NOW + timedelta(seconds=age)
    seen = max(NOW, now - timedelta(seconds=idle))
    ends = session_ends(NOW, seen, needs_code=False, now=now)

    over = now - NOW >= SESSION_LIFE or now - seen >= IDLE_LIFE
    assert (ends is None) == over
    assert ends is None or now < ends <= NOW + SESSION_LIFE


def test_a_session_that_waits_for_its_code_waits_ten_minutes_however_it_is_used() -> None:
    last = NOW + CODE_WITHIN - timedelta(microseconds=1)

    assert session_ends(NOW, last, needs_code=True, now=last) == NOW + CODE_WITHIN
    assert session_ends(NOW, last, needs_code=True, now=NOW + CODE_WITHIN) is None


def test_a_form_is_one_session_s_own() -> None:
    session = session_of(Role.OWNER)
    other = msgspec.structs.replace(session, csrf_token=VAULT.form_token("kpses_b"))

    assert session.matches(session.csrf_token)
    for wrong in ("", other.csrf_token, session.csrf_token[:-1], "é", "\ud800"):
        assert not session.matches(wrong)
    assert "kpses_a" not in session.csrf_token
    assert Vault("another secret that is long enough").form_token("kpses_a") != session.csrf_token


def test_a_browser_is_known_to_one_person_and_one_installation() -> None:
    person_id = UUID(int=4)
    token = VAULT.device_token(person_id, "abc")

    assert VAULT.device_of(token, person_id) == "abc"
    assert VAULT.device_of(token, UUID(int=5)) is None
    assert Vault("another secret that is long enough").device_of(token, person_id) is None
    for wrong in (
        "",
        "kpdev_",
        "kpdev__",
        "kpdev_abd_" + token.split("_")[2],
        token + "a",
        "é_é_é",
    ):
        assert VAULT.device_of(wrong, person_id) is None


def test_an_email_is_kept_in_one_way() -> None:
    assert clean_email("  Amina.Obi+kpay@Example.COM\n") == "amina.obi+kpay@example.com"
    for wrong in (
        *("", "@", "a@b", "a@b.", "a b@example.com", "a@example.com,b@example.com"),
        *("é@example.com", "a@exämple.com", "a@example.com\x00", "a\x00@example.com"),
        *("<a@example.com>", f"{'a' * 65}@example.com", f"a@{'b.' * 130}com"),
    ):
        with refused(Code.INVALID_PARAMETER):
            clean_email(wrong)


def test_a_name_is_kept_as_it_is_written_on_one_line() -> None:
    assert clean_name("  Nade\u0300ge \n Obi ") == "Nadège Obi"
    for wrong in ("", "  ", "a\x00", "a\u202eb", "\ud800", "x" * 101):
        with refused(Code.INVALID_PARAMETER):
            clean_name(wrong)


@given(st.text())
def test_a_browser_s_name_can_always_be_kept(text: str) -> None:
    kept = clean_agent(text)

    assert len(kept) <= 300
    assert kept.isprintable()
    kept.encode()
    assert clean_agent(None) == ""


@given(st.text(max_size=300))
def test_whatever_is_typed_as_an_email_is_kept_or_refused(text: str) -> None:
    try:
        kept = clean_email(text)
    except Refusal as refusal:
        assert refusal.code is Code.INVALID_PARAMETER  # noqa: PT017 — either way out is right
    else:
        assert kept.isascii()
        assert clean_email(kept) == kept
