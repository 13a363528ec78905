"""The SQL of payouts, and how new ones take part in a posting batch."""

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
from kpay.payouts.model import Payout
from kpay.rates.model import Quote

SQL = beside(__file__)


class PayoutRecords:
    """New payouts, written with the instruction that each is handed over by and its entry."""

    async def write(
        self, database: Database, ledger: Sequence[object], records: Sequence[tuple[Payout, New]]
    ) -> list[Verdict]:
        payouts = [payout for payout, _ in records]
        row = await database.fetchrow(
            SQL["write"],
            *ledger,
            *instructions.columns([new for _, new in records]),
            [payout.suffix for payout in payouts],
            [payout.source_country for payout in payouts],
            [payout.amount.currency for payout in payouts],
            [payout.amount.minor for payout in payouts],
            [payout.fee.minor for payout in payouts],
            [payout.country for payout in payouts],
            [payout.payout_amount.currency for payout in payouts],
            [payout.payout_amount.minor for payout in payouts],
            [payout.quote.rate for payout in payouts],
            [payout.quote.source for payout in payouts],
            [payout.quote.as_of for payout in payouts],
            [payout.quote.margin_bps for payout in payouts],
            [payout.description for payout in payouts],
            [payout.metadata for payout in payouts],
            [payout.created_at for payout in payouts],
        )
        return verdicts(row)


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
