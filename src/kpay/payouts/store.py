"""The SQL of payouts, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence

from kpay.connectors.model import Instruction
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.database.pool import Connection, Row
from kpay.database.queries import beside
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts
from kpay.payouts.model import Payout
from kpay.rates.store import quote_rows, read_quote

SQL = beside(__file__)


class PayoutRecords:
    """New payouts, written with the instruction that each is handed over by and its entry."""

    async def write(
        self,
        connection: Connection,
        ledger: Sequence[object],
        records: Sequence[tuple[Payout, Instruction]],
    ) -> list[Verdict]:
        places, quotes = quote_rows([payout.quote for payout, _ in records])
        rows = [_row(*record, place) for record, place in zip(records, places, strict=True)]
        return verdicts(await connection.fetchrow(SQL["write"], *ledger, rows, quotes))


def _row(payout: Payout, instruction: Instruction, quote: int) -> tuple[object, ...]:
    """A payout, its instruction and the place of its quote as the database's new_payout."""
    payout_amount = payout.payout_amount
    return (
        payout.id,
        payout.suffix,
        payout.external_id,
        payout.source_country,
        payout.amount.currency,
        payout.amount.minor,
        payout.fee.minor,
        payout.provider,
        payout.country,
        payout.phone_number,
        payout_amount.currency,
        payout_amount.minor,
        payout.description,
        payout.metadata,
        payout.created_at,
        instruction.reference,
        instruction.amount.minor,
        quote,
    )


def read(row: Row) -> Payout:
    """A row as the payout that was agreed."""
    return Payout(
        book=Book(row["application_id"], Environment(row["book_environment"])),
        id=row["id"],
        suffix=row["suffix"],
        external_id=row["external_id"],
        source_country=row["source_country"],
        amount=Money(row["amount"], row["currency"]),
        fee=Money(row["fee"], row["currency"]),
        provider=row["provider"],
        country=row["country"],
        phone_number=row["phone_number"],
        payout_amount=Money(row["payout_amount"], row["payout_currency"]),
        quote=read_quote(row),
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )
