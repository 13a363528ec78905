"""What a place of the dashboard allows, beside the role that a person has there."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from kpay.core.book import Book, Environment
from kpay.dashboard.page import Where
from kpay.people.model import Membership, Person, Right, Role, Session

COMPANY = UUID(int=1)
NOW = datetime(2026, 6, 23, tzinfo=UTC)


def owner(*, approved: bool) -> Session:
    membership = Membership(COMPANY, "Acme", Role.OWNER, approved)
    person = Person(UUID(int=2), "awa@example.com", "Awa", None, None, None, None)
    return Session(UUID(int=3), person, (membership,), NOW, None, None, "", None)


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("environment", Environment)
@pytest.mark.parametrize("right", Right)
def test_live_money_moves_only_of_a_company_that_is_approved(
    right: Right, environment: Environment, approved: bool
) -> None:
    session = owner(approved=approved)
    where = Where(session.memberships[0], book=Book(UUID(int=4), environment))
    live = environment is Environment.PRODUCTION
    moves = right in (Right.MOVE_MONEY, Right.APPROVE)

    assert where.allows(session, right) is not (moves and live and not approved)
    assert Where(session.memberships[0]).allows(session, right)
