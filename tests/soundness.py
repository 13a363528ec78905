"""What must hold of the books after anything at all was tried on them."""

from __future__ import annotations

import asyncpg

from kpay.verify import verify

_OFF = """
    select code, balance, version, total, lines
    from accounts
    left join lateral (
        select coalesce(sum(amount), 0) as total, count(*) as lines
        from postings
        where postings.application_id = accounts.application_id
            and postings.environment = accounts.environment
            and postings.account = accounts.code
    ) as line on true
    where balance <> total or version <> lines
"""


async def assert_balances_are_sums(url: str) -> None:
    """Every account's balance is the sum of its postings, and its version their number."""
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetch(_OFF) == []
    finally:
        await connection.close()


async def assert_sound(url: str) -> None:
    """The sums, and every promise that the program's own `verify` can check in the data."""
    await assert_balances_are_sums(url)
    findings = [finding async for finding in verify(url)]
    assert findings
    assert [finding for finding in findings if finding.broken] == []


async def open_transactions(url: str) -> list[asyncpg.Record]:
    """Transactions of ours that are open on a database at this moment."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(
            "select state, query from pg_stat_activity where datname = current_database() "
            "and pid <> pg_backend_pid() and xact_start is not null "
            "and backend_type = 'client backend'"
        )
    finally:
        await connection.close()
