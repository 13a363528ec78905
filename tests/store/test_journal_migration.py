"""Books that were kept before there was a journal: 0009 numbers and chains what it finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from kpay.database.migrate import migrate, migrations
from kpay.verify import verify

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
APPLICATIONS = [UUID(int=1), UUID(int=2)]
ACCOUNTS = ["provider:X", "wallet:CMR"]


async def keep_books_as_they_were(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Two applications, one of them with five entries, by the function of that time."""
    await connection.execute(
        "insert into companies values ($1, 'old', null, now())", APPLICATIONS[0]
    )
    await connection.executemany(
        "insert into applications (id, company_id, name, payment_fee_bps, payout_fee_bps,"
        " created_at) values ($1, $2, gen_random_uuid()::text, 0, 0, now())",
        [(application, APPLICATIONS[0]) for application in APPLICATIONS],
    )
    await connection.executemany(
        "insert into accounts (application_id, environment, code, currency)"
        " values ($1, 'TEST', $2, 'XAF')",
        [(APPLICATIONS[0], account) for account in ACCOUNTS],
    )
    for number in range(5):
        await connection.fetchval(
            "select post($1, $2, $3, $4, $5, $6, null, null)",
            # Two of them at one moment.
            NOW + timedelta(seconds=number // 2),
            [(APPLICATIONS[0], "TEST", account, "XAF") for account in ACCOUNTS],
            [(APPLICATIONS[0], "TEST", UUID(int=100 - number), 1, "payment_completed")],
            [2],
            [1, 2],
            [-100 - number, 100 + number],
        )


async def test_old_entries_are_numbered_by_their_moments_and_chained(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("drop schema public cascade; create schema public")
    before = [one for one in migrations() if one.number < 9]
    await migrate(database_url, before)
    await keep_books_as_they_were(connection)

    await migrate(database_url)

    rows = await connection.fetch("select number, at from entries order by number")
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert await connection.fetchval("select count(*) from journals") == 4
    broken = {finding.check.name async for finding in verify(database_url) if finding.broken}
    # There is no payment behind these entries, nor anything a rail was told; nothing else is off.
    assert broken == {"payment_entries_have_records", "provider_accounts_are_operations"}
    await connection.close()
