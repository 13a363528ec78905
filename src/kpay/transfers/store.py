"""The SQL of transfers, and how they take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.page import Filter
from kpay.database.pool import Connection, Database, Row
from kpay.database.queries import beside
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts
from kpay.rates.store import quote_rows, read_quote
from kpay.transfers.model import Transfer

SQL = beside(__file__)


class TransferRecords:
    """New transfers, written with their entries."""

    async def write(
        self, connection: Connection, ledger: Sequence[object], records: Sequence[Transfer]
    ) -> list[Verdict]:
        places, quotes = quote_rows([transfer.quote for transfer in records])
        rows = [_row(transfer, place) for transfer, place in zip(records, places, strict=True)]
        return verdicts(await connection.fetchrow(SQL["write"], *ledger, rows, quotes))


def _row(transfer: Transfer, quote: int) -> tuple[object, ...]:
    """A transfer, and the place of its quote, as the database's new_transfer."""
    debited, credited = transfer.debited, transfer.credited
    return (
        transfer.id,
        transfer.destination_id,
        transfer.suffix,
        transfer.external_id,
        transfer.source_country,
        debited.currency,
        debited.minor,
        transfer.destination_country,
        credited.currency,
        credited.minor,
        transfer.description,
        transfer.created_at,
        quote,
    )


async def find(database: Database, book: Book, transfer_id: UUID) -> Transfer | None:
    row = await database.fetchrow(SQL["find"], book.application_id, book.environment, transfer_id)
    return None if row is None else _transfer(row)


async def of_ids(
    database: Database, book: Book, identifiers: Sequence[UUID]
) -> dict[UUID, Transfer]:
    """Those of a book with these identifiers."""
    rows = await database.fetch(
        SQL["of_ids"], book.application_id, book.environment, list(identifiers)
    )
    return {row["id"]: _transfer(row) for row in rows}


async def page(database: Database, book: Book, wanted: Filter) -> list[Transfer]:
    """One row more than the page holds tells that there is another."""
    rows = await database.search(
        SQL["list"],
        book.application_id,
        book.environment,
        wanted.external_id,
        wanted.country,
        wanted.since,
        wanted.until,
        wanted.first,
        wanted.end,
        wanted.limit + 1,
    )
    return [_transfer(row) for row in rows]


def _transfer(row: Row) -> Transfer:
    return Transfer(
        book=Book(row["application_id"], Environment(row["environment"])),
        id=row["id"],
        destination_id=row["destination_id"],
        suffix=row["suffix"],
        external_id=row["external_id"],
        source_country=row["source_country"],
        debited=Money(row["source_amount"], row["source_currency"]),
        destination_country=row["destination_country"],
        credited=Money(row["destination_amount"], row["destination_currency"]),
        quote=read_quote(row),
        description=row["description"],
        created_at=row["created_at"],
    )
