"""Payouts over HTTP: the API calls them withdrawals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from kpay.access.gate import Gate
from kpay.access.model import Terms
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    Address,
    AmountJson,
    CountryCode,
    ExternalId,
    MetadataJson,
    Number,
    PhoneNumber,
    ProviderCode,
    Text,
    json_text,
    metadata_text,
    no_metadata,
    shown_metadata,
)
from kpay.core.keyed import Keyed
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.gateways.flow import Gateways
from kpay.gateways.model import counts_as, refuse_destination, require_destination
from kpay.instructions.api import Shapes, cancelling_route, reading_routes, recall
from kpay.instructions.model import Status, Tracked
from kpay.instructions.rails import Attempt
from kpay.payouts.flow import Payouts
from kpay.payouts.model import PREFIX, Payout
from kpay.rates.api import Exchange, exchange, shown_rate

_MESSAGES = {
    Status.PENDING: "Withdrawal request received. Processing via Mobile Money.",
    Status.PROCESSING: "The operator is processing this withdrawal.",
    Status.COMPLETED: "The beneficiary has been paid.",
    Status.FAILED: "The withdrawal failed: the whole amount is back in the wallet.",
    Status.CANCELLED: "The withdrawal was cancelled: the whole amount is back in the wallet.",
}
_CHOOSING = "Send the beneficiary to gatewayUrl: they choose there where the money goes."


class WithdrawalRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Pay a phone. `amount` is gross, in the currency of the wallet that is debited.

    `provider` and `phoneNumber` are required, unless there is a `returnUrl`: then the beneficiary
    chooses both on the hosted page, and `sourceCountry` says which wallet, if there are several.
    """

    amount: AmountJson
    provider: ProviderCode | None = None
    phone_number: PhoneNumber | None = None
    return_url: Address | None = None
    cancel_url: Address | None = None
    source_country: CountryCode | None = None
    external_id: ExternalId | None = None
    description: Text | None = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class WithdrawalAnswer(msgspec.Struct, rename="camel"):
    """A withdrawal. `payoutCurrency` and what follows is there only when it was converted.

    With `mode` GATEWAY, what the beneficiary chooses is null until they have chosen.
    """

    id: str
    reference: str
    provider_reference: str | None
    status: str
    mode: Literal["USSD", "GATEWAY"]
    amount: Number
    net_amount: Number
    fee_amount: Number
    currency: str
    external_id: str | None
    provider: str | None
    country: str | None
    phone_number: str | None
    source_country: str
    is_test: bool
    message: str
    created_at: str
    payout_currency: str | UnsetType = UNSET
    payout_amount: Number | UnsetType = UNSET
    exchange_rate: Number | UnsetType = UNSET
    gateway_url: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


class WithdrawalDetail(WithdrawalAnswer, rename="camel", kw_only=True):
    """A withdrawal with all that is known of it: its rate receipt and every attempt."""

    description: str | None
    metadata: Any
    completed_at: str | None
    failed_at: str | None
    failure_reason: str | None
    fx: Exchange | None
    attempts: list[Attempt]


def routes(payouts: Payouts, gateways: Gateways, gate: Gate) -> list[Route]:
    def fields(tracked: Tracked[Payout]) -> dict[str, Any]:
        """And the page's address, which only the program itself can tell."""
        payout = tracked.agreed
        if payout.hosted is None:
            return _fields(tracked)
        return {**_fields(tracked), "gateway_url": gateways.url(payout.book, payout.id)}

    shapes = replace(SHAPES, fields=fields)

    async def withdraw(call: Call) -> Reply:
        body: WithdrawalRequest = call.body
        application = await gate.own_application(call.principal, call.book.application_id)
        begin = _to_phone if body.return_url is None else _on_page
        tracked = await begin(payouts, call.book, body, application.terms, call.keyed)
        return Reply(shapes.show(tracked), 201)

    base = "/api/v1/payments/withdraw"
    return [
        Route(
            "POST",
            base,
            "Pay a phone in any country from any wallet",
            Guard.KEYS,
            withdraw,
            WithdrawalAnswer,
            status=201,
            body=WithdrawalRequest,
            recall=recall(payouts, shapes),
            also_counts=counts_as,
        ),
        cancelling_route(payouts, shapes, one=base),
        *reading_routes(payouts, shapes, one=base, many="/api/v1/payments/withdrawals"),
    ]


async def _to_phone(
    payouts: Payouts, book: Book, body: WithdrawalRequest, terms: Terms, keyed: Keyed | None
) -> Tracked[Payout]:
    provider, phone_number = require_destination(body.provider, body.phone_number, body.cancel_url)
    wanted = payouts.check(
        book,
        terms,
        amount=json_text(body.amount),
        provider=provider,
        phone_number=phone_number,
        source_country=body.source_country,
        external_id=body.external_id,
        description=body.description,
        metadata=metadata_text(body.metadata),
    )
    return await payouts.request(book, wanted, terms, keyed)


async def _on_page(
    payouts: Payouts, book: Book, body: WithdrawalRequest, terms: Terms, keyed: Keyed | None
) -> Tracked[Payout]:
    refuse_destination(body.provider, body.phone_number)
    wanted = await payouts.check_hosted(
        book,
        terms,
        amount=json_text(body.amount),
        source_country=body.source_country,
        return_url=body.return_url or "",
        cancel_url=body.cancel_url,
        external_id=body.external_id,
        description=body.description,
        metadata=metadata_text(body.metadata),
    )
    return await payouts.request_hosted(book, wanted, terms, keyed)


def _fields(tracked: Tracked[Payout]) -> dict[str, Any]:
    """The fields that every answer about a withdrawal has."""
    payout, progress = tracked.agreed, tracked.progress
    hosted = payout.hosted
    chosen = payout.provider is not None
    choosing = hosted is not None and progress.status is Status.PENDING
    fields: dict[str, Any] = {
        "id": payout.public_id,
        "reference": payout.reference,
        # Before the beneficiary has chosen, nothing was made for a rail.
        "provider_reference": str(progress.reference) if chosen else None,
        "status": progress.status,
        "mode": "USSD" if hosted is None else "GATEWAY",
        "expires_at": UNSET if hosted is None else iso(hosted.expires_at),
        "amount": payout.amount.number,
        "net_amount": payout.net.number,
        "fee_amount": payout.fee.number,
        "currency": payout.amount.currency,
        "external_id": payout.external_id,
        "provider": payout.provider,
        "country": payout.country,
        "phone_number": payout.phone_number,
        "source_country": payout.source_country,
        "is_test": payout.book.is_test,
        "message": _CHOOSING if choosing else _MESSAGES[progress.status],
        "created_at": iso(payout.created_at),
    }
    if payout.exchange is not None:
        arrives, quote = payout.exchange
        fields["payout_currency"] = arrives.currency
        fields["payout_amount"] = arrives.number
        fields["exchange_rate"] = shown_rate(quote)
    return fields


def _more(payout: Payout) -> dict[str, Any]:
    return {
        "description": payout.description,
        "metadata": shown_metadata(payout.metadata),
        "fx": None if payout.exchange is None else exchange(payout.exchange[1]),
    }


SHAPES = Shapes(PREFIX, WithdrawalAnswer, WithdrawalDetail, _fields, _more)
