"""Transfers over HTTP, as the page has them."""

from __future__ import annotations

import msgspec

from kpay.access.gate import Gate
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    AmountJson,
    CountryCode,
    ExternalId,
    Number,
    Page,
    ShortText,
    Text,
    json_text,
    page_of,
    read_cursor,
)
from kpay.core.ids import parse_uuid
from kpay.core.page import Filter, read_limit, read_moment
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.rates.api import Exchange, exchange, shown_rate
from kpay.transfers.flow import Transfers
from kpay.transfers.model import Transfer


class TransferRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Move money between two of the application's wallets."""

    application_id: ShortText
    source_country: CountryCode
    destination_country: CountryCode
    amount: AmountJson
    description: Text | None = None
    external_id: ExternalId | None = None


class Side(msgspec.Struct):
    """One side of a transfer. `type` is WALLET_TRANSFER_OUT or WALLET_TRANSFER_IN."""

    id: str
    reference: str
    type: str
    amount: Number
    currency: str
    country: str


class TransferAnswer(msgspec.Struct, rename="camel"):
    """A transfer that was made."""

    id: str
    source_transaction: Side
    destination_transaction: Side
    exchange_rate: Number
    description: str | None
    external_id: str | None
    created_at: str
    fx: Exchange


class TransferQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How a list of transfers is narrowed; `country` matches either side."""

    external_id: str | None = None
    country: str | None = None
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")
    cursor: str | None = None
    limit: int | None = None


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

    async def detail(call: Call) -> Reply:
        transfer_id = parse_uuid(call.path["id"])
        found = await transfers.find(call.book, transfer_id) if transfer_id else None
        if found is None:
            raise Refusal(Code.NOT_FOUND, "There is no transfer with this id.")
        return Reply(answer(found))

    async def listing(call: Call) -> Reply:
        wanted = _filter(call.query)
        rows = await transfers.page(call.book, wanted)
        return Reply(page_of(rows, wanted.limit, answer, lambda row: str(row.id)))

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
            recall=recall,
        ),
        Route(
            "GET",
            "/api/wallets/transfer/{id}",
            "One transfer",
            Guard.TOKEN,
            detail,
            TransferAnswer,
        ),
        Route(
            "GET",
            "/api/wallets/transfers",
            "Transfers, newest first",
            Guard.TOKEN,
            listing,
            Page[TransferAnswer],
            query=TransferQuery,
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


def _filter(query: TransferQuery) -> Filter:
    return Filter(
        external_id=query.external_id,
        country=query.country,
        since=read_moment(query.since, "from"),
        until=read_moment(query.until, "to"),
        before=read_cursor(query.cursor, parse_uuid),
        limit=read_limit(query.limit),
    )
