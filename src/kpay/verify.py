"""`kpay verify`: recomputes every balance from the postings and checks every promise data can show.

Each noun keeps its own checks beside its queries (`checks.sql`): a statement that finds the rows
which break a promise, under a line that begins with the promise's number. The ledger's own are
asked of one window of its journal after the other, so that the books may be of any size. All of it
sees one snapshot of the database, and never holds more than the rows that it shows.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpay.database.pool import Connection, connect
from kpay.database.queries import Queries
from kpay.ledger import journal

MOST_SHOWN = 10

_COUNTED = (
    "accounts",
    "entries",
    "postings",
    "transfers",
    "payments",
    "payouts",
    "refunds",
    "attempts",
)
_DESCRIPTION = re.compile(r"^-- (\d+)\. (.+)$", re.MULTILINE)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """A promise and the statement that finds what breaks it."""

    name: str
    promise: int
    words: str
    sql: str

    async def look(self, connection: Connection, finding: Finding, *arguments: object) -> None:
        """Add what the statement finds to a finding."""
        # The check's own text, and the number of rows beside the few that are shown.
        counted = "select *, count(*) over () as broken from ({}) as found limit {}"
        sql = counted.format(self.sql, MOST_SHOWN)
        rows = [dict(row) for row in await connection.fetch(sql, *arguments)]
        if rows:
            finding.broken += rows[0]["broken"]
            shown = [{name: row[name] for name in row if name != "broken"} for row in rows]
            finding.rows.extend(shown[: MOST_SHOWN - len(finding.rows)])


@dataclass(slots=True)
class Finding:
    """A check that ran: how many rows break the promise, and the first few."""

    check: Check
    broken: int = 0
    rows: list[Mapping[str, Any]] = field(default_factory=list)


def checks() -> list[Check]:
    """Every check of every noun that is asked once of everything, in the order of the promises."""
    found = [
        check
        for path in sorted(Path(__file__).parent.glob("*/checks.sql"))
        for check in described(Queries(path))
    ]
    return sorted(found, key=lambda check: check.promise)


def described(queries: Queries) -> Iterator[Check]:
    """The statements of a file that are checks: each names its promise."""
    for name, sql in queries.items():
        words = _DESCRIPTION.search(sql)
        if words is None:
            raise ValueError(f"{queries.path.parent.name}/{name} names no promise")
        yield Check(name, int(words[1]), words[2], sql)


async def count_rows(url: str) -> dict[str, int]:
    """How much there is to check."""
    connection = await connect(url)
    try:
        # The names are ours, from the list above.
        return {
            table: await connection.fetchval(f"select count(*) from {table}")  # noqa: S608
            for table in _COUNTED
        }
    finally:
        await connection.close()


async def journal_ends(url: str) -> journal.Heads:
    """Where each journal ends: kept elsewhere, it is what a later `verify` can be held against."""
    connection = await connect(url)
    try:
        return await journal.ends(connection)
    finally:
        await connection.close()


async def verify(
    url: str, progress: Progress | None = None, earlier: journal.Heads | None = None
) -> AsyncIterator[Finding]:
    """Run every check on one snapshot; each finding is given as soon as it is known.

    `progress` is told how many entries of the journal were read, each time some more were.
    `earlier` is where the journals ended at some time before, as somebody else has kept it.
    """
    async with snapshot(url) as connection:
        for finding in await _read_journal(connection, progress or (lambda _: None), earlier):
            yield finding
        for check in checks():
            finding = Finding(check)
            await check.look(connection, finding)
            yield finding


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[Connection]:
    """A connection that sees one moment of the database, and joins whole sets of rows at once.

    The moments of a window are newer than the statistics of a busy table, which then promise a row
    or none: joined row by row, its entries and their postings would take hours. A check that looks
    single rows up says so by a subquery, which the setting leaves alone.
    """
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("set local enable_nestloop = off")
            yield connection
    finally:
        await connection.close()


async def _read_journal(
    connection: Connection, progress: Progress, earlier: journal.Heads | None
) -> list[Finding]:
    """The ledger's checks, window by window, and whether each journal ends where it should."""
    findings = [Finding(check) for check in described(journal.WINDOWS)]
    chained, ends, kept = (Finding(check) for check in described(journal.CHAINS))
    heads = journal.Heads()
    done = 0
    async for window in journal.windows(connection):
        for finding in findings:
            await finding.check.look(connection, finding, window.start, window.end)
        await chained.check.look(connection, chained, window.start, window.end, *heads.arguments())
        await heads.move_on(connection, window)
        done += window.entries
        progress(done)
    await ends.check.look(connection, ends, *heads.arguments())
    await kept.check.look(connection, kept, *(earlier or journal.Heads()).arguments())
    return sorted([*findings, chained, ends, kept], key=lambda finding: finding.check.promise)
