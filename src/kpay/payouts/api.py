"""Payouts over HTTP: the API calls them withdrawals."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kpay.access.gate import Gate
from kpay.access.model import Terms
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    BOUNDS_OF,
    PHONE_FORM,
    AmountJson,
    CancelUrl,
    CountryCode,
    ExternalId,
    MetadataJson,
    Number,
    PhoneNumber,
    ProviderCode,
    ReturnUrl,
    Text,
    json_text,
    metadata_text,
    no_metadata,
    shown_metadata,
)
from kpay.core.forms import (
    Amount,
    CompletedAt,
    Country,
    CreatedAt,
    Currency,
    Description,
    ExpiresAt,
    FailedAt,
    FailureReason,
    FeeAmount,
    GatewayUrl,
    IsTest,
    Message,
    Metadata,
    Mode,
    Moment,
    NetAmount,
    OwnId,
    Phone,
    Provider,
    ProviderReference,
    WithdrawalId,
    WithdrawalReference,
)
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.gateways.flow import Gateways
from kpay.gateways.model import counts_as, refuse_destination, require_destination
from kpay.instructions.api import Shapes, cancelling_route, reading_routes, recall
from kpay.instructions.model import Status, Tracked
from kpay.instructions.rails import Attempt
from kpay.payouts import examples
from kpay.payouts.flow import Payouts
from kpay.payouts.model import MOST_QUEUE_MINUTES, PREFIX, IfDelayed, Payout, Wait
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

    amount: Annotated[
        AmountJson,
        Meta(
            description="Gross, in the currency of the wallet that is debited; at most two "
            "decimals. The beneficiary gets it less the fee, converted where it must be.",
            extra_json_schema={BOUNDS_OF: "PAYOUT"},
        ),
    ]
    provider: ProviderCode | None = None
    phone_number: Annotated[
        PhoneNumber | None, Meta(description=f"The beneficiary's. {PHONE_FORM}")
    ] = None
    return_url: ReturnUrl = None
    cancel_url: CancelUrl = None
    source_country: Annotated[
        CountryCode | None,
        Meta(description="Whose wallet is debited; the provider's country unless it is given."),
    ] = None
    external_id: Annotated[ExternalId | None, Meta(examples=["PAYOUT-CROSS-001"])] = None
    description: Annotated[
        Text | None,
        Meta(description="Your own description.", examples=["Supplier payment Gabon"]),
    ] = None
    if_delayed: Annotated[
        IfDelayed,
        Meta(
            description="What is to be done while the operator is DELAYED: QUEUE takes it, and it "
            "waits there until the operator is back; REFUSE refuses it with `provider_closed`."
        ),
    ] = IfDelayed.QUEUE
    queue_minutes: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_QUEUE_MINUTES)] | None,
        Meta(
            description="How long it may wait for its operator: it is cancelled then wherever that "
            "still can be done, and fails with DEADLINE_PASSED. Without it, for as long as it "
            "takes. On the hosted page it counts from the beneficiary's choice.",
            examples=[120],
        ),
    ] = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class WithdrawalAnswer(msgspec.Struct, rename="camel"):
    """A withdrawal. `payoutCurrency` and what follows is there only when it was converted.

    With `mode` GATEWAY, what the beneficiary chooses is null until they have chosen.
    """

    id: WithdrawalId
    reference: WithdrawalReference
    provider_reference: ProviderReference | None
    status: Annotated[Status, Meta(description="Where it stands.")]
    mode: Mode
    amount: Annotated[Amount, Meta(description="What the wallet is debited, gross.")]
    net_amount: NetAmount
    fee_amount: FeeAmount
    currency: Annotated[Currency, Meta(description="The debited wallet's currency.")]
    external_id: OwnId | None
    provider: Provider | None
    country: Annotated[
        Country | None, Meta(description="The provider's country.", examples=["GAB"])
    ]
    phone_number: Phone | None
    source_country: Annotated[Country, Meta(description="Whose wallet is debited.")]
    is_test: IsTest
    message: Message
    created_at: CreatedAt
    payout_currency: Annotated[
        str | UnsetType,
        Meta(
            description="The beneficiary's currency; only where it was converted.",
            examples=["XOF"],
            extra_json_schema={"pattern": "^[A-Z]{3}$"},
        ),
    ] = UNSET
    payout_amount: Annotated[
        Number | UnsetType,
        Meta(
            description="`netAmount` at the unrounded rate; only where it was converted.",
            examples=[48211.75],
        ),
    ] = UNSET
    exchange_rate: Annotated[
        Number | UnsetType,
        Meta(
            description="`payoutCurrency` for one of `currency`, to four decimals; only where it "
            "was converted.",
            examples=[1.015],
        ),
    ] = UNSET
    gateway_url: GatewayUrl | UnsetType = UNSET
    expires_at: ExpiresAt | UnsetType = UNSET


class WithdrawalDetail(WithdrawalAnswer, rename="camel", kw_only=True):
    """A withdrawal with all that is known of it: its rate receipt and every attempt."""

    description: Description
    metadata: Metadata
    completed_at: CompletedAt
    failed_at: FailedAt
    failure_reason: FailureReason
    if_delayed: Annotated[
        str,
        Meta(
            description="What was to be done while the operator was DELAYED: QUEUE or REFUSE.",
            examples=["QUEUE"],
        ),
    ]
    queue_minutes: Annotated[
        int | None,
        Meta(description="How long it may wait for its operator, or null.", examples=[120]),
    ]
    queue_until: Annotated[
        Moment | None,
        Meta(description="Until when that is; null without end, or while nobody has chosen."),
    ]
    fx: Annotated[
        Exchange | None, Meta(description="The rate's receipt; null where nothing was converted.")
    ]
    attempts: Annotated[list[Attempt], Meta(description="Each time the operator was spoken to.")]


def routes(payouts: Payouts, gateways: Gateways, gate: Gate) -> list[Route]:
    def fields(tracked: Tracked[Payout]) -> dict[str, Any]:
        """And the page's address, which only the program itself can tell."""
        payout = tracked.agreed
        if payout.hosted is None:
            return _fields(tracked)
        return {**_fields(tracked), "gateway_url": gateways.url(payout.book, payout.id)}

    shapes = replace(SHAPES, fields=fields)

    async def withdraw(call: Call) -> Reply:
        """Pays a phone in any country from the wallet of any country. The answer is the withdrawal,
        PENDING, with its money set aside.

        `payoutCurrency`, `payoutAmount` and `exchangeRate` are there only where the provider's
        currency is not the wallet's: the rate is fixed now. A withdrawal that fails or is cancelled
        gives all of `amount` back, and its `externalId` can be used again.

        While its operator is DELAYED it is taken and waits there, unless `ifDelayed` says
        otherwise; `queueMinutes` bounds how long. While it is CLOSED, it is refused.
        """
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
            examples=examples.WITHDRAWALS,
            tag="Withdrawals",
            refuses=(
                Code.UNKNOWN_PROVIDER,
                Code.PROVIDER_SUSPENDED,
                Code.PROVIDER_CLOSED,
                Code.PROVIDER_NOT_ALLOWED,
                Code.UNSUPPORTED_COUNTRY,
                Code.INVALID_AMOUNT,
                Code.AMOUNT_OUT_OF_BOUNDS,
                Code.INVALID_PHONE_NUMBER,
                Code.NOT_A_TEST_NUMBER,
                Code.INVALID_ADDRESS,
                Code.NO_WALLET,
                Code.EXTERNAL_ID_USED,
                Code.WITHDRAWAL_EXCEEDS_BALANCE,
                Code.NO_RATE,
                Code.BUSY,
            ),
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
        wait=Wait(body.if_delayed, body.queue_minutes),
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
        wait=Wait(body.if_delayed, body.queue_minutes),
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
        "if_delayed": payout.wait.if_delayed,
        "queue_minutes": payout.wait.minutes,
        "queue_until": None if payout.queue_until is None else iso(payout.queue_until),
        "fx": None if payout.exchange is None else exchange(payout.exchange[1]),
    }


SHAPES = Shapes(
    PREFIX,
    WithdrawalAnswer,
    WithdrawalDetail,
    _fields,
    _more,
    tag="Withdrawals",
    id_type=WithdrawalId,
    detail_examples=examples.DETAIL,
    page_examples=examples.PAGE,
    file_examples=examples.FILE,
    finish_examples=examples.FINISH,
    cancel_examples=examples.CANCEL,
    asked_examples=examples.ASKED,
)
