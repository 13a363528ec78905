"""The snapshots and the claims on asking for new ones, in the database that all processes share.

Snapshots are only appended. A claim is a row with an end, not a lock: no transaction and no
connection is held while the sources are asked. Times are the caller's; the database's clock has no
say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from kpay.database.pool import Database, Row
from kpay.database.queries import beside
from kpay.rates.model import CLOCK_SKEW, Quote, Snapshot, Standing

SQL = beside(__file__)


def quote_rows(quotes: Sequence[Quote]) -> tuple[list[int], list[tuple[object, ...]]]:
    """The place of each quote among those that differ, from 1, and these, each as a `quote`.

    The operations of a batch share a few: a pair is quoted once for as long as its rate is used.
    """
    places: dict[int, int] = {}
    found = []
    rows: list[tuple[object, ...]] = []
    for quote in quotes:
        place = places.get(id(quote))
        if place is None:
            rows.append((quote.rate, quote.source, quote.as_of, quote.margin_bps))
            place = places[id(quote)] = len(rows)
        found.append(place)
    return found, rows


def read_quote(row: Row, prefix: str = "") -> Quote:
    """The quote that an operation was made at, from columns of its row that begin with `prefix`."""
    return Quote(
        rate=row[f"{prefix}rate"],
        source=row[f"{prefix}rate_source"],
        as_of=row[f"{prefix}rate_as_of"],
        margin_bps=row[f"{prefix}rate_margin_bps"],
        expires_at=row["created_at"],
    )


class RateStore:
    """The two tables of rates, by configuration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, configuration: str, now: datetime) -> Standing:
        """The newest snapshot that is not from the future, and the state of its refresh."""
        row = await self._database.fetchrow(SQL["standing"], configuration, now + CLOCK_SKEW)
        if row is None:
            raise RuntimeError("the standing of a configuration is always one row")
        snapshot = None
        if row["source"] is not None:
            snapshot = Snapshot(
                source=row["source"],
                as_of=row["as_of"],
                fetched_at=row["fetched_at"],
                rates=_decimals(row["rates"]),
                pairs=_decimals(row["pairs"]),
            )
        return Standing(snapshot, row["held_until"], row["retry_at"])

    async def claim(
        self, configuration: str, holder: UUID, *, until: datetime, now: datetime
    ) -> bool:
        """Whether we may ask the sources; one holder at a time, until `until` at the latest."""
        taken = await self._database.fetchval(
            SQL["claim"],
            configuration,
            holder,
            until,
            # A claim that ends now has ended, and one that ends absurdly late was never sound.
            now + datetime.resolution,
            now + CLOCK_SKEW,
        )
        return taken is True

    async def keep(self, configuration: str, holder: UUID, snapshot: Snapshot) -> None:
        """Append a snapshot and end the claim."""
        await self._database.execute(
            SQL["keep"],
            configuration,
            holder,
            snapshot.source,
            snapshot.as_of,
            snapshot.fetched_at,
            _texts(snapshot.rates),
            _texts(snapshot.pairs),
        )

    async def release(
        self, configuration: str, holder: UUID, *, retry_at: datetime | None = None
    ) -> None:
        """End the claim; with `retry_at`, nobody asks again before then."""
        await self._database.execute(SQL["release"], configuration, holder, retry_at)


def _texts(rates: Mapping[str, Decimal]) -> str:
    return json.dumps({name: str(rate) for name, rate in rates.items()})


def _decimals(text: str) -> dict[str, Decimal]:
    return {name: Decimal(rate) for name, rate in json.loads(text).items()}
