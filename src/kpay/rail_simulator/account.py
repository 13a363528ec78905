"""What this merchant's account at the rail may do: countries, providers, limits, who is up.

Pure. It takes what it knows from our catalogue, whose providers are pawaPay's; those that are
suspended or exist only in the sandbox are not on this account, as they are not on a real one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kpay.catalogue.model import Catalogue, OperationType, Provider, ProviderStatus
from kpay.core.limits import Limits
from kpay.core.money import Money, rail_text, to_minor
from kpay.rail_simulator.books import Order, Place
from kpay.rail_simulator.wire import Fault, Request, invalid

_MSISDN = re.compile(r"[1-9][0-9]{8,14}")


class Availability(StrEnum):
    """OPERATIONAL; DELAYED, when only deposits are refused; CLOSED, when everything is."""

    OPERATIONAL = "OPERATIONAL"
    DELAYED = "DELAYED"
    CLOSED = "CLOSED"


class Account:
    """One merchant. `callback_urls` are its own, one for each operation."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        company: str,
        callback_urls: Mapping[OperationType, str],
        signed_requests_only: bool,
        signed_callbacks: bool,
    ) -> None:
        self.callback_urls = dict(callback_urls)
        self._catalogue = catalogue
        self._company = company
        self._signed_requests_only = signed_requests_only
        self._signed_callbacks = signed_callbacks
        self.providers = {
            code: provider
            for code, provider in catalogue.providers.items()
            if provider.status is ProviderStatus.ACTIVE
        }
        self._availability: dict[tuple[str, OperationType], Availability] = {}

    def places(self) -> list[Place]:
        """The wallets that it has."""
        return sorted({Place(one.country, one.currency) for one in self.providers.values()})

    def availability(self, provider: str, type_: OperationType) -> Availability:
        return self._availability.get((provider, type_), Availability.OPERATIONAL)

    def set_availability(
        self, provider: str, type_: OperationType | None, status: Availability
    ) -> None:
        """Of one operation, or of all. Raises KeyError for a provider that it has not."""
        if provider not in self.providers:
            raise KeyError(provider)
        for one in OperationType if type_ is None else (type_,):
            self._availability[(provider, one)] = status

    def judge(self, request: Request) -> Order:
        """A payment in or out, as this account may make it. Faults: those that come with 200."""
        provider = self._provider(request.provider)
        if request.currency != provider.currency:
            raise _no("INVALID_CURRENCY", f"{provider.code} does not take {request.currency}.")
        self._check_number(request.phone_number, provider)
        order = Order(
            type=request.type,
            id=request.id,
            amount=self.amount(request.type, provider, request.amount or ""),
            country=provider.country,
            provider=provider.code,
            phone_number=request.phone_number,
            customer_message=request.customer_message,
            client_reference=request.client_reference,
            metadata=request.metadata,
        )
        self.check_up(order)
        return order

    def amount(self, type_: OperationType, provider: Provider, text: str) -> Money:
        """Faults: INVALID_AMOUNT, AMOUNT_OUT_OF_BOUNDS."""
        decimals = provider.decimals(type_)
        value = Decimal(text)
        minor = to_minor(value, decimals=decimals)
        if minor is None:
            raise _no("INVALID_AMOUNT", f"{provider.code} supports {decimals} decimals here.")
        amount, limits = Money(minor, provider.currency), self._limits(type_, provider)
        if not limits.least.minor <= minor <= limits.most.minor:
            raise _no(
                "AMOUNT_OUT_OF_BOUNDS",
                f"The amount must be between {rail_text(limits.least)} and "
                f"{rail_text(limits.most)} {provider.currency}.",
            )
        return amount

    def check_up(self, order: Order) -> None:
        """Faults: PROVIDER_TEMPORARILY_UNAVAILABLE."""
        status = self.availability(order.provider, order.type)
        deposit = order.type is OperationType.DEPOSIT
        if status is Availability.CLOSED or (deposit and status is Availability.DELAYED):
            raise _no("PROVIDER_TEMPORARILY_UNAVAILABLE", f"{order.provider} is {status}.")

    def predict(self, said: str) -> dict[str, str]:
        """Free text to country, provider and a clean number. Faults: INVALID_PARAMETER."""
        digits = re.sub(r"[^0-9]", "", said).lstrip("0")
        country = self._catalogue.country_of_number(digits)
        if country is not None:
            national = digits.removeprefix(country.calling_code)
            # Some are written with the zero of a call at home, 250 0783…, and some have to keep it.
            for number in (digits, country.calling_code + national.lstrip("0")):
                provider = self._catalogue.predict(number)
                if provider is not None and provider.code in self.providers:
                    self._check_number(number, provider)
                    return {
                        "country": country.code,
                        "provider": provider.code,
                        "phoneNumber": number,
                    }
        raise invalid("'phoneNumber' does not match any provider's format")

    def configuration(self, country: str | None, type_: OperationType | None) -> dict[str, Any]:
        """What `active-conf` answers, of one country or operation where they are named."""
        return {
            "companyName": self._company,
            "signatureConfiguration": {
                "signedRequestsOnly": self._signed_requests_only,
                "signedCallbacks": self._signed_callbacks,
            },
            "countries": [
                {
                    "country": code,
                    "displayName": {
                        "en": self._catalogue.countries[code].name,
                        "fr": self._catalogue.countries[code].name_fr,
                    },
                    "prefix": self._catalogue.countries[code].calling_code,
                    "flag": "",
                    "providers": [self._configured(one, type_) for one in providers],
                }
                for code, providers in self._by_country(country)
            ],
        }

    def availabilities(
        self, country: str | None, type_: OperationType | None
    ) -> list[dict[str, Any]]:
        """What `availability` answers."""
        return [
            {
                "country": code,
                "providers": [
                    {
                        "provider": provider.code,
                        "operationTypes": [
                            {
                                "operationType": str(one),
                                "status": str(self.availability(provider.code, one)),
                            }
                            for one in _types(type_)
                        ],
                    }
                    for provider in providers
                ],
            }
            for code, providers in self._by_country(country)
        ]

    def _configured(self, provider: Provider, type_: OperationType | None) -> dict[str, Any]:
        return {
            "provider": provider.code,
            "displayName": provider.operator,
            "logo": "",
            "nameDisplayedToCustomer": self._company,
            "currencies": [
                {
                    "currency": provider.currency,
                    "displayName": provider.currency,
                    "operationTypes": {
                        str(one): self._operation(provider, one) for one in _types(type_)
                    },
                }
            ],
        }

    def _operation(self, provider: Provider, type_: OperationType) -> dict[str, Any]:
        limits = self._limits(type_, provider)
        said: dict[str, Any] = {
            "minAmount": rail_text(limits.least),
            "maxAmount": rail_text(limits.most),
            "decimalsInAmount": "NONE" if provider.decimals(type_) == 0 else "TWO_PLACES",
            "status": str(self.availability(provider.code, type_)),
            "callbackUrl": self.callback_urls.get(type_, ""),
        }
        if type_ is OperationType.DEPOSIT:
            said |= {
                "authType": "PROVIDER_AUTH",
                "pinPrompt": "AUTOMATIC",
                "pinPromptRevivable": False,
            }
        return said

    def _by_country(self, country: str | None) -> Iterator[tuple[str, list[Provider]]]:
        for code in sorted({provider.country for provider in self.providers.values()}):
            if country in (None, code):
                yield code, [one for one in self.providers.values() if one.country == code]

    def _provider(self, code: str) -> Provider:
        provider = self.providers.get(code)
        if provider is None:
            raise _no("INVALID_PROVIDER", f"{code} is not a provider of this account.")
        return provider

    def _check_number(self, number: str, provider: Provider) -> None:
        code = self._catalogue.countries[provider.country].calling_code
        if not (_MSISDN.fullmatch(number) and number.startswith(code)):
            raise _no(
                "INVALID_PHONE_NUMBER",
                f"The number must be an MSISDN of {provider.country}, which begins with {code}.",
            )

    def _limits(self, type_: OperationType, provider: Provider) -> Limits:
        return self._catalogue.limits[(type_.decided_by, provider.currency)]


def _types(type_: OperationType | None) -> tuple[OperationType, ...]:
    return tuple(OperationType) if type_ is None else (type_,)


def _no(code: str, message: str) -> Fault:
    return Fault(200, code, message)
