"""What operators can do, over HTTP: availability, whose number is it, fees and limits."""

from __future__ import annotations

import msgspec

from kpay.access.model import DEFAULT_FEE_BPS, TRANSFER_LEAST, TRANSFER_MOST
from kpay.catalogue.model import OFFERED, Catalogue, OperationType
from kpay.connectors.routing import Routing
from kpay.core.book import Environment
from kpay.core.fields import Number, PhoneNumber
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Guard, Reply, Route


class PredictRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A number, with or without + and spaces."""

    phone_number: PhoneNumber


class PredictAnswer(msgspec.Struct, rename="camel"):
    """The operator that most likely serves the number; a ported number may differ."""

    country: str
    provider: str
    phone_number: str


class TypeStatus(msgspec.Struct, rename="camel"):
    """`operationType` is DEPOSIT or PAYOUT; `status` OPERATIONAL, DELAYED or CLOSED."""

    operation_type: str
    status: str


class ProviderAvailability(msgspec.Struct, rename="camel"):
    provider: str
    operation_types: list[TypeStatus]


class CountryAvailability(msgspec.Struct, rename="camel"):
    country: str
    providers: list[ProviderAvailability]


class Bounds(msgspec.Struct):
    """The least and the most, in whole units of the currency."""

    min: Number
    max: Number


class CurrencyTerms(msgspec.Struct, rename="camel"):
    """The bounds of each operation in one currency."""

    currency: str
    payment: Bounds
    withdrawal: Bounds
    transfer: Bounds


class PlatformAnswer(msgspec.Struct, rename="camel"):
    """The fees and limits of an application that has none of its own. Fees are per cent."""

    payment_fee_percent: Number
    withdrawal_fee_percent: Number
    transfer_fee_percent: Number
    currencies: list[CurrencyTerms]


def routes(catalogue: Catalogue, routing: Routing) -> list[Route]:
    async def predict(call: Call) -> Reply:
        digits = call.body.phone_number.strip().removeprefix("+").replace(" ", "")
        if call.principal.environment is Environment.TEST and not _is_test_number(
            catalogue, digits
        ):
            raise Refusal(
                Code.NOT_A_TEST_NUMBER,
                "The sandbox knows only test numbers, such as 237653456789.",
            )
        provider = catalogue.predict(digits)
        if provider is None:
            raise Refusal(
                Code.INVALID_PHONE_NUMBER,
                "No operator is known for this phoneNumber: it must begin with the calling code "
                "of a supported country.",
            )
        return Reply(PredictAnswer(provider.country, provider.code, digits), 201)

    async def availability(call: Call) -> Reply:
        environment = call.principal.environment
        return Reply(
            [_availability(catalogue, routing, environment, code) for code in catalogue.countries]
        )

    async def platform_info(_call: Call) -> Reply:
        percent = DEFAULT_FEE_BPS // 100
        return Reply(
            PlatformAnswer(
                payment_fee_percent=percent,
                withdrawal_fee_percent=percent,
                transfer_fee_percent=0,
                currencies=[_terms(catalogue, currency) for currency in _currencies(catalogue)],
            )
        )

    base = "/api/v1/payments"
    return [
        Route(
            "POST",
            f"{base}/predict-provider",
            "Which operator serves a number",
            Guard.KEYS,
            predict,
            PredictAnswer,
            status=201,
            body=PredictRequest,
        ),
        Route(
            "GET",
            f"{base}/availability",
            "Which operators are open",
            Guard.KEYS,
            availability,
            list[CountryAvailability],
        ),
        Route(
            "GET",
            "/api/public/platform-info",
            "Fees and limits in force",
            Guard.PUBLIC,
            platform_info,
            PlatformAnswer,
        ),
    ]


def _availability(
    catalogue: Catalogue, routing: Routing, environment: Environment, country: str
) -> CountryAvailability:
    return CountryAvailability(
        country=country,
        providers=[
            ProviderAvailability(
                provider=provider.code,
                operation_types=[
                    TypeStatus(type_, routing.status(environment, provider, type_))
                    for type_ in OFFERED
                ],
            )
            for provider in catalogue.of_country(country)
        ],
    )


def _is_test_number(catalogue: Catalogue, digits: str) -> bool:
    return any((type_, digits) in catalogue.test_numbers for type_ in OFFERED)


def _currencies(catalogue: Catalogue) -> list[str]:
    return sorted({country.currency for country in catalogue.countries.values()})


def _terms(catalogue: Catalogue, currency: str) -> CurrencyTerms:
    payment = catalogue.limits[OperationType.DEPOSIT, currency]
    payout = catalogue.limits[OperationType.PAYOUT, currency]
    return CurrencyTerms(
        currency=currency,
        payment=Bounds(payment.least.number, payment.most.number),
        withdrawal=Bounds(payout.least.number, payout.most.number),
        transfer=Bounds(TRANSFER_LEAST, TRANSFER_MOST),
    )
