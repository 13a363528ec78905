"""The databases of the server under test: copies, sizes, and putting them in order."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import asyncpg

# Tables with their indexes and long values. A table that is not there weighs nothing.
_LEDGER_BYTES = """
select sum(pg_total_relation_size(to_regclass(name)))::bigint
from unnest(array['accounts', 'entries', 'postings']) as name
"""
_ALL_BYTES = """
select sum(pg_total_relation_size(oid))::bigint from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace
"""


def beside(url: str, name: str) -> str:
    """The address of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def execute(url: str, *statements: str) -> None:
    """Run statements one after the other, each outside a transaction."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def value(url: str, query: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())


def copy(url: str, name: str, template: str) -> str:
    """Make a database anew as a copy of another, which nobody may be using. Returns its address."""
    execute(
        beside(url, "postgres"),
        f"drop database if exists {name} with (force)",
        f"create database {name} template {template} strategy file_copy",
    )
    return beside(url, name)


def settle(url: str) -> None:
    """What a night does to a database that grew by day: nothing of the loading is left to do."""
    execute(url, "vacuum analyze", "checkpoint")


def ledger_bytes(url: str) -> int:
    return int(value(url, _LEDGER_BYTES))


def all_bytes(url: str) -> int:
    return int(value(url, _ALL_BYTES))
