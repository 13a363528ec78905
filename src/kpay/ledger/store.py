"""The ledger's SQL: accounts locked in one order, entries written a whole batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kpay.core.book import Book
from kpay.database.pool import Connection, Database
from kpay.database.queries import beside
from kpay.ledger.model import AccountKey, Entry, Judgement, State

SQL = beside(__file__)


async def open_accounts(database: Database, accounts: Mapping[AccountKey, str]) -> None:
    """Create the accounts that are missing, each with its currency, in a transaction of its own."""
    await database.execute(
        SQL["open_accounts"],
        [book.application_id for book, _ in accounts],
        [book.environment for book, _ in accounts],
        [code for _, code in accounts],
        list(accounts.values()),
    )


async def lock_accounts(
    connection: Connection, keys: Collection[AccountKey], books: Mapping[tuple[UUID, str], Book]
) -> dict[AccountKey, State]:
    """Lock the accounts until the transaction ends and say where each stands."""
    rows = await connection.fetch(
        SQL["lock_accounts"],
        [book.application_id for book, _ in keys],
        [book.environment for book, _ in keys],
        [code for _, code in keys],
    )
    return {
        (books[application_id, environment], code): State(currency, balance, version)
        for application_id, environment, code, currency, balance, version in rows
    }


async def write_entries(
    connection: Connection,
    entries: Sequence[tuple[Book, Entry]],
    judgement: Judgement,
    accounts: Mapping[AccountKey, State],
    at: datetime,
) -> None:
    """Write the entries that were accepted, with their lines and what the accounts came to."""
    touched = [(book, code, accounts[book, code]) for book, code in judgement.touched]
    lines = judgement.lines
    await connection.execute(
        SQL["write_entries"],
        [book.application_id for book, _ in entries],
        [book.environment for book, _ in entries],
        [entry.operation_id for _, entry in entries],
        [entry.kind.step for _, entry in entries],
        [entry.kind for _, entry in entries],
        at,
        [book.application_id for book, _, _ in touched],
        [book.environment for book, _, _ in touched],
        [code for _, code, _ in touched],
        [state.balance for _, _, state in touched],
        [state.version for _, _, state in touched],
        [line.book.application_id for line in lines],
        [line.book.environment for line in lines],
        [line.entry.operation_id for line in lines],
        [line.entry.kind.step for line in lines],
        [line.posting.account for line in lines],
        [line.posting.amount.currency for line in lines],
        [line.posting.amount.minor for line in lines],
        [line.balance_after for line in lines],
        [line.version for line in lines],
    )
