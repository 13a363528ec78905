"""The SQL of wallets: read from the ledger's accounts, never from a copy (promise 1)."""

from __future__ import annotations

from kpay.core.book import Book
from kpay.core.money import Money
from kpay.database.pool import Database
from kpay.database.queries import beside
from kpay.wallets.model import Wallet

SQL = beside(__file__)


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
