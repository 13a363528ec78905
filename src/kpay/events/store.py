"""The SQL of events."""

from __future__ import annotations

from kpay.core.book import Book
from kpay.core.page import Filter
from kpay.database.pool import Database
from kpay.database.queries import beside
from kpay.events.model import Event, Recorded

SQL = beside(__file__)


async def page(database: Database, book: Book, wanted: Filter) -> list[Recorded]:
    """One row more than the page holds tells that there is another."""
    rows = await database.fetch(
        SQL["list"], book.application_id, book.environment, wanted.before, wanted.limit + 1
    )
    return [
        Recorded(row["id"], Event(book, row["type"], row["operation_id"], row["at"]))
        for row in rows
    ]
