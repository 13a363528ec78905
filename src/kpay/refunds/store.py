"""The SQL of refunds, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from kpay.connectors.model import Instruction
from kpay.core.book import Book
from kpay.core.money import Money
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside
from kpay.instructions.model import Tracked
from kpay.instructions.store import TrackedRows
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts
from kpay.refunds.model import Refund

SQL = beside(__file__)


class RefundRecords:
    """New refunds, written with the instruction that each is handed over by and its entry."""

    async def write(
        self,
        connection: Connection,
        ledger: Sequence[object],
        records: Sequence[tuple[Refund, Instruction]],
    ) -> list[Verdict]:
        rows = [_row(refund, instruction) for refund, instruction in records]
        return verdicts(await connection.fetchrow(SQL["write"], *ledger, rows))


class RefundRows(TrackedRows[Refund]):
    """Reads refunds, also by the payment that they give back."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, SQL, read)

    async def of_payment(self, book: Book, payment_id: UUID) -> list[Tracked[Refund]]:
        """Every refund of a payment, oldest first; at most one of them is live."""
        rows = await self._database.fetch(
            SQL["of_payment"], book.application_id, book.environment, payment_id
        )
        return [self._tracked(row) for row in rows]


def _row(refund: Refund, instruction: Instruction) -> tuple[object, ...]:
    """A refund and its instruction as the database's new_refund."""
    return (
        refund.id,
        refund.suffix,
        refund.external_id,
        refund.payment_id,
        refund.provider,
        refund.country,
        refund.phone_number,
        refund.amount.currency,
        refund.amount.minor,
        refund.reason,
        refund.created_at,
        instruction.reference,
        instruction.deposit_reference,
    )


def read(row: Row) -> Refund:
    """A row as the refund that was agreed."""
    return Refund(
        book=book_of(row, "book_environment"),
        id=row["id"],
        suffix=row["suffix"],
        external_id=row["external_id"],
        payment_id=row["payment_id"],
        provider=row["provider"],
        country=row["country"],
        phone_number=row["phone_number"],
        amount=Money(row["amount"], row["currency"]),
        reason=row["reason"],
        created_at=row["created_at"],
    )
