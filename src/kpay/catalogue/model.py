"""What the world looks like to the program: countries, providers, limits, test numbers.

Pure look-ups over values that `catalogue.data` reads from the CSV files beside it. Every look-up
that can fail raises a Refusal that lists what would have been accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from kpay.core.limits import Limits
from kpay.core.refusals import Code, Refusal


class OperationType(StrEnum):
    """What a provider is asked to do, in the words that rails use."""

    DEPOSIT = "DEPOSIT"
    PAYOUT = "PAYOUT"
    REFUND = "REFUND"
    """Giving back a deposit: it has no bounds, decimals or test numbers but the deposit's own."""

    @property
    def decided_by(self) -> OperationType:
        """Whose test numbers say how it ends in the sandbox."""
        return OperationType.DEPOSIT if self is OperationType.REFUND else self


OFFERED = (OperationType.DEPOSIT, OperationType.PAYOUT)
"""What a merchant can ask a provider for; a refund follows from a deposit."""


class ProviderStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Known, and refused everywhere: Wave, while its authentication is being finished."""
    SANDBOX_ONLY = "sandbox_only"
    """In the page's examples though no such operator exists: ORANGE_GAB."""


class Country(msgspec.Struct, frozen=True):
    """A country with the one currency of its wallets; `zone` is CEMAC, UEMOA or empty."""

    code: str
    name: str
    name_fr: str
    zone: str
    currency: str
    calling_code: str


class Provider(msgspec.Struct, frozen=True):
    """A mobile-money operator in one country. Decimals are what it accepts, not ISO 4217's.

    Its limits are those of the rail that reaches it, where that has told them.
    """

    code: str
    country: str
    operator: str
    currency: str
    deposit_decimals: int
    payout_decimals: int
    status: ProviderStatus
    prefixes: tuple[str, ...]
    deposit_limits: Limits | None = None
    payout_limits: Limits | None = None

    def decimals(self, operation: OperationType) -> int:
        return self.payout_decimals if operation is OperationType.PAYOUT else self.deposit_decimals

    def limits(self, operation: OperationType) -> Limits | None:
        return self.payout_limits if operation is OperationType.PAYOUT else self.deposit_limits


class TestNumber(msgspec.Struct, frozen=True):
    """A sandbox telephone number and what happens to money sent to it or asked of it."""

    __test__ = False  # It is no test case, whatever a test runner makes of its name.

    country: str
    operation: OperationType
    phone_number: str
    outcome: str
    failure_code: str | None


@dataclass(frozen=True)
class Catalogue:
    """Everything the data files say."""

    countries: Mapping[str, Country]
    providers: Mapping[str, Provider]
    limits: Mapping[tuple[OperationType, str], Limits]
    test_numbers: Mapping[tuple[OperationType, str], TestNumber]

    def country(self, code: str, field: str) -> Country:
        """The country of an ISO 3166-1 alpha-3 code. Refuses: unsupported_country."""
        country = self.countries.get(code)
        if country is None:
            raise Refusal(
                Code.UNSUPPORTED_COUNTRY,
                f"{field} must be one of {', '.join(self.countries)}.",
            )
        return country

    def known_provider(self, code: str) -> Provider:
        """A provider, whether it can be used now or not. Refuses: unknown_provider."""
        provider = self.providers.get(code)
        if provider is None:
            raise Refusal(
                Code.UNKNOWN_PROVIDER,
                f"provider must be one of {', '.join(sorted(self.providers))}.",
            )
        return provider

    def provider(self, code: str) -> Provider:
        """A provider that can be used. Refuses: unknown_provider, provider_suspended."""
        provider = self.known_provider(code)
        if provider.status is ProviderStatus.SUSPENDED:
            raise Refusal(
                Code.PROVIDER_SUSPENDED,
                f"{code} is temporarily suspended: use {self._others(provider)} meanwhile.",
            )
        return provider

    def test_number(self, operation: OperationType, phone_number: str, country: str) -> TestNumber:
        """The test number, of whichever country. Refuses with the numbers of `country`.

        The number decides the outcome, whatever the provider's country: the page itself pays
        Gabon and Côte d'Ivoire with Cameroon's 237653456789.
        """
        found = self.test_numbers.get((operation, phone_number))
        if found is None:
            raise Refusal(
                Code.NOT_A_TEST_NUMBER,
                "The sandbox knows only test numbers. phoneNumber for a "
                f"{operation.lower()} in {country} must be one of "
                f"{self._numbers(operation, country)}.",
            )
        return found

    def country_of_number(self, phone_number: str) -> Country | None:
        """The country whose calling code begins the number."""
        for country in self.countries.values():
            if phone_number.startswith(country.calling_code):
                return country
        return None

    def predict(self, phone_number: str) -> Provider | None:
        """The provider that most likely serves a number; portability makes it a suggestion."""
        country = self.country_of_number(phone_number)
        if country is None:
            return None
        national = phone_number.removeprefix(country.calling_code)
        matches = [
            (len(prefix), provider)
            for provider in self.of_country(country.code)
            for prefix in provider.prefixes
            # Some plans are dialled with a leading zero that the international form may drop.
            if national.startswith(prefix) or f"0{national}".startswith(prefix)
        ]
        return max(matches, key=lambda match: match[0])[1] if matches else None

    def of_country(self, code: str) -> Sequence[Provider]:
        return [provider for provider in self.providers.values() if provider.country == code]

    def _others(self, suspended: Provider) -> str:
        return " or ".join(
            provider.code
            for provider in self.of_country(suspended.country)
            if provider.status is ProviderStatus.ACTIVE
        )

    def _numbers(self, operation: OperationType, country: str) -> str:
        return ", ".join(
            number.phone_number
            for (kind, _), number in self.test_numbers.items()
            if kind is operation and number.country == country
        )
