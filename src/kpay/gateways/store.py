"""The SQL of gateways: a page by its token. They are written with what they are the page of."""

from __future__ import annotations

from kpay.catalogue.model import OperationType
from kpay.database.pool import Database, book_of
from kpay.database.queries import beside
from kpay.gateways.model import Addresses, Gateway

SQL = beside(__file__)


async def find(database: Database, token_hash: bytes) -> Gateway | None:
    """The page that a token opens, by the token's hash."""
    row = await database.fetchrow(SQL["find"], token_hash)
    if row is None:
        return None
    return Gateway(
        book=book_of(row),
        id=row["id"],
        type=OperationType(row["type"]),
        addresses=Addresses(row["return_url"], row["cancel_url"]),
    )
