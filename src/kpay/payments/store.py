"""The SQL of payments, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from kpay.connectors.model import Instruction
from kpay.core.keyed import Keyed
from kpay.core.money import Money
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside
from kpay.gateways.model import Opened
from kpay.instructions.store import read_hosted
from kpay.ledger.fence import hold
from kpay.ledger.model import POSTED, Reason, Verdict
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


async def write_hosted(
    database: Database, payment: Payment, reference: UUID, opened: Opened, keyed: Keyed | None
) -> Verdict:
    """Record a payment with its page. Nothing is posted, and few are asked for: each by itself.

    Refuses: idempotency_in_progress, when another attempt has taken over `keyed`.
    """
    arguments = (
        payment.book.application_id,
        payment.book.environment,
        payment.id,
        payment.suffix,
        payment.external_id,
        payment.amount.currency,
        payment.amount.minor,
        payment.fee.minor,
        payment.customer_name,
        payment.customer_email,
        payment.description,
        payment.metadata,
        payment.created_at,
        reference,
        opened.expires_at,
        opened.token_hash,
        opened.addresses.return_url,
        opened.addresses.cancel_url,
    )
    async with database.transaction() as connection:
        if keyed is not None:
            await hold(connection, [keyed])
        row = await connection.fetchrow(SQL["write_hosted"], *arguments)
        if row is None:
            # Another took the externalId at the same moment: now it can be seen.
            row = await connection.fetchrow(SQL["write_hosted"], *arguments)
    if row is None:
        raise RuntimeError("a payment was neither recorded nor found")
    if row["id"] == payment.id:
        return POSTED
    return Verdict(Reason.ALREADY_USED, row["id"])


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
        book=book_of(row, "book_environment"),
        id=row["id"],
        suffix=row["suffix"],
        external_id=row["external_id"],
        provider=row["provider"] or row["chosen_provider"],
        country=row["country"] or row["chosen_country"],
        phone_number=row["phone_number"] or row["chosen_phone_number"],
        amount=Money(row["amount"], row["currency"]),
        fee=Money(row["fee"], row["currency"]),
        customer_name=row["customer_name"],
        customer_email=row["customer_email"],
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        hosted=read_hosted(row),
    )
