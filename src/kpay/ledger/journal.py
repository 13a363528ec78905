"""The journal read from front to back, a window of time after the other, for `kpay verify`.

A book's entries are numbered, never go back in time, and each is chained to the one before it by a
hash (0009_journal.sql). So a window needs to know of what came before it only where each book's
chain stood, and the books of a nation are read in the memory of one window.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kpay.core.book import Environment
from kpay.database.pool import Connection, Row
from kpay.database.queries import beside

SQL = beside(__file__)
# Checks of one window each: what to find between two moments.
WINDOWS = beside(__file__, "windows.sql")
# Checks of the chain of hashes: of a window and where each book stood before it, and of the end.
CHAINS = beside(__file__, "chains.sql")

# A window holds about so many entries, unless more than that were written in one moment.
ENTRIES_AT_A_TIME = 100_000
_FIRST = timedelta(hours=1)
_LEAST = timedelta(microseconds=1)


class Window(msgspec.Struct, frozen=True):
    """The moments after `start` up to `end`, and how many entries they hold."""

    start: datetime
    end: datetime
    entries: int


class Heads:
    """The last entry seen of each book: its number and its hash."""

    def __init__(self) -> None:
        self._heads: dict[tuple[UUID, str], tuple[int, bytes]] = {}

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any] | Row]) -> Heads:
        """From rows with application_id, environment, number and hash."""
        heads = cls()
        for row in rows:
            heads._heads[row["application_id"], row["environment"]] = row["number"], row["hash"]
        return heads

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> Heads:
        """From an earlier report. Raises KeyError, TypeError or ValueError for anything else."""
        return cls.of(
            {
                "application_id": UUID(head["applicationId"]),
                "environment": str(Environment(head["environment"])),
                "number": int(head["entries"]),
                "hash": bytes.fromhex(head["hash"]),
            }
            for head in report["journals"]
        )

    def report(self) -> list[dict[str, object]]:
        """For a report, to be kept where nobody can change it who can change the database."""
        return [
            {
                "applicationId": str(application_id),
                "environment": environment,
                "entries": number,
                "hash": hash_.hex(),
            }
            for (application_id, environment), (number, hash_) in self._heads.items()
        ]

    def arguments(self) -> list[list[object]]:
        """Applications, environments, numbers and hashes, in one order."""
        return [
            [application for application, _ in self._heads],
            [environment for _, environment in self._heads],
            [number for number, _ in self._heads.values()],
            [hash_ for _, hash_ in self._heads.values()],
        ]

    async def move_on(self, connection: Connection, window: Window) -> None:
        """Go to the end of a window that was looked at."""
        for row in await connection.fetch(SQL["heads"], window.start, window.end):
            self._heads[row["application_id"], row["environment"]] = row["number"], row["hash"]


async def ends(connection: Connection) -> Heads:
    """Where each journal ends, as its own head says."""
    return Heads.of(await connection.fetch(SQL["ends"]))


async def windows(
    connection: Connection, entries_at_a_time: int = ENTRIES_AT_A_TIME
) -> AsyncIterator[Window]:
    """All of the journal, oldest first. How much was written when is found out on the way."""
    span = await connection.fetchrow(SQL["span"])
    if span is None or span["oldest"] is None:
        return
    start, length = span["oldest"] - _LEAST, _FIRST
    while start < span["newest"]:
        end = min(start + length, span["newest"])
        entries = await connection.fetchval(SQL["count"], start, end)
        if entries > 2 * entries_at_a_time and length > _LEAST:
            length = max(length / 2, _LEAST)
            continue
        yield Window(start, end, entries)
        start = end
        if entries < entries_at_a_time / 2:
            length = min(length * 2, timedelta(days=3_650))
