"""What operators can do, over HTTP: availability, whose number is it, fees and limits."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kpay.access.model import DEFAULT_FEE_BPS, TRANSFER_LEAST, TRANSFER_MOST
from kpay.catalogue.model import OFFERED, Catalogue, OperationType
from kpay.connectors import examples
from kpay.connectors.predicting import Predictions
from kpay.connectors.routing import Routing
from kpay.core.book import Environment
from kpay.core.fields import Number, PhoneNumber
from kpay.core.forms import Country, Currency, Phone, Provider
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route


class PredictRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A number, with or without + and spaces."""

    phone_number: PhoneNumber


class PredictAnswer(msgspec.Struct, rename="camel"):
    """The operator that most likely serves the number; a ported number may differ."""

    country: Country
    provider: Provider
    phone_number: Phone


class TypeStatus(msgspec.Struct, rename="camel"):
    """`operationType` is DEPOSIT or PAYOUT; `status` OPERATIONAL, DELAYED or CLOSED."""

    operation_type: Annotated[
        str,
        Meta(
            description="DEPOSIT for payments, PAYOUT for withdrawals.",
            extra_json_schema={"enum": list(OFFERED)},
        ),
    ]
    status: Annotated[
        str,
        Meta(
            description="CLOSED is refused; DELAYED refuses payments and pays withdrawals later.",
            extra_json_schema={"enum": ["OPERATIONAL", "DELAYED", "CLOSED"]},
        ),
    ]


class ProviderAvailability(msgspec.Struct, rename="camel"):
    """One operator in one country."""

    provider: Provider
    operation_types: Annotated[
        list[TypeStatus], Meta(description="What it can be asked to do, and whether it can now.")
    ]


class CountryAvailability(msgspec.Struct, rename="camel"):
    """One country's operators."""

    country: Country
    providers: Annotated[list[ProviderAvailability], Meta(description="The country's operators.")]


class Bounds(msgspec.Struct):
    """The least and the most, in whole units of the currency."""

    min: Annotated[Number, Meta(description="The least, allowed.", examples=[100])]
    max: Annotated[Number, Meta(description="The most, allowed.", examples=[500000])]


class CurrencyTerms(msgspec.Struct, rename="camel"):
    """The bounds of each operation in one currency."""

    currency: Currency
    payment: Annotated[Bounds, Meta(description="Of one payment.")]
    withdrawal: Annotated[Bounds, Meta(description="Of one withdrawal, gross.")]
    transfer: Annotated[Bounds, Meta(description="Of one transfer out of a wallet.")]


class PlatformAnswer(msgspec.Struct, rename="camel"):
    """The fees and limits of an application that has none of its own. Fees are per cent."""

    payment_fee_percent: Annotated[Number, Meta(description="Of what a payer pays.", examples=[5])]
    withdrawal_fee_percent: Annotated[
        Number, Meta(description="Of a withdrawal's `amount`.", examples=[5])
    ]
    transfer_fee_percent: Annotated[
        Number, Meta(description="Of a transfer's `amount`.", examples=[0])
    ]
    currencies: Annotated[list[CurrencyTerms], Meta(description="The bounds in each currency.")]


def routes(catalogue: Catalogue, routing: Routing, predictions: Predictions) -> list[Route]:
    async def predicted(call: Call) -> Reply:
        """Guesses the operator of a number: its rail is asked where it can tell, else the first
        digits say. A number that was ported may have another.

        The sandbox knows only the test numbers.
        """
        provider, digits = await predictions.predict(
            call.principal.environment, call.body.phone_number
        )
        return Reply(PredictAnswer(provider.country, provider.code, digits), 201)

    async def availability(call: Call) -> Reply:
        """Every operator in every country, and whether it takes payments and pays out now."""
        environment = call.principal.environment
        return Reply(
            [_availability(catalogue, routing, environment, code) for code in catalogue.countries]
        )

    async def platform_info(_call: Call) -> Reply:
        """What an application pays, and the least and the most of each operation.

        An application may have agreed on others.
        """
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
            predicted,
            PredictAnswer,
            status=201,
            body=PredictRequest,
            examples=examples.PREDICT,
            tag="Operators",
            refuses=(Code.NOT_A_TEST_NUMBER, Code.INVALID_PHONE_NUMBER),
        ),
        Route(
            "GET",
            f"{base}/availability",
            "Which operators are open",
            Guard.KEYS,
            availability,
            list[CountryAvailability],
            examples=examples.AVAILABILITY,
            tag="Operators",
        ),
        Route(
            "GET",
            "/api/public/platform-info",
            "Fees and limits in force",
            Guard.PUBLIC,
            platform_info,
            PlatformAnswer,
            examples=examples.PLATFORM,
            tag="Operators",
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
