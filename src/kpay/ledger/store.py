"""The ledger's SQL: accounts that are missing, and a batch of orders as `post` takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kpay.core.book import Book
from kpay.database.pool import Database, Row
from kpay.database.queries import beside
from kpay.ledger.model import POSTED, Order, Reason, Verdict

SQL = beside(__file__)


async def open_accounts(database: Database, accounts: Mapping[tuple[Book, str], str]) -> None:
    """Create the accounts that are missing, each with its currency, in a transaction of its own."""
    await database.execute(
        SQL["open_accounts"],
        [book.application_id for book, _ in accounts],
        [book.environment for book, _ in accounts],
        [code for _, code in accounts],
        list(accounts.values()),
    )


def post_arguments(orders: Sequence[Order[Any]], at: datetime) -> list[object]:
    """A batch as the first thirteen arguments of `post`: see 0008_post.sql for each.

    Books and accounts are numbered from 1 in the order of their names. Every process names accounts
    in this order, and `post` locks them in it: that is what keeps two batches from a deadlock.
    """
    books = sorted({order.book for order in orders})
    numbers = {book: number for number, book in enumerate(books, 1)}
    order_books = [numbers[order.book] for order in orders]
    entries = [order.entry for order in orders]
    currencies = {
        (book, posting.account): posting.amount.currency
        for book, entry in zip(order_books, entries, strict=True)
        if entry is not None
        for posting in entry.postings
    }
    accounts = sorted(currencies)
    places = {account: place for place, account in enumerate(accounts, 1)}
    line_accounts = []
    line_amounts = []
    for book, entry in zip(order_books, entries, strict=True):
        if entry is not None:
            for posting in entry.postings:
                line_accounts.append(places[book, posting.account])
                line_amounts.append(posting.amount.minor)
    return [
        at,
        [book.application_id for book in books],
        [book.environment for book in books],
        [book for book, _ in accounts],
        [code for _, code in accounts],
        [currencies[account] for account in accounts],
        order_books,
        [None if entry is None else entry.operation_id for entry in entries],
        [0 if entry is None else entry.kind.step for entry in entries],
        [None if entry is None else entry.kind for entry in entries],
        [0 if entry is None else len(entry.postings) for entry in entries],
        line_accounts,
        line_amounts,
    ]


def verdicts(row: Row | None) -> list[Verdict]:
    """What a batch's statement answers: a row of `verdicts`, and `positions` with their `ids`.

    The last two say where an externalId is taken, and by which operation.
    """
    if row is None:
        raise RuntimeError("a batch was written and no verdict came back")
    existing = dict(zip(row["positions"] or (), row["ids"] or (), strict=True))
    return [
        POSTED if reason is None else Verdict(Reason(reason), existing.get(position))
        for position, reason in enumerate(row["verdicts"], 1)
    ]
