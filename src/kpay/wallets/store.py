"""The SQL of wallets: read from the ledger's accounts, never from a copy (promise 1)."""

from __future__ import annotations

from datetime import datetime

from kpay.core.book import Book
from kpay.core.money import Money
from kpay.core.page import Filter
from kpay.database.pool import Database
from kpay.database.queries import beside
from kpay.wallets.model import Crossing, Crossings, Wallet

SQL = beside(__file__)


MOST_OF_CROSSINGS = 10_000


async def crossings(database: Database, sql: str, book: Book, since: datetime) -> Crossings:
    """What went from country to country since a moment, by the statement of one noun.

    The newest are looked at, up to MOST_OF_CROSSINGS: the work is bounded however busy a book is.
    """
    first = Filter(since=since).first
    rows = await database.read(
        sql, book.application_id, book.environment, first, since, MOST_OF_CROSSINGS
    )
    return Crossings(
        [
            Crossing(
                source=row["source_country"],
                destination=row["destination_country"],
                count=row["count"],
                left=Money(row["departed"], row["source_currency"]),
                arrived=Money(row["arrived"], row["destination_currency"]),
            )
            for row in rows
        ],
        whole=all(row["read"] < MOST_OF_CROSSINGS for row in rows),
    )


async def wallets(database: Database, book: Book) -> list[Wallet]:
    """Every wallet of a book, by country."""
    rows = await database.fetch(SQL["list"], book.application_id, book.environment)
    return [
        Wallet(
            country=row["country"],
            available=Money(row["available"], row["currency"]),
            reserved=Money(row["reserved"], row["currency"]),
        )
        for row in rows
    ]
