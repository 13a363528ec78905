"""`kpay verify`: recomputes every balance from the postings and checks every promise data can show.

Each noun keeps its own checks beside its queries (`checks.sql`): a statement that finds the rows
which break a promise, under a line that begins with the promise's number. This runs them all on one
snapshot of the database.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay.database.pool import connect
from kpay.database.queries import Queries

MOST_SHOWN = 10

_COUNTED = ("accounts", "entries", "postings", "transfers", "payments", "payouts", "attempts")
_DESCRIPTION = re.compile(r"^-- (\d+)\. (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Check:
    """A promise and the statement that finds what breaks it."""

    name: str
    promise: int
    words: str
    sql: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that ran: how many rows break the promise, and the first few."""

    check: Check
    broken: int
    rows: Sequence[Mapping[str, Any]]


def checks() -> list[Check]:
    """Every check of every noun, in the order of the promises."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*/checks.sql")):
        for name, sql in Queries(path).items():
            described = _DESCRIPTION.search(sql)
            if described is None:
                raise ValueError(f"{path.parent.name}/{name} names no promise")
            found.append(Check(name, int(described[1]), described[2], sql))
    return sorted(found, key=lambda check: check.promise)


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


async def verify(url: str) -> AsyncIterator[Finding]:
    """Run every check on one snapshot; each finding is given as soon as it is known."""
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for check in checks():
                rows = await connection.fetch(check.sql)
                shown = [dict(row) for row in rows[:MOST_SHOWN]]
                yield Finding(check, len(rows), shown)
    finally:
        await connection.close()
