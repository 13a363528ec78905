"""Opens hosted pages and finds them again: the token of an operation, and the page of a token."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from kpay.access.model import Vault
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.database.pool import Database
from kpay.gateways import store
from kpay.gateways.model import Addresses, Gateway, Opened, is_token, way_back

# The secret that `kpay app create` shows; there is no second version yet.
_SECRET_VERSION = 1


class Gateways:
    """The pages of every operation. `life` is how long one may be chosen on."""

    def __init__(
        self, database: Database, vault: Vault, clock: Clock, *, public_url: str, life: timedelta
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._public_url = public_url
        self._life = life

    def open(self, book: Book, identifier: UUID, addresses: Addresses) -> Opened:
        """What a new operation's page is recorded with."""
        token = self._vault.page_token(book, identifier)
        expires_at = self._clock.now() + self._life
        return Opened(self._vault.hash_secret(token), expires_at, addresses)

    def url(self, book: Book, identifier: UUID) -> str:
        """Where an operation's page is opened."""
        return f"{self._public_url}/gateway/{self._vault.page_token(book, identifier)}"

    async def find(self, token: str) -> Gateway | None:
        """The page that a token opens, or None for what was never a token of ours.

        The look-up goes by a keyed hash, which nobody can steer, so how long it takes tells nothing
        of any token; and the token is compared whole, in constant time, with what it has to be.
        """
        if not is_token(token):
            return None
        found = await store.find(self._database, self._vault.hash_secret(token))
        if found is None or not self._vault.is_page_token(token, found.book, found.id):
            return None
        return found

    def way_back(
        self, gateway: Gateway, *, status: str, reference: str, external_id: str | None
    ) -> str:
        """The merchant's own address with how it ended, signed at this moment."""
        return way_back(
            gateway.addresses,
            self._vault.gateway_secret(gateway.book.application_id, _SECRET_VERSION),
            status=status,
            reference=reference,
            external_id=external_id,
            now=self._clock.now(),
        )
