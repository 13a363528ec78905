"""Payouts over HTTP: the API calls them withdrawals."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kpay.access.gate import Gate
from kpay.core.clock import iso
from kpay.core.fields import (
    BOUNDS_OF,
    PHONE_FORM,
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
from kpay.core.forms import (
    Amount,
    CompletedAt,
    Country,
    CreatedAt,
    Currency,
    Description,
    FailedAt,
    FailureReason,
    FeeAmount,
    IsTest,
    Message,
    Metadata,
    NetAmount,
    OwnId,
    Phone,
    Provider,
    ProviderReference,
    WithdrawalId,
    WithdrawalReference,
)
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.instructions.api import Shapes, cancelling_route, reading_routes, recall
from kpay.instructions.flow import Attempt
from kpay.instructions.model import Status, Tracked
from kpay.payouts import examples
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


class WithdrawalRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Pay a phone. `amount` is gross, in the currency of the wallet that is debited."""

    amount: Annotated[
        AmountJson,
        Meta(
            description="Gross, in the currency of the wallet that is debited; at most two "
            "decimals. The beneficiary gets it less the fee, converted where it must be.",
            extra_json_schema={BOUNDS_OF: "PAYOUT"},
        ),
    ]
    provider: ProviderCode
    phone_number: Annotated[PhoneNumber, Meta(description=f"The beneficiary's. {PHONE_FORM}")]
    source_country: Annotated[
        CountryCode | None,
        Meta(description="Whose wallet is debited; the provider's country unless it is given."),
    ] = None
    external_id: Annotated[ExternalId | None, Meta(examples=["PAYOUT-CROSS-001"])] = None
    description: Annotated[
        Text | None,
        Meta(description="Your own description.", examples=["Supplier payment Gabon"]),
    ] = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class WithdrawalAnswer(msgspec.Struct, rename="camel"):
    """A withdrawal. The last three of the page's fields are there only when it was converted."""

    id: WithdrawalId
    reference: WithdrawalReference
    provider_reference: ProviderReference
    status: Annotated[Status, Meta(description="Where it stands.")]
    amount: Annotated[Amount, Meta(description="What the wallet is debited, gross.")]
    net_amount: NetAmount
    fee_amount: FeeAmount
    currency: Annotated[Currency, Meta(description="The debited wallet's currency.")]
    external_id: OwnId | None
    provider: Provider
    country: Annotated[Country, Meta(description="The provider's country.", examples=["GAB"])]
    phone_number: Phone
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


class WithdrawalDetail(WithdrawalAnswer, rename="camel", kw_only=True):
    """A withdrawal with all that is known of it: its rate receipt and every attempt."""

    description: Description
    metadata: Metadata
    completed_at: CompletedAt
    failed_at: FailedAt
    failure_reason: FailureReason
    fx: Annotated[
        Exchange | None, Meta(description="The rate's receipt; null where nothing was converted.")
    ]
    attempts: Annotated[list[Attempt], Meta(description="Each time the operator was spoken to.")]


def routes(payouts: Payouts, gate: Gate) -> list[Route]:
    async def withdraw(call: Call) -> Reply:
        """Pays a phone in any country from the wallet of any country. The answer is the withdrawal,
        PENDING, with its money set aside.

        `payoutCurrency`, `payoutAmount` and `exchangeRate` are there only where the provider's
        currency is not the wallet's: the rate is fixed now. A withdrawal that fails or is cancelled
        gives all of `amount` back, and its `externalId` can be used again.
        """
        body: WithdrawalRequest = call.body
        application = await gate.own_application(call.principal, call.book.application_id)
        wanted = payouts.check(
            call.book,
            application.terms,
            amount=json_text(body.amount),
            provider=body.provider,
            phone_number=body.phone_number,
            source_country=body.source_country,
            external_id=body.external_id,
            description=body.description,
            metadata=metadata_text(body.metadata),
        )
        tracked = await payouts.request(call.book, wanted, application.terms, call.keyed)
        return Reply(SHAPES.show(tracked), 201)

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
                Code.NO_WALLET,
                Code.EXTERNAL_ID_USED,
                Code.WITHDRAWAL_EXCEEDS_BALANCE,
                Code.NO_RATE,
                Code.BUSY,
            ),
            recall=recall(payouts, SHAPES),
        ),
        cancelling_route(payouts, SHAPES, one=base),
        *reading_routes(payouts, SHAPES, one=base, many="/api/v1/payments/withdrawals"),
    ]


def _fields(tracked: Tracked[Payout]) -> dict[str, Any]:
    """The fields that every answer about a withdrawal has."""
    payout, progress = tracked.agreed, tracked.progress
    fields: dict[str, Any] = {
        "id": payout.public_id,
        "reference": payout.reference,
        "provider_reference": str(progress.reference),
        "status": progress.status,
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
        "message": _MESSAGES[progress.status],
        "created_at": iso(payout.created_at),
    }
    if payout.is_converted:
        fields["payout_currency"] = payout.payout_amount.currency
        fields["payout_amount"] = payout.payout_amount.number
        fields["exchange_rate"] = shown_rate(payout.quote)
    return fields


def _more(payout: Payout) -> dict[str, Any]:
    return {
        "description": payout.description,
        "metadata": shown_metadata(payout.metadata),
        "fx": exchange(payout.quote) if payout.is_converted else None,
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
    finish_examples=examples.FINISH,
    cancel_examples=examples.CANCEL,
)
