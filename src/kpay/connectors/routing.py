"""Which connector serves a provider in an environment."""

from __future__ import annotations

from collections.abc import Mapping

from kpay.catalogue.model import Catalogue, OperationType, Provider, ProviderStatus
from kpay.connectors.model import Connector
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal


class Routing:
    """The connectors in service: the sandbox in the test environment, live rails as configured."""

    def __init__(self, catalogue: Catalogue, connectors: Mapping[Environment, Connector]) -> None:
        self._catalogue = catalogue
        self._connectors = dict(connectors)

    @property
    def names(self) -> dict[Environment, str]:
        """The connector of each environment by name, as attempts are recorded with it."""
        return {environment: connector.name for environment, connector in self._connectors.items()}

    def connector(self, environment: Environment, provider: Provider) -> Connector | None:
        """The connector for a provider, or None where nothing serves it."""
        if provider.status is ProviderStatus.SUSPENDED:
            return None
        if provider.status is ProviderStatus.SANDBOX_ONLY and environment is not Environment.TEST:
            return None
        return self._connectors.get(environment)

    def open_provider(self, environment: Environment, code: str) -> Provider:
        """A provider that can be used now.

        Refuses: unknown_provider, provider_suspended, provider_closed.
        """
        provider = self._catalogue.provider(code)
        if self.connector(environment, provider) is None:
            raise Refusal(
                Code.PROVIDER_CLOSED,
                f"{code} is closed in {environment.lower()}: GET /api/v1/payments/availability "
                "says which are open.",
            )
        return provider

    def status(
        self, environment: Environment, provider: Provider, _operation: OperationType
    ) -> str:
        """OPERATIONAL or CLOSED, in the words of the availability endpoint."""
        return "OPERATIONAL" if self.connector(environment, provider) else "CLOSED"
