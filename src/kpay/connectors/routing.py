"""Which connectors serve a provider in an environment, in which order, on which terms at present.

New business goes to the first rail of the order at which the provider is open. What was begun at a
rail is asked about there and nowhere else, however the configuration has changed since: another
rail has never seen it, and would say so.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

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
from kpay.core.money import SCALE, Money
from kpay.core.refusals import Code, Refusal

EVERY = "*"

Routes = Mapping[str, Sequence[str]]
"""The names of the rails for each provider or for `*`, the first one first; one may stand bare."""

# Where new business goes first: of rails that are equally open, to the first of the order.
_READINESS = {OPERATIONAL: 0, DELAYED: 1, CLOSED: 2}


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """An order of rails. A text is one name, though it is a sequence of characters as well."""
    return (names,) if isinstance(names, str) else tuple(names)


class Served:
    """The connectors of one environment by name, and the names for each provider or for `*`."""

    def __init__(self, connectors: Mapping[str, Connector], routes: Routes) -> None:
        self.connectors = dict(connectors)
        self.routes = {provider: in_order(names) for provider, names in routes.items()}
        self.conditions: dict[str, dict[tuple[str, OperationType], Condition]] = {}

    def rails(self, provider: str) -> list[Connector]:
        names = self.routes.get(provider) or self.routes.get(EVERY, ())
        return [
            found
            for name in names
            if (found := self.connectors.get(name)) is not None and serves(found, provider)
        ]


class Routing:
    """The connectors in service: the sandbox in the test environment, live rails as configured."""

    def __init__(self, catalogue: Catalogue, served: Mapping[Environment, Served]) -> None:
        self._catalogue = catalogue
        self._served = dict(served)
        self._plans: dict[OperationType, str] = {}

    @property
    def environments(self) -> list[Environment]:
        """The environments in which anything is served."""
        return list(self._served)

    def plan(self, operation: OperationType) -> str:
        """Where an operation goes now: of each environment the connector of each provider by name,
        as JSON for the database.
        """
        if operation not in self._plans:
            self._plans[operation] = json.dumps(
                {
                    environment: {
                        provider.code: connector.name
                        for provider in self._catalogue.providers.values()
                        if (connector := self._first_open(environment, provider, operation))
                        is not None
                    }
                    for environment in self._served
                }
            )
        return self._plans[operation]

    def serve(
        self,
        environment: Environment,
        connectors: Mapping[str, Connector],
        routes: Routes,
    ) -> None:
        """From now on an environment is served so."""
        self._served[environment] = Served(connectors, routes)
        self._plans.clear()

    def all(self) -> Iterator[tuple[Environment, str, Connector]]:
        """Every connector in service, under its name."""
        for environment, served in self._served.items():
            for name, connector in served.connectors.items():
                yield environment, name, connector

    def named(self, environment: Environment, name: str | None) -> Connector | None:
        """The connector that something was begun with, or None where it is not in service."""
        served = self._served.get(environment)
        return None if served is None or name is None else served.connectors.get(name)

    def rails(self, environment: Environment, provider: Provider) -> Sequence[Connector]:
        """The connectors that serve a provider, in the order in which they are tried."""
        if provider.status is ProviderStatus.SUSPENDED:
            return []
        if provider.status is ProviderStatus.SANDBOX_ONLY and environment is not Environment.TEST:
            return []
        served = self._served.get(environment)
        return [] if served is None else served.rails(provider.code)

    def connector(self, environment: Environment, provider: Provider) -> Connector | None:
        """The first connector of a provider, or None where nothing serves it."""
        return next(iter(self.rails(environment, provider)), None)

    def next_rail(
        self,
        environment: Environment,
        provider: Provider,
        operation: OperationType,
        amount: Money,
        tried: Collection[str],
    ) -> Connector | None:
        """Another rail that can carry this out now, to the last hundredth, or None.

        What was agreed stays as it is: where a rail has not these decimals, or takes no such
        amount, it cannot carry this out.
        """
        able = [
            rail
            for rail in self.rails(environment, provider)
            if rail.name not in tried
            and self.is_open(environment, provider, operation, rail)
            and _carries(self._terms(environment, provider, [(operation, rail)]), operation, amount)
        ]
        return self._readiest(environment, provider, operation, able)

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
            self._plans.clear()

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
        self,
        environment: Environment,
        provider: Provider,
        operation: OperationType,
        rail: Connector | None = None,
    ) -> bool:
        """Whether it takes an operation now, at one of its rails or at the one that is meant.

        Where it is delayed, a payout waits at the rail and is paid later; a payer cannot be asked
        for a PIN later, so of payments a rail takes none.
        """
        status = self.status(environment, provider, operation, rail)
        return status == OPERATIONAL or (
            status == DELAYED and operation is not OperationType.DEPOSIT
        )

    def status(
        self,
        environment: Environment,
        provider: Provider,
        operation: OperationType,
        rail: Connector | None = None,
    ) -> str:
        """OPERATIONAL, DELAYED or CLOSED, in the words of the availability endpoint.

        Without a rail, that of the one at which new business begins now.
        """
        if rail is None:
            rail = self._first_open(environment, provider, operation)
        return CLOSED if rail is None else self._status_at(environment, provider, operation, rail)

    def _status_at(
        self,
        environment: Environment,
        provider: Provider,
        operation: OperationType,
        rail: Connector,
    ) -> str:
        known = self._conditions(environment, rail)
        if known is None:
            return OPERATIONAL
        condition = known.get((provider.code, operation))
        # A rail that tells its conditions tells them of everything that was agreed with it.
        return CLOSED if condition is None else condition.status

    def _first_open(
        self, environment: Environment, provider: Provider, operation: OperationType
    ) -> Connector | None:
        """The rail at which new business begins now: the first that is open, else the first that
        is delayed, else the first.
        """
        rails = self.rails(environment, provider)
        return self._readiest(environment, provider, operation, rails)

    def _readiest(
        self,
        environment: Environment,
        provider: Provider,
        operation: OperationType,
        rails: Sequence[Connector],
    ) -> Connector | None:
        def readiness(rail: Connector) -> int:
            return _READINESS[self._status_at(environment, provider, operation, rail)]

        return min(rails, key=readiness, default=None)

    def as_served(self, environment: Environment, provider: Provider) -> Provider:
        """A provider with the decimals and limits of the rails at which new business begins now,
        where they have told them.
        """
        begins = [
            (operation, rail)
            for operation in (OperationType.DEPOSIT, OperationType.PAYOUT)
            if (rail := self._first_open(environment, provider, operation)) is not None
        ]
        return self._terms(environment, provider, begins)

    def _terms(
        self,
        environment: Environment,
        provider: Provider,
        rails: Sequence[tuple[OperationType, Connector]],
    ) -> Provider:
        for operation, rail in rails:
            known = self._conditions(environment, rail) or {}
            told = known.get((provider.code, operation))
            if told is not None and operation is OperationType.PAYOUT:
                provider = replace(
                    provider,
                    payout_decimals=_decimals(told, provider.payout_decimals),
                    payout_limits=told.limits,
                )
            elif told is not None and operation is OperationType.DEPOSIT:
                provider = replace(
                    provider,
                    deposit_decimals=_decimals(told, provider.deposit_decimals),
                    deposit_limits=told.limits,
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


def _carries(provider: Provider, operation: OperationType, amount: Money) -> bool:
    """Whether an amount is within a rail's limits and has no more decimals than it takes."""
    step: int = 10 ** (SCALE - provider.decimals(operation))
    limits = provider.limits(operation)
    return amount.minor % step == 0 and (limits is None or limits.allow(amount))
