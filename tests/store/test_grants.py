"""What the role that the program runs as may not do: write the ledger but by `post`, or take back.

Promise 11. The roles of an operator's own server get the same rights from the same statements.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest

from kpay.core.book import Book, Environment
from kpay.database.embedded import PROGRAM_ROLE, EmbeddedServer, as_program
from kpay.database.grants import grant, make_role
from kpay.database.migrate import MigrationError, migrate, migrations
from tests.books import open_books

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

LEDGER = ("accounts", "entries", "postings", "journals")
# Written once and never again.
RECORDS = (
    *("transfers", "payments", "payouts", "refunds", "events"),
    *("gateways", "choices"),
)
TAKE_BACK = ("delete from {}", "truncate {}", "update {} set application_id = application_id")


@pytest.fixture
async def program(database_url: str) -> AsyncIterator[Connection]:
    """A connection as the program has it."""
    connection = await asyncpg.connect(as_program(database_url))
    yield connection
    await connection.close()


async def test_the_program_can_neither_change_nor_remove_what_it_wrote(
    program: Connection, subtests: pytest.Subtests
) -> None:
    for table, change in product((*LEDGER, *RECORDS), TAKE_BACK):
        denied = pytest.raises(asyncpg.InsufficientPrivilegeError)
        with subtests.test(table=table, change=change), denied:
            await program.execute(change.format(table))


async def test_the_program_can_write_no_line_of_the_ledger_by_hand(
    program: Connection, subtests: pytest.Subtests
) -> None:
    for table in LEDGER:
        denied = pytest.raises(asyncpg.InsufficientPrivilegeError)
        with subtests.test(table=table), denied:
            await program.execute(f"insert into {table} select * from {table}")  # noqa: S608


async def test_the_program_cannot_make_the_ledger_s_functions_write_elsewhere(
    program: Connection, database_url: str
) -> None:
    """A table of its own with the name of ours, where a careless function would find it first."""
    book = Book(UUID(int=1), Environment.TEST)
    await open_books(database_url, book)
    await program.execute("create temporary table accounts (like accounts including all)")

    await program.execute(
        "select open_accounts(array[$1::uuid], array['TEST']::environment[],"
        " array['wallet:CMR'], array['XAF'])",
        book.application_id,
    )

    assert await program.fetchval("select count(*) from pg_temp.accounts") == 0
    assert await program.fetchval("select count(*) from public.accounts") == 1


async def test_nobody_else_may_post(database_url: str, server: EmbeddedServer) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        open_to_all = await owner.fetch(
            "select proname from pg_proc where prosecdef"
            " and pronamespace = 'public'::regnamespace"
            " and has_function_privilege('pg_monitor', oid, 'execute')"
        )
        writers = await owner.fetchval("select count(*) from pg_proc where prosecdef")
    finally:
        await owner.close()
    assert open_to_all == []
    assert writers == 3


async def test_every_table_was_thought_of(program: Connection) -> None:
    """A new table needs its rows in program_rights, or its first insert fails."""
    rows = await program.fetch(
        "select relname from pg_class where relkind = 'r'"
        " and relnamespace = 'public'::regnamespace"
        " and not has_table_privilege(oid, 'insert')"
    )

    assert {row["relname"] for row in rows} == {*LEDGER, "schema_migrations", "program_rights"}


async def test_rights_are_given_again_when_a_table_came_that_has_none(
    database_url: str, server: EmbeddedServer
) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("revoke all on transfers from kpay_program")
    has = "select has_table_privilege('kpay_program', 'transfers', 'insert')"
    assert not await owner.fetchval(has)

    await grant(database_url, as_program(database_url), anew=False)
    # A second time there is nothing to do, and a role that exists keeps its password.
    await grant(database_url, as_program(database_url), anew=False)
    await make_role(server.url, PROGRAM_ROLE, "another")

    assert await owner.fetchval(has)
    await owner.close()
    await (await asyncpg.connect(as_program(database_url))).close()


async def test_where_the_program_is_the_owner_nothing_is_taken_from_it(database_url: str) -> None:
    await grant(database_url, database_url, anew=True)

    owner = await asyncpg.connect(database_url)
    assert await owner.fetchval("select has_table_privilege('accounts', 'update')")
    await owner.close()


async def test_a_role_that_may_not_migrate_is_told_so_and_only_if_there_is_something_to_do(
    database_url: str,
) -> None:
    assert await migrate(as_program(database_url)) == 0

    newer = [*migrations(), migrations()[-1].__class__(9_999, "one_more", "select 1")]
    with pytest.raises(MigrationError, match="KPAY_MIGRATION_URL"):
        await migrate(as_program(database_url), newer)
