"""Transfers over HTTP, as the page has them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kpay.access.gate import Gate
from kpay.access.model import TRANSFER_LEAST, TRANSFER_MOST
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    AmountJson,
    Bom,
    CountryCode,
    CountryFilter,
    Cursor,
    ExternalId,
    ExternalIdFilter,
    Limit,
    Page,
    ShortText,
    Since,
    Text,
    Until,
    json_text,
    page_of,
    read_cursor,
)
from kpay.core.forms import (
    Amount,
    Country,
    CreatedAt,
    Currency,
    Description,
    OwnId,
    Rate,
    TransferId,
    TransferReference,
    Uuid,
)
from kpay.core.ids import parse_uuid
from kpay.core.page import OF_FILE, Filter, read_limit, read_period
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Download, Guard, Reply, Route
from kpay.core.sheet import MEDIA, file_name
from kpay.rates.api import Exchange, exchange, shown_rate
from kpay.transfers import examples
from kpay.transfers.files import transfers_file
from kpay.transfers.flow import Transfers
from kpay.transfers.model import Transfer


class TransferRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Move money between two of the application's wallets."""

    application_id: Annotated[
        ShortText,
        Meta(
            description="The `application.id` that `GET /api/v1/payments/me` gives.",
            examples=["e7c3b4f5-8d9e-4a1b-9c2d-3e4f5a6b7c8d"],
        ),
    ]
    source_country: Annotated[
        CountryCode, Meta(description="Whose wallet is debited; it decides the currency.")
    ]
    destination_country: Annotated[
        CountryCode,
        Meta(
            description="Whose wallet is credited, another than the source; opened when absent.",
            examples=["GAB"],
        ),
    ]
    amount: Annotated[
        AmountJson,
        Meta(
            description=f"In the source country's currency, {TRANSFER_LEAST:,} to "
            f"{TRANSFER_MOST:,} unless the application has agreed on other bounds; at most two "
            "decimals.",
            examples=[50000],
        ),
    ]
    description: Annotated[
        Text | None,
        Meta(description="Your own description.", examples=["Fund transfer CMR to GAB"]),
    ] = None
    external_id: ExternalId | None = None


class Side(msgspec.Struct):
    """One side of a transfer. `type` is WALLET_TRANSFER_OUT or WALLET_TRANSFER_IN."""

    id: Annotated[Uuid, Meta(description="This side's identifier.")]
    reference: TransferReference
    type: Annotated[
        Literal["WALLET_TRANSFER_OUT", "WALLET_TRANSFER_IN"],
        Meta(description="OUT of the source country's wallet, IN to the destination's."),
    ]
    amount: Amount
    currency: Currency
    country: Country


class TransferAnswer(msgspec.Struct, rename="camel"):
    """A transfer that was made."""

    id: TransferId
    source_transaction: Annotated[Side, Meta(description="What was debited.")]
    destination_transaction: Annotated[Side, Meta(description="What was credited.")]
    exchange_rate: Rate
    description: Description
    external_id: OwnId | None
    created_at: Annotated[CreatedAt, Meta(description="When the money was moved.")]
    fx: Annotated[Exchange, Meta(description="The rate's receipt.")]


class TransferNarrowQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How transfers are narrowed; `country` matches either side. Dates are whole days."""

    external_id: ExternalIdFilter = None
    country: Annotated[
        CountryFilter, Meta(description="Only transfers out of this country or to it.")
    ] = None
    since: Since = msgspec.field(default=None, name="from")
    until: Until = msgspec.field(default=None, name="to")


class TransferQuery(TransferNarrowQuery, rename="camel", forbid_unknown_fields=True):
    """A page of transfers; `cursor` is the last page's nextCursor."""

    cursor: Cursor = None
    limit: Limit = None


class TransferExportQuery(TransferNarrowQuery, rename="camel", forbid_unknown_fields=True):
    """Transfers as a file; with `bom` it begins with the mark by which Excel knows UTF-8."""

    bom: Bom = False


def answer(transfer: Transfer) -> TransferAnswer:
    """A transfer as the page shows it."""
    quote = transfer.quote
    identifier = str(transfer.id)
    return TransferAnswer(
        id=identifier,
        source_transaction=Side(
            id=identifier,
            reference=transfer.source_reference,
            type="WALLET_TRANSFER_OUT",
            amount=transfer.debited.number,
            currency=transfer.debited.currency,
            country=transfer.source_country,
        ),
        destination_transaction=Side(
            id=str(transfer.destination_id),
            reference=transfer.destination_reference,
            type="WALLET_TRANSFER_IN",
            amount=transfer.credited.number,
            currency=transfer.credited.currency,
            country=transfer.destination_country,
        ),
        exchange_rate=shown_rate(quote),
        description=transfer.description,
        external_id=transfer.external_id,
        created_at=iso(transfer.created_at),
        fx=exchange(quote),
    )


def routes(transfers: Transfers, gate: Gate) -> list[Route]:
    async def create(call: Call) -> Reply:
        """Moves money between two wallets of the application: an answer of 201 means it is moved.

        Between two currencies it is converted at the rate of the moment, which the answer shows and
        `fx` keeps with all its digits. The same currency is always at 1. It costs nothing.
        """
        body: TransferRequest = call.body
        book = _book(call, body.application_id)
        application = await gate.own_application(call.principal, book.application_id)
        wanted = transfers.check(
            application.terms,
            source_country=body.source_country,
            destination_country=body.destination_country,
            amount=json_text(body.amount),
            external_id=body.external_id,
            description=body.description,
        )
        return Reply(answer(await transfers.request(book, wanted, call.keyed)), 201)

    async def recall(call: Call) -> Reply | None:
        if call.keyed is None:
            return None
        book = _book(call, call.body.application_id)
        await gate.own_application(call.principal, book.application_id)
        found = await transfers.find(book, call.keyed.operation_id)
        return None if found is None else Reply(answer(found), 201)

    return [
        Route(
            "POST",
            "/api/wallets/transfer",
            "Move money from one country's wallet to another's",
            Guard.TOKEN,
            create,
            TransferAnswer,
            status=201,
            body=TransferRequest,
            examples=examples.TRANSFERS,
            tag="Transfers",
            refuses=(
                Code.UNSUPPORTED_COUNTRY,
                Code.SAME_COUNTRY,
                Code.INVALID_AMOUNT,
                Code.AMOUNT_OUT_OF_BOUNDS,
                Code.TRANSFER_EXCEEDS_BALANCE,
                Code.APPLICATION_NOT_YOURS,
                Code.NO_WALLET,
                Code.EXTERNAL_ID_USED,
                Code.NO_RATE,
                Code.BUSY,
            ),
            recall=recall,
        ),
        *_reading_routes(transfers),
    ]


def _reading_routes(transfers: Transfers) -> list[Route]:
    """The routes that look at what was moved."""

    async def detail(call: Call) -> Reply:
        """A transfer as it was made; it never changes afterwards."""
        transfer_id = parse_uuid(call.path["id"])
        found = await transfers.find(call.book, transfer_id) if transfer_id else None
        if found is None:
            raise Refusal(Code.NOT_FOUND, "There is no transfer with this id.")
        return Reply(answer(found))

    async def listing(call: Call) -> Reply:
        """Narrowed by `externalId` it tells who lost an answer what became of the call."""
        wanted = msgspec.structs.replace(
            _filter(call.query),
            before=read_cursor(call.query.cursor, parse_uuid),
            limit=read_limit(call.query.limit),
        )
        rows = await transfers.page(call.book, wanted)
        return Reply(page_of(rows, wanted.limit, answer, lambda row: str(row.id)))

    async def export(call: Call) -> Download:
        """One line for each, with both its sides. A file that broke off arrives as an error of the
        connection, never as a shorter file.
        """
        wanted = _filter(call.query)
        return Download(
            transfers_file(transfers, call.book, wanted, marked=call.query.bom),
            file_name(call.book, "transfers", wanted.since, wanted.until),
        )

    return [
        Route(
            "GET",
            "/api/wallets/transfer/{id}",
            "One transfer",
            Guard.TOKEN,
            detail,
            TransferAnswer,
            examples=examples.DETAIL,
            tag="Transfers",
            refuses=(Code.NOT_FOUND,),
            path_types={"id": TransferId},
        ),
        Route(
            "GET",
            "/api/wallets/transfers",
            "Transfers, newest first",
            Guard.TOKEN,
            listing,
            Page[TransferAnswer],
            query=TransferQuery,
            examples=examples.PAGE,
            tag="Transfers",
            refuses=(Code.UNSUPPORTED_COUNTRY,),
        ),
        Route(
            "GET",
            "/api/wallets/transfers/export",
            "Transfers as CSV, newest first, however many there are",
            Guard.TOKEN,
            export,
            str,
            query=TransferExportQuery,
            media=MEDIA,
            examples=examples.FILE,
            tag="Transfers",
            refuses=(Code.UNSUPPORTED_COUNTRY,),
        ),
    ]


def _book(call: Call, application_id: str) -> Book:
    """The book that the body names. Refuses: invalid_body."""
    own = call.book
    # Nearly always the one that the token was given for.
    if application_id == str(own.application_id):
        return own
    named = parse_uuid(application_id)
    if named is None:
        raise Refusal(
            Code.INVALID_BODY,
            "applicationId must be the UUID that GET /api/v1/payments/me gives.",
        )
    return Book(named, own.environment)


def _filter(query: TransferNarrowQuery) -> Filter:
    since, until = read_period(query.since, query.until)
    return Filter(
        external_id=query.external_id,
        country=query.country,
        since=since,
        until=until,
        limit=OF_FILE,
    )
