"""The SQL of payments, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.database.pool import Database, Row
from kpay.database.queries import beside
from kpay.instructions import store as instructions
from kpay.instructions.model import New
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts
from kpay.payments.model import Payment

SQL = beside(__file__)


class PaymentRecords:
    """New payments, written with the instruction that each is handed over by."""

    async def write(
        self, database: Database, ledger: Sequence[object], records: Sequence[tuple[Payment, New]]
    ) -> list[Verdict]:
        # Nothing is posted, so of what `post` takes only the time and the books are needed.
        at, applications, environments, _, _, _, books, *_ = ledger
        payments = [payment for payment, _ in records]
        row = await database.fetchrow(
            SQL["write"],
            at,
            applications,
            environments,
            books,
            *instructions.columns([new for _, new in records]),
            [payment.suffix for payment in payments],
            [payment.country for payment in payments],
            [payment.fee.minor for payment in payments],
            [payment.customer_name for payment in payments],
            [payment.customer_email for payment in payments],
            [payment.description for payment in payments],
            [payment.metadata for payment in payments],
            [payment.created_at for payment in payments],
        )
        return verdicts(row)


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
