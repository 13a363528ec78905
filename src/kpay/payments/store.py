"""The SQL of payments, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.database.pool import Connection, Row
from kpay.database.queries import beside
from kpay.instructions import store as instructions
from kpay.instructions.model import New
from kpay.ledger.model import Verdict
from kpay.payments.model import Payment

SQL = beside(__file__)


class PaymentRecords:
    """New payments with the instruction that each is handed over by."""

    async def admit(
        self, connection: Connection, records: Sequence[tuple[Payment, New]]
    ) -> Mapping[int, Verdict]:
        return await instructions.taken(connection, [new for _, new in records])

    async def write(self, connection: Connection, records: Sequence[tuple[Payment, New]]) -> None:
        await instructions.insert(connection, [new for _, new in records], records[0][0].created_at)
        payments = [payment for payment, _ in records]
        await connection.execute(
            SQL["insert"],
            [payment.book.application_id for payment in payments],
            [payment.book.environment for payment in payments],
            [payment.id for payment in payments],
            [payment.suffix for payment in payments],
            [payment.external_id for payment in payments],
            [payment.provider for payment in payments],
            [payment.country for payment in payments],
            [payment.phone_number for payment in payments],
            [payment.amount.currency for payment in payments],
            [payment.amount.minor for payment in payments],
            [payment.fee.minor for payment in payments],
            [payment.customer_name for payment in payments],
            [payment.customer_email for payment in payments],
            [payment.description for payment in payments],
            [payment.metadata for payment in payments],
            [payment.created_at for payment in payments],
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
