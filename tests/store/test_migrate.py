"""Migrations: forward only, under a lock, whole or not at all, and never on the wrong database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from kpay.database.embedded import EmbeddedServer
from kpay.database.migrate import (
    Migration,
    MigrationError,
    check_server,
    migrate,
    migrations,
)

ONE = Migration(1, "first_table", "create table first_table (id integer);")
TWO = Migration(2, "second_table", "create table second_table (id integer);")
BROKEN = Migration(
    2, "broken", "create table second_table (id integer); select * from no_such_table;"
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def empty_url(database_url: str) -> str:
    """A database in which nothing was ever made."""
    async with connected(database_url) as connection:
        await connection.execute("drop schema public cascade; create schema public")
    return database_url


async def tables(url: str) -> set[str]:
    async with connected(url) as connection:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def recorded(url: str) -> list[tuple[int, str]]:
    async with connected(url) as connection:
        rows = await connection.fetch("select number, name from schema_migrations order by number")
    return [(row["number"], row["name"]) for row in rows]


def test_the_files_are_numbered_from_one_without_a_gap() -> None:
    known = migrations()

    assert [one.number for one in known] == list(range(1, len(known) + 1))
    assert len({one.name for one in known}) == len(known)


async def test_from_nothing_each_is_run_in_order_and_told(empty_url: str) -> None:
    told: list[str] = []

    assert await migrate(empty_url, progress=told.append) == len(migrations())
    assert await recorded(empty_url) == [(one.number, one.name) for one in migrations()]
    assert [line.split(":")[0] for line in told] == [
        f"migration {one.number:04d}" for one in migrations()
    ]
    assert {"accounts", "postings", "payouts", "transfers"} <= await tables(empty_url)


async def test_again_does_nothing(empty_url: str) -> None:
    await migrate(empty_url)
    before = await tables(empty_url)
    told: list[str] = []

    assert await migrate(empty_url, progress=told.append) == 0
    assert told == []
    assert await tables(empty_url) == before


async def test_two_programs_that_start_together_run_each_once(empty_url: str) -> None:
    ran = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))

    assert sorted(ran) == [0, 0, 0, len(migrations())]
    assert len(await recorded(empty_url)) == len(migrations())


async def test_a_newer_program_runs_only_what_is_new(empty_url: str) -> None:
    await migrate(empty_url, [ONE])

    assert await migrate(empty_url, [ONE, TWO]) == 1
    assert await tables(empty_url) == {"schema_migrations", "first_table", "second_table"}


async def test_a_newer_schema_is_refused(empty_url: str) -> None:
    await migrate(empty_url, [ONE, TWO])

    with pytest.raises(MigrationError, match="is at version 2 and this program knows only 1"):
        await migrate(empty_url, [ONE])


async def test_a_migration_that_was_changed_after_it_ran_is_refused(empty_url: str) -> None:
    await migrate(empty_url, [ONE])
    edited = replace(ONE, sql=ONE.sql.replace("integer", "bigint"))

    with pytest.raises(MigrationError, match=r"Migration 0001 \(first_table\) was not run as"):
        await migrate(empty_url, [edited, TWO])
    assert await tables(empty_url) == {"schema_migrations", "first_table"}


async def test_a_migration_that_never_ran_before_a_later_one_that_did_is_refused(
    empty_url: str,
) -> None:
    await migrate(empty_url, [TWO])

    with pytest.raises(MigrationError, match=r"Migration 0001 \(missing\)"):
        await migrate(empty_url, [ONE, TWO])
    assert await tables(empty_url) == {"schema_migrations", "second_table"}


async def test_one_that_fails_leaves_nothing_of_itself_and_keeps_those_before_it(
    empty_url: str,
) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await migrate(empty_url, [ONE, BROKEN])
    assert await tables(empty_url) == {"schema_migrations", "first_table"}
    assert await recorded(empty_url) == [(1, "first_table")]

    assert await migrate(empty_url, [ONE, TWO]) == 1


async def test_one_that_fails_does_not_keep_the_lock(empty_url: str) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await migrate(empty_url, [ONE, BROKEN])

    async with asyncio.timeout(10):
        assert await migrate(empty_url, [ONE]) == 0


async def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for name in ("0010_tenth.sql", "0002_second.sql", "notes.txt"):
        (tmp_path / name).write_text("select 1;", encoding="utf-8")

    assert [(one.number, one.name) for one in migrations(tmp_path)] == [
        (2, "second"),
        (10, "tenth"),
    ]


def test_a_server_that_is_too_old_is_refused_with_what_to_do() -> None:
    check_server(18)
    with pytest.raises(MigrationError, match="PostgreSQL 18 or newer and this server is 15"):
        check_server(15)


async def test_a_role_that_owns_its_database_and_nothing_else_is_enough(
    server: EmbeddedServer,
) -> None:
    """An operator's own server gives the program a database, not the server."""
    parts = urlsplit(server.url)
    async with connected(server.url) as connection:
        await connection.execute("create role plain login password 'plain'")
        await connection.execute("create database plain owner plain")
        try:
            url = urlunsplit(parts._replace(netloc="plain:plain@", path="/plain"))
            assert await migrate(url) == len(migrations())
        finally:
            await connection.execute("drop database plain")
            await connection.execute("drop role plain")
