"""Transfers as CSV, made as they are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import Number
from kpay.core.page import Filter, every_page
from kpay.core.sheet import head, sheet
from kpay.rates.api import exchange, shown_rate
from kpay.transfers.flow import Transfers
from kpay.transfers.model import Transfer


class TransferLine(msgspec.Struct, rename="camel"):
    """A transfer as a line of a file: `rate` has all the digits that were applied."""

    id: str
    source_reference: str
    source_country: str
    source_amount: Number
    source_currency: str
    destination_reference: str
    destination_country: str
    destination_amount: Number
    destination_currency: str
    exchange_rate: Number
    rate: str
    rate_source: str
    rate_as_of: str
    description: str | None
    external_id: str | None
    created_at: str


_COLUMNS = msgspec.structs.fields(TransferLine)


async def transfers_file(
    transfers: Transfers, book: Book, wanted: Filter, *, marked: bool
) -> AsyncGenerator[bytes, None]:
    """The whole list as CSV, a page at a time, each read on a connection of its own."""
    begin = head([field.encode_name for field in _COLUMNS], marked=marked)
    pages = every_page(lambda narrowed: transfers.page(book, narrowed), wanted, lambda row: row.id)
    async for page in pages:
        yield begin + sheet(msgspec.structs.astuple(_line(transfer)) for transfer in page)
        begin = b""


def _line(transfer: Transfer) -> TransferLine:
    quote = transfer.quote
    receipt = exchange(quote)
    return TransferLine(
        id=str(transfer.id),
        source_reference=transfer.source_reference,
        source_country=transfer.source_country,
        source_amount=transfer.debited.number,
        source_currency=transfer.debited.currency,
        destination_reference=transfer.destination_reference,
        destination_country=transfer.destination_country,
        destination_amount=transfer.credited.number,
        destination_currency=transfer.credited.currency,
        exchange_rate=shown_rate(quote),
        rate=receipt.rate,
        rate_source=receipt.source,
        rate_as_of=receipt.as_of,
        description=transfer.description,
        external_id=transfer.external_id,
        created_at=iso(transfer.created_at),
    )
