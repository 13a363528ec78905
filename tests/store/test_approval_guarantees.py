"""What the database holds of approvals, whatever a program does: two people, one end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest

from kpay.approvals import store
from kpay.database.embedded import as_program
from kpay.database.queries import beside

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
FANTA, AWA = UUID(int=1), UUID(int=2)
APPLICATION, REQUEST, OPERATION, PAYMENT = (UUID(int=number) for number in range(3, 7))


@pytest.fixture
async def program(database_url: str) -> AsyncIterator[Connection]:
    """A connection as the program has it, to a database with two people."""
    connection = await asyncpg.connect(as_program(database_url))
    for person_id, email in ((FANTA, "fanta@example.com"), (AWA, "awa@example.com")):
        await connection.execute(
            "insert into people (id, email, name, created_at) values ($1, $2, 'Somebody', now())",
            person_id,
            email,
        )
    yield connection
    await connection.close()


@contextmanager
def broken(constraint: str) -> Iterator[None]:
    """Something that the constraint or trigger of this name refuses."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        yield
    assert caught.value.constraint_name == constraint


async def ask(connection: Connection, **changes: object) -> None:
    row: dict[str, object] = {
        "application_id": APPLICATION,
        "environment": "TEST",
        "id": REQUEST,
        "kind": "payout",
        "currency": "XAF",
        "amount": 100,
        "asked": "{}",
        "shown": "{}",
        "asked_by": FANTA,
        "asked_at": NOW,
        "ends_at": NOW + timedelta(hours=72),
        **changes,
    }
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    statement = f"insert into approvals ({', '.join(row)}) values ({places})"  # noqa: S608
    await connection.execute(statement, *row.values())


async def end(connection: Connection, **changes: object) -> None:
    row: dict[str, object] = {
        "outcome": "APPROVED",
        "decided_by": AWA,
        "decided_at": NOW,
        "operation_id": OPERATION,
        **changes,
    }
    named = ", ".join(f"{name} = ${place}" for place, name in enumerate(row, 1))
    statement = f"update approvals set {named}"  # noqa: S608
    await connection.execute(statement, *row.values())


async def test_who_asked_never_decides_and_nobody_else_takes_it_back(program: Connection) -> None:
    await ask(program)
    with broken("approvals_two_people"):
        await end(program, decided_by=FANTA)
    with broken("approvals_two_people"):
        await end(program, decided_by=FANTA, outcome="REJECTED", reason="no", operation_id=None)
    with broken("approvals_two_people"):
        await end(program, outcome="WITHDRAWN", operation_id=None)
    # Nor by a row that is written whole.
    with broken("approvals_two_people"):
        await ask(
            program,
            id=UUID(int=9),
            outcome="APPROVED",
            decided_by=FANTA,
            decided_at=NOW,
            operation_id=OPERATION,
        )
    await end(program)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"decided_by": None}, "approvals_decided_by_somebody"),
        ({"outcome": "EXPIRED", "operation_id": None}, "approvals_decided_by_somebody"),
        ({"decided_at": None}, "approvals_ended_whole"),
        ({"operation_id": None}, "approvals_operation_of_approval"),
        ({"outcome": "REJECTED", "reason": "no"}, "approvals_operation_of_approval"),
        ({"outcome": "REJECTED", "operation_id": None}, "approvals_reason_of_rejection"),
        ({"reason": "because"}, "approvals_reason_of_rejection"),
        ({"outcome": "FORGOTTEN", "operation_id": None}, "approvals_outcome_known"),
    ],
)
async def test_an_end_is_whole(
    program: Connection, changes: dict[str, object], constraint: str
) -> None:
    await ask(program)
    with broken(constraint):
        await end(program, **changes)


async def test_a_request_ends_once_and_stays_as_it_was_asked(program: Connection) -> None:
    await ask(program)
    changed: list[dict[str, object]] = [
        {"amount": 200},
        {"asked": '{"amount": "2"}'},
        {"asked_by": AWA},
    ]
    for changes in changed:
        with broken("approvals_end_once"):
            await end(program, **changes)
    with broken("approvals_end_once"):
        await program.execute("update approvals set ends_at = ends_at + interval '1 day'")
    await end(program)
    with broken("approvals_end_once"):
        await end(program)
    with broken("approvals_end_once"):
        await end(program, outcome="REJECTED", operation_id=None, reason="no")
    with broken("approvals_end_once"):
        await program.execute(
            "update approvals set outcome = null, decided_by = null, decided_at = null,"
            " operation_id = null"
        )


async def test_nothing_of_approvals_is_erased(program: Connection, database_url: str) -> None:
    await ask(program)
    await program.execute(
        "insert into approval_rules values ($1, 'TEST', 1, 'XAF', 0, $2, $3)",
        APPLICATION,
        AWA,
        NOW,
    )
    for statement in (
        "delete from approvals",
        "delete from approval_rules",
        "update approval_rules set above = 1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await program.execute(statement)
    owner = await asyncpg.connect(database_url)
    try:
        for table, trigger in (
            ("approvals", "approvals_never_deleted"),
            ("approval_rules", "approval_rules_insert_only"),
        ):
            for statement in (f"delete from {table}", f"truncate {table}"):  # noqa: S608
                with broken(trigger):
                    await owner.execute(statement)
        with broken("approval_rules_insert_only"):
            await owner.execute("update approval_rules set above = 1")
    finally:
        await owner.close()


async def test_one_operation_comes_of_one_request_and_a_payment_is_asked_for_once_at_a_time(
    program: Connection,
) -> None:
    await ask(program)
    await end(program)
    with broken("approvals_operation_key"):
        await ask(
            program,
            id=UUID(int=9),
            outcome="APPROVED",
            decided_by=AWA,
            decided_at=NOW,
            operation_id=OPERATION,
        )
    refund = {"kind": "refund", "payment_id": PAYMENT}
    await ask(program, id=UUID(int=10), **refund)
    with broken("approvals_open_refund_key"):
        await ask(program, id=UUID(int=11), **refund)
    # Another application's payment is another payment.
    await ask(program, id=UUID(int=10), application_id=UUID(int=12), **refund)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"kind": "gift"}, "approvals_kind_known"),
        ({"kind": "rules"}, "approvals_money_whole"),
        ({"amount": None}, "approvals_money_whole"),
        ({"amount": 0}, "approvals_amount_positive"),
        ({"kind": "refund"}, "approvals_refund_of_payment"),
        ({"payment_id": PAYMENT}, "approvals_refund_of_payment"),
        ({"ends_at": NOW}, "approvals_end_later"),
    ],
)
async def test_a_request_is_whole(
    program: Connection, changes: dict[str, object], constraint: str
) -> None:
    with broken(constraint):
        await ask(program, **changes)


@pytest.mark.parametrize(
    ("currency", "above", "constraint"),
    [
        ("XAF", -1, "approval_rules_above_not_negative"),
        ("XAF", None, "approval_rules_named_whole"),
        ("*", 5, "approval_rules_others_all_or_none"),
        ("francs", 5, "approval_rules_currency_known"),
    ],
)
async def test_a_rule_is_whole(
    program: Connection, currency: str, above: int | None, constraint: str
) -> None:
    with broken(constraint):
        await program.execute(
            "insert into approval_rules values ($1, 'TEST', 1, $2, $3, $4, $5)",
            APPLICATION,
            currency,
            above,
            AWA,
            NOW,
        )


async def test_verify_finds_an_approval_of_which_nothing_was_made(program: Connection) -> None:
    check = beside(store.__file__, "checks.sql")["approved_as_asked"]
    await ask(program)
    assert await program.fetch(check) == []
    await end(program)
    found = await program.fetch(check)
    assert [(row["id"], row["kind"]) for row in found] == [(REQUEST, "payout")]
