"""The SQL of payments, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence

from kpay.connectors.model import Instruction
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.database.pool import Connection, Row
from kpay.database.queries import beside
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts
from kpay.payments.model import Payment

SQL = beside(__file__)


class PaymentRecords:
    """New payments, written with the instruction that each is handed over by."""

    async def write(
        self,
        connection: Connection,
        ledger: Sequence[object],
        records: Sequence[tuple[Payment, Instruction]],
    ) -> list[Verdict]:
        # Nothing is posted yet: of what `post` would be told, this is all that is needed.
        at, books, _, orders, *_ = ledger
        rows = [_row(payment, instruction) for payment, instruction in records]
        return verdicts(await connection.fetchrow(SQL["write"], at, books, orders, rows))


def _row(payment: Payment, instruction: Instruction) -> tuple[object, ...]:
    """A payment and its instruction as the database's new_payment."""
    return (
        payment.id,
        payment.suffix,
        payment.external_id,
        payment.provider,
        payment.country,
        payment.phone_number,
        payment.amount.currency,
        payment.amount.minor,
        payment.fee.minor,
        payment.customer_name,
        payment.customer_email,
        payment.description,
        payment.metadata,
        payment.created_at,
        instruction.reference,
    )


def read(row: Row) -> Payment:
    """A row as the payment that was agreed."""
    return Payment(
        book=Book(row["application_id"], Environment(row["book_environment"])),
        id=row["id"],
        suffix=row["suffix"],
        external_id=row["external_id"],
        provider=row["provider"],
        country=row["country"],
        phone_number=row["phone_number"],
        amount=Money(row["amount"], row["currency"]),
        fee=Money(row["fee"], row["currency"]),
        customer_name=row["customer_name"],
        customer_email=row["customer_email"],
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )
