"""The SQL of payouts, and how new ones take part in a posting batch."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from kpay.connectors.model import Instruction
from kpay.core.money import Money
from kpay.database.pool import Connection, Row, book_of
from kpay.database.queries import beside
from kpay.gateways.model import Opened
from kpay.instructions.store import read_hosted
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts
from kpay.payouts.model import IfDelayed, Payout, Wait
from kpay.rates.model import Quote
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
        places, quotes = quote_rows([_quote(payout) for payout, _ in records])
        rows = [_row(*record, place) for record, place in zip(records, places, strict=True)]
        return verdicts(await connection.fetchrow(SQL["write"], *ledger, rows, quotes))


class HostedPayoutRecords:
    """New payouts with a page: their money is set aside now, and where it goes is chosen later."""

    async def write(
        self,
        connection: Connection,
        ledger: Sequence[object],
        records: Sequence[tuple[Payout, UUID, Opened]],
    ) -> list[Verdict]:
        rows = [_hosted_row(*record) for record in records]
        return verdicts(await connection.fetchrow(SQL["write_hosted"], *ledger, rows))


def _hosted_row(payout: Payout, reference: UUID, opened: Opened) -> tuple[object, ...]:
    """A payout and its page as the database's new_hosted_payout."""
    return (
        payout.id,
        payout.suffix,
        payout.external_id,
        payout.source_country,
        payout.amount.currency,
        payout.amount.minor,
        payout.fee.minor,
        payout.description,
        payout.metadata,
        payout.created_at,
        reference,
        opened.expires_at,
        opened.token_hash,
        opened.addresses.return_url,
        opened.addresses.cancel_url,
        payout.wait.if_delayed,
        payout.wait.minutes,
    )


def _row(payout: Payout, instruction: Instruction, quote: int) -> tuple[object, ...]:
    """A payout, its instruction and the place of its quote as the database's new_payout."""
    payout_amount = payout.payout_amount
    if payout_amount is None:
        raise ValueError("a payout without a page was not priced")
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
        payout.wait.if_delayed,
        payout.wait.minutes,
        payout.queue_until,
    )


def _quote(payout: Payout) -> Quote:
    if payout.quote is None:
        raise ValueError("a payout without a page has no rate")
    return payout.quote


def read(row: Row) -> Payout:
    """A row as the payout that was agreed, or as it was chosen on its page since."""
    # A row has one destination or none: its own, or the one that was chosen last.
    chosen = "chosen_" if row["provider"] is None else ""
    arrives, rate = row[f"{chosen}payout_amount"], row[f"{chosen}rate"]
    return Payout(
        book=book_of(row, "book_environment"),
        id=row["id"],
        suffix=row["suffix"],
        external_id=row["external_id"],
        source_country=row["source_country"],
        amount=Money(row["amount"], row["currency"]),
        fee=Money(row["fee"], row["currency"]),
        provider=row[f"{chosen}provider"],
        country=row[f"{chosen}country"],
        phone_number=row[f"{chosen}phone_number"],
        payout_amount=(
            None if arrives is None else Money(arrives, row[f"{chosen}payout_currency"])
        ),
        quote=None if rate is None else read_quote(row, chosen),
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        hosted=read_hosted(row),
        wait=Wait(IfDelayed(row["if_delayed"]), row["queue_minutes"]),
        queue_until=row["queue_until"],
    )
