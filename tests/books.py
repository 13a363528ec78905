"""What the ledger holds, printed so that a test can be read like a journal."""

from __future__ import annotations

from decimal import Decimal
from textwrap import dedent
from uuid import UUID

import asyncpg

from kpay.app import House
from kpay.core.book import Book
from kpay.core.ids import parse_public_id, parse_uuid

_POSTINGS = """
    select entries.kind, postings.account, postings.amount, postings.currency
    from entries
    join postings using (application_id, environment, operation_id, step)
    where operation_id = $1
    order by step, account
"""


async def open_books(url: str, *books: Book) -> None:
    """Journals for books of applications that exist in a test alone."""
    connection = await asyncpg.connect(url)
    await connection.executemany(
        "insert into journals (application_id, environment, hash)"
        " values ($1, $2, journal_start($1, $2))",
        [(book.application_id, book.environment) for book in books],
    )
    await connection.close()


async def journal(house: House, public_id: str) -> str:
    """The entries of one payment, payout or transfer: each kind, then its lines by account."""
    lines: list[str] = []
    for row in await house.database.fetch(_POSTINGS, operation_of(public_id)):
        if row["kind"] not in lines:
            lines.append(row["kind"])
        amount = Decimal(row["amount"]) / 100
        lines.append(f"  {row['account']:<24}{amount:>+14,.2f} {row['currency']}")
    return "\n".join(lines)


def operation_of(public_id: str) -> UUID:
    """The identifier in the database behind one that the API shows."""
    found = parse_uuid(public_id) or parse_public_id(public_id.partition("_")[0], public_id)
    assert found is not None, public_id
    return found


def lines(text: str) -> str:
    """A journal that is written out in a test, without the test's own indentation."""
    return dedent(text).strip()
