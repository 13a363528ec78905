"""The schema as it stands after every migration: keys that can be spread, names that are ours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import kpay
from kpay.database.migrate import FOLDER
from kpay.database.queries import Queries

SOURCE = Path(kpay.__file__).parent
FILES = [path for path in sorted(SOURCE.rglob("*.sql")) if path.parent != FOLDER]
STATEMENTS = {
    f"{path.parent.name}/{path.stem}/{name}": sql
    for path in FILES
    for name, sql in Queries(path).items()
}

# What belongs to no merchant, and why it may be apart from all of them.
SHARED = {
    "schema_migrations": "which migrations ran in this database",
    "program_rights": "what the program's own role may write",
    "installation": "one row: which secret this database belongs to",
    "companies": "a company is there before its applications are",
    "applications": "its own id is the application's",
    "token_keys": "tokens of every application are signed with the same key",
    "people": "a person may be in several companies, or be the operator's",
    "memberships": "of a company, which is there before its applications are",
    "sessions": "of a person",
    "recovery_codes": "of a person",
    "password_links": "of a person",
    "invitations": "of a company",
    "sign_in_failures": "who fails may be nobody that we know",
    "sign_in_refusals": "who fails may be nobody that we know",
    "audit_log": "of a company, or of the installation",
    "rate_snapshots": "a rate is the same for everybody",
    "rate_refreshes": "who asks the sources now, for everybody",
    "rail_days": "a rail's wallets are the operator's",
    "reconciliations": "a rail's wallets are the operator's",
    "rail_lines": "a rail's statement is the operator's, and names no merchant",
    "breaks": "of a rail's wallet, and perhaps of no merchant's operation",
    "rail_callbacks": "whose it is, is not known before it is kept",
    "rail_conditions": "a rail works on the same terms for everybody",
}
# Unique over all applications though its table is a merchant's.
EXCEPTIONS = {
    "api_keys_api_key_key": "a key is found by its public half before its application is known",
    "gateways_token_hash_key": "a page is found by its token before its application is known",
}


@pytest.fixture
async def schema(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to the migrated database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def unique_keys(
    connection: asyncpg.Connection[asyncpg.Record],
) -> dict[str, tuple[str, list[str]]]:
    """Every primary key, unique constraint and unique index: its table and its columns in order."""
    rows = await connection.fetch(
        """
        select
            index_class.relname as name,
            table_class.relname as of_table,
            array_agg(attribute.attname::text order by key.place) as columns
        from pg_index
        join pg_class as index_class on index_class.oid = pg_index.indexrelid
        join pg_class as table_class on table_class.oid = pg_index.indrelid
        join pg_namespace on pg_namespace.oid = table_class.relnamespace
        cross join unnest(pg_index.indkey) with ordinality as key (number, place)
        join pg_attribute as attribute
            on attribute.attrelid = table_class.oid and attribute.attnum = key.number
        where pg_index.indisunique and pg_namespace.nspname = 'public'
        group by 1, 2
        """
    )
    return {row["name"]: (row["of_table"], row["columns"]) for row in rows}


async def test_every_unique_key_of_a_merchant_s_table_begins_with_its_application(
    schema: asyncpg.Connection[asyncpg.Record],
) -> None:
    elsewhere = {
        name
        for name, (table, columns) in (await unique_keys(schema)).items()
        if table not in SHARED and columns[0] != "application_id"
    }

    assert elsewhere == set(EXCEPTIONS)


async def test_every_table_has_a_primary_key_and_the_shared_ones_are_those_that_are_listed(
    schema: asyncpg.Connection[asyncpg.Record],
) -> None:
    rows = await schema.fetch("select tablename from pg_tables where schemaname = 'public'")
    every = {row["tablename"] for row in rows}
    keys = await unique_keys(schema)
    owned = {table for table, columns in keys.values() if columns[0] == "application_id"}

    assert {f"{table}_pkey" for table in every} <= set(keys)
    assert every == owned | set(SHARED)
    assert not owned & set(SHARED)


async def test_no_foreign_key_leaves_an_application(
    schema: asyncpg.Connection[asyncpg.Record],
) -> None:
    rows = await schema.fetch(
        """
        select conname, confrelid::regclass::text as target
        from pg_constraint
        where contype = 'f'
        """
    )

    # Only to the application itself, and from it to its company; and between people, who have none.
    assert {row["target"] for row in rows} == {"applications", "companies", "people"}


async def test_every_constraint_and_trigger_has_the_name_that_we_gave_it(
    schema: asyncpg.Connection[asyncpg.Record],
) -> None:
    given = (SOURCE / "database" / "migrate.py").read_text(encoding="utf-8")
    given += "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.sql"))
    rows = await schema.fetch(
        """
        select conname as name
        from pg_constraint
        join pg_namespace on pg_namespace.oid = connamespace
        where nspname = 'public' and contype <> 'n'
        union
        select tgname from pg_trigger where not tgisinternal
        """
    )
    written = set(re.findall(r"(?:constraint|trigger) (\w+)", given))

    assert {row["name"] for row in rows} <= written


async def test_every_named_statement_fits_the_schema(
    schema: asyncpg.Connection[asyncpg.Record],
) -> None:
    problems = {}
    for name, sql in STATEMENTS.items():
        try:
            await schema.prepare(sql)
        except asyncpg.PostgresError as problem:
            problems[name] = problem

    assert problems == {}
    assert STATEMENTS


async def insert_only(connection: asyncpg.Connection[asyncpg.Record]) -> set[str]:
    """The tables that a trigger keeps from any change."""
    rows = await connection.fetch(
        """
        select tgrelid::regclass::text as of_table
        from pg_trigger
        where not tgisinternal and tgname = tgrelid::regclass::text || '_insert_only'
        """
    )
    return {row["of_table"] for row in rows}


async def test_what_was_posted_and_what_was_agreed_is_insert_only(
    schema: asyncpg.Connection[asyncpg.Record],
) -> None:
    written = {"postings", "entries", "transfers", "payments", "payouts", "refunds", "events"}
    written |= {"gateways", "choices", "audit_log", "approval_rules"}

    assert written <= await insert_only(schema)
