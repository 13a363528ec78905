"""Which connector serves a provider in an environment, and on which terms at present.

New business goes where the configuration sends it. What was begun at a rail is asked about there
and nowhere else, however the configuration has changed since: another rail has never seen it, and
would say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from kpay.catalogue.model import Catalogue, OperationType, Provider, ProviderStatus
from kpay.connectors.capabilities import (
    CLOSED,
    DELAYED,
    OPERATIONAL,
    Closing,
    Condition,
    serves,
)
from kpay.connectors.model import Connector
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal

EVERY = "*"


class Served:
    """The connectors of one environment by name, and the name for each provider or for `*`."""

    def __init__(self, connectors: Mapping[str, Connector], routes: Mapping[str, str]) -> None:
        self.connectors = dict(connectors)
        self.routes = dict(routes)
        self.conditions: dict[str, dict[tuple[str, OperationType], Condition]] = {}

    def connector(self, provider: str) -> Connector | None:
        name = self.routes.get(provider) or self.routes.get(EVERY, "")
        found = self.connectors.get(name)
        return found if found is not None and serves(found, provider) else None


class Routing:
    """The connectors in service: the sandbox in the test environment, live rails as configured."""

    def __init__(self, catalogue: Catalogue, served: Mapping[Environment, Served]) -> None:
        self._catalogue = catalogue
        self._served = dict(served)
        self._plan: str | None = None

    @property
    def environments(self) -> list[Environment]:
        """The environments in which anything is served."""
        return list(self._served)

    @property
    def plan(self) -> str:
        """The connector of each provider in each environment by name, as JSON for the database."""
        if self._plan is None:
            self._plan = json.dumps(
                {
                    environment: {
                        provider.code: connector.name
                        for provider in self._catalogue.providers.values()
                        if (connector := self.connector(environment, provider)) is not None
                    }
                    for environment in self._served
                }
            )
        return self._plan

    def serve(
        self,
        environment: Environment,
        connectors: Mapping[str, Connector],
        routes: Mapping[str, str],
    ) -> None:
        """From now on an environment is served so."""
        self._served[environment] = Served(connectors, routes)
        self._plan = None

    def all(self) -> Iterator[tuple[Environment, str, Connector]]:
        """Every connector in service, under its name."""
        for environment, served in self._served.items():
            for name, connector in served.connectors.items():
                yield environment, name, connector

    def named(self, environment: Environment, name: str | None) -> Connector | None:
        """The connector that something was begun with, or None where it is not in service."""
        served = self._served.get(environment)
        return None if served is None or name is None else served.connectors.get(name)

    def connector(self, environment: Environment, provider: Provider) -> Connector | None:
        """The connector for new business with a provider, or None where nothing serves it."""
        if provider.status is ProviderStatus.SUSPENDED:
            return None
        if provider.status is ProviderStatus.SANDBOX_ONLY and environment is not Environment.TEST:
            return None
        served = self._served.get(environment)
        return None if served is None else served.connector(provider.code)

    def learn(self, environment: Environment, name: str, conditions: Sequence[Condition]) -> None:
        """On which terms a rail works at present. Of no conditions nothing is learnt.

        A rail may know a provider in other currencies too: ours is the catalogue's.
        """
        served = self._served.get(environment)
        if served is not None and conditions:
            providers = self._catalogue.providers
            served.conditions[name] = {
                (one.provider, one.operation): one
                for one in conditions
                if one.provider in providers and one.currency == providers[one.provider].currency
            }

    def open_provider(
        self, environment: Environment, code: str, operation: OperationType
    ) -> Provider:
        """A provider that can be used now, with the decimals and limits of its rail.

        Refuses: unknown_provider, provider_suspended, provider_closed.
        """
        provider = self._catalogue.provider(code)
        if not self.is_open(environment, provider, operation):
            state = self.status(environment, provider, operation).lower()
            raise Refusal(
                Code.PROVIDER_CLOSED,
                f"{code} is {state} in {environment.lower()}: GET /api/v1/payments/availability "
                "says which are open.",
            )
        return self.as_served(environment, provider)

    def is_open(
        self, environment: Environment, provider: Provider, operation: OperationType
    ) -> bool:
        """Whether it takes an operation now.

        Where it is delayed, a payout waits at the rail and is paid later; a payer cannot be asked
        for a PIN later, so of payments a rail takes none.
        """
        status = self.status(environment, provider, operation)
        return status == OPERATIONAL or (
            status == DELAYED and operation is not OperationType.DEPOSIT
        )

    def status(self, environment: Environment, provider: Provider, operation: OperationType) -> str:
        """OPERATIONAL, DELAYED or CLOSED, in the words of the availability endpoint."""
        connector = self.connector(environment, provider)
        if connector is None:
            return CLOSED
        known = self._conditions(environment, connector)
        if known is None:
            return OPERATIONAL
        condition = known.get((provider.code, operation))
        # A rail that tells its conditions tells them of everything that was agreed with it.
        return CLOSED if condition is None else condition.status

    def as_served(self, environment: Environment, provider: Provider) -> Provider:
        """A provider with the decimals and limits that its rail has told, where it has."""
        connector = self.connector(environment, provider)
        if connector is None:
            return provider
        known = self._conditions(environment, connector) or {}
        deposit = known.get((provider.code, OperationType.DEPOSIT))
        payout = known.get((provider.code, OperationType.PAYOUT))
        if deposit is not None:
            provider = replace(
                provider,
                deposit_decimals=_decimals(deposit, provider.deposit_decimals),
                deposit_limits=deposit.limits,
            )
        if payout is not None:
            provider = replace(
                provider,
                payout_decimals=_decimals(payout, provider.payout_decimals),
                payout_limits=payout.limits,
            )
        return provider

    async def close(self) -> None:
        """Let go of every rail's connections."""
        for _, _, connector in self.all():
            if isinstance(connector, Closing):
                await connector.close()

    def _conditions(
        self, environment: Environment, connector: Connector
    ) -> Mapping[tuple[str, OperationType], Condition] | None:
        """None where the rail has told nothing yet, or never does."""
        return self._served[environment].conditions.get(connector.name)


def _decimals(condition: Condition, usual: int) -> int:
    return usual if condition.decimals is None else condition.decimals
