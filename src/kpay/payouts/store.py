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
from kpay.rates.model import Quote

SQL = beside(__file__)


class PayoutRecords:
    """New payouts, written with the instruction that each is handed over by and its entry."""

    async def write(
        self,
        connection: Connection,
        ledger: Sequence[object],
        records: Sequence[tuple[Payout, Instruction]],
    ) -> list[Verdict]:
        rows = [_row(payout, instruction) for payout, instruction in records]
        return verdicts(await connection.fetchrow(SQL["write"], *ledger, rows))


def _row(payout: Payout, instruction: Instruction) -> tuple[object, ...]:
    """A payout and its instruction as the database's new_payout."""
    book, quote, payout_amount = payout.book, payout.quote, payout.payout_amount
    return (
        book.application_id,
        book.environment,
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
        quote.rate,
        quote.source,
        quote.as_of,
        quote.margin_bps,
        payout.description,
        payout.metadata,
        payout.created_at,
        instruction.reference,
        instruction.amount.minor,
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
        quote=Quote(
            rate=row["rate"],
            source=row["rate_source"],
            as_of=row["rate_as_of"],
            margin_bps=row["rate_margin_bps"],
            expires_at=row["created_at"],
        ),
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )
