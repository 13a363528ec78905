"""What the database holds of people, whatever a program does: owners are left, lines stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest

from kpay.database.embedded import as_program

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

COMPANY, AMINA, BOLA, OLGA = (UUID(int=number) for number in range(1, 5))


@pytest.fixture
async def program(database_url: str) -> AsyncIterator[Connection]:
    """A connection as the program has it, to a company of two owners."""
    connection = await asyncpg.connect(as_program(database_url))
    await connection.execute(
        "insert into companies (id, name, created_at) values ($1, 'Acme', now())", COMPANY
    )
    for number, (person_id, role) in enumerate(((AMINA, None), (BOLA, None), (OLGA, "ADMIN"))):
        await add_person(connection, person_id, f"person{number}@example.com", role)
    for person_id in (AMINA, BOLA):
        await add_member(connection, person_id)
    yield connection
    await connection.close()


async def add_person(
    connection: Connection, person_id: UUID, email: str, operator_role: str | None = None
) -> None:
    await connection.execute(
        "insert into people (id, email, name, operator_role, created_at)"
        " values ($1, $2, 'Somebody', $3, now())",
        person_id,
        email,
        operator_role,
    )


async def add_member(connection: Connection, person_id: UUID) -> None:
    await connection.execute(
        "insert into memberships (company_id, person_id, role, created_at)"
        " values ($1, $2, 'OWNER', now())",
        COMPANY,
        person_id,
    )


async def log(connection: Connection, **changes: object) -> None:
    """One line of the audit log, with some of it changed."""
    line: dict[str, object] = {
        "id": UUID(int=9),
        "person_id": AMINA,
        "command": None,
        "action": "person.created",
        "details": "{}",
        **changes,
    }
    await connection.execute(
        "insert into audit_log"
        " (id, at, person_id, command, action, subject_kind, subject_id, details)"
        " values ($1, now(), $2, $3, $4, 'person', '1', $5)",
        *line.values(),
    )


class broken:  # noqa: N801 — reads as a word
    """That a statement breaks a constraint of this name."""

    def __init__(self, constraint: str) -> None:
        self._constraint = constraint
        self._raises = pytest.raises(asyncpg.IntegrityConstraintViolationError)

    def __enter__(self) -> None:
        self._caught = self._raises.__enter__()

    def __exit__(self, *how: object) -> bool:
        handled = self._raises.__exit__(*how)  # type: ignore[arg-type]
        assert self._caught.value.constraint_name == self._constraint
        return bool(handled)


REMOVE = "delete from memberships where person_id = $1"
DEMOTE = "update memberships set role = 'VIEWER' where person_id = $1"


@pytest.mark.parametrize("change", [REMOVE, DEMOTE], ids=["removed", "demoted"])
async def test_two_owners_who_go_at_the_same_moment_do_not_both(
    program: Connection, database_url: str, change: str
) -> None:
    other = await asyncpg.connect(as_program(database_url))
    first, second = program.transaction(), other.transaction()
    await first.start()
    await program.execute(change, AMINA)
    await second.start()
    waiting = asyncio.create_task(other.execute(change, BOLA))
    # It waits for the first at the company's row, and only there.
    blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and pid = $1"
    for _ in range(1_000):
        if await program.fetchval(blocked, other.get_server_pid()):
            break
        await asyncio.sleep(0.005)
    else:
        raise AssertionError("it did not wait")
    await first.commit()

    with broken("memberships_keep_an_owner"):
        await waiting
    await second.rollback()

    assert await program.fetchval("select person_id from memberships where role = 'OWNER'") == BOLA
    await other.close()


async def test_an_owner_who_is_disabled_is_none(program: Connection) -> None:
    await program.execute("update people set disabled_at = now() where id = $1", BOLA)

    for change in (REMOVE, DEMOTE):
        with broken("memberships_keep_an_owner"):
            await program.execute(change, AMINA)
    await program.execute(REMOVE, BOLA)


async def test_nobody_is_a_merchant_s_and_the_operator_s(program: Connection) -> None:
    with broken("memberships_person_fkey"):
        await add_member(program, OLGA)
    with broken("memberships_person_fkey"):
        await program.execute("update people set operator_role = 'ADMIN' where id = $1", AMINA)
    with broken("memberships_no_operator"):
        await program.execute("update memberships set is_operator = true")


async def test_an_email_is_one_person_s_whatever_its_case(program: Connection) -> None:
    with broken("people_email_key"):
        await add_person(program, UUID(int=5), "person1@example.com")
    with broken("people_email_lower_case"):
        await add_person(program, UUID(int=5), "Person1@example.com")


async def test_the_audit_log_is_only_added_to(program: Connection, database_url: str) -> None:
    await log(program)
    owner = await asyncpg.connect(database_url)

    for change in (
        "update audit_log set command = null",
        "delete from audit_log",
        "truncate audit_log",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await program.execute(change)
        with broken("audit_log_insert_only"):
            await owner.execute(change)
    await owner.close()


async def test_a_line_of_the_audit_log_is_somebody_s(program: Connection) -> None:
    for person_id, command in ((None, None), (AMINA, "kpay person list")):
        with broken("audit_log_by_somebody"):
            await log(program, person_id=person_id, command=command)
    with broken("audit_log_action_named"):
        await log(program, action="anything")
    with broken("audit_log_details_object"):
        await log(program, details="[]")


async def test_people_invitations_and_links_are_not_taken_away(program: Connection) -> None:
    for table in ("people", "invitations", "password_links"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await program.execute(f"delete from {table}")  # noqa: S608
