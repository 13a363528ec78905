"""The ledger's SQL: accounts that are missing, and a batch of orders as `post` takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kpay.core.book import Book
from kpay.database.pool import Connection, Row
from kpay.database.queries import beside
from kpay.ledger.model import POSTED, Order, Reason, Verdict

SQL = beside(__file__)


async def open_accounts(connection: Connection, accounts: Mapping[tuple[Book, str], str]) -> None:
    """Create the accounts that are missing, each with its currency, in a transaction of its own."""
    await connection.execute(
        SQL["open_accounts"],
        [book.application_id for book, _ in accounts],
        [book.environment for book, _ in accounts],
        [code for _, code in accounts],
        list(accounts.values()),
    )


def post_arguments(orders: Sequence[Order[Any]], at: datetime) -> list[object]:
    """A batch as the first seven arguments of `post`: see 0009_journal.sql for each.

    Every process names books in the one order of their keys, and `post` locks them as they are
    named: that is what keeps two batches from a deadlock.
    """
    books = sorted({order.book for order in orders})
    book_places = {book: place for place, book in enumerate(books, 1)}
    # An account that is named in two currencies is named twice, and `post` refuses the wrong one.
    accounts = sorted(
        {
            (book_places[order.book], posting.account, posting.amount.currency)
            for order in orders
            if order.entry is not None
            for posting in order.entry.postings
        }
    )
    places = {account: place for place, account in enumerate(accounts, 1)}
    heads: list[tuple[object, ...]] = []
    counts = []
    line_accounts = []
    line_amounts = []
    for order in orders:
        book, entry = book_places[order.book], order.entry
        if entry is None:
            heads.append((book, None, 0, None))
            counts.append(0)
            continue
        kind = entry.kind
        heads.append((book, entry.operation_id, kind.step, kind))
        counts.append(len(entry.postings))
        for account, amount in sorted(
            [
                (places[book, posting.account, posting.amount.currency], posting.amount.minor)
                for posting in entry.postings
            ]
        ):
            line_accounts.append(account)
            line_amounts.append(amount)
    named = [(book.application_id, book.environment) for book in books]
    return [at, named, accounts, heads, counts, line_accounts, line_amounts]


def verdicts(row: Row | None) -> list[Verdict]:
    """What a batch's statement answers: a row of `verdicts`, and `places` with their `ids`.

    The last two say where an externalId is taken, and by which operation.
    """
    if row is None:
        raise RuntimeError("a batch was written and no verdict came back")
    existing = dict(zip(row["places"] or (), row["ids"] or (), strict=True))
    return [
        POSTED if reason is None else Verdict(Reason(reason), existing.get(place))
        for place, reason in enumerate(row["verdicts"], 1)
    ]
