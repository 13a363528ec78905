"""The gate: who is calling. Key pairs for one half of the API, tokens for the other.

What the gate knows it keeps for at most a second, and drops at once when any process changes a key
(the `access` signal), so a key that was regenerated stops here without a look-up for each request.
A token is bound to the key pair that it was given for and ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import jwt
from asyncpg.pgproto import pgproto

from kpay.access import store
from kpay.access.model import TOKEN_LIFE, Application, Key, Vault, environment_of
from kpay.access.throttle import Throttle
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Principal
from kpay.database.pool import Database

_ALGORITHM = "HS256"
_ISSUER = "kpay"
_KEEP = timedelta(seconds=1)
_MOST_KEPT = 50_000

K = TypeVar("K")
V = TypeVar("V")


class Gate:
    """Authenticates callers and hands out tokens. One per process."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._keys: _Kept[str, Key] = _Kept(clock)
        self._in_force: _Kept[UUID, bool] = _Kept(clock)
        self._applications: _Kept[UUID, Application] = _Kept(clock)
        self._token_keys: _Kept[None, list[UUID]] = _Kept(clock)
        self._tokens: dict[str, tuple[Principal, datetime]] = {}
        self._throttle = Throttle()

    def forget(self) -> None:
        """Drop all that is kept: some process changed a key or an application."""
        for kept in (self._keys, self._in_force, self._applications, self._token_keys):
            kept.clear()

    async def by_keys(self, api_key: str, secret_key: str, address: str | None = None) -> Principal:
        """Who holds this key pair. `address` is where it comes from, None for this very program.

        Refuses: invalid_credentials, and never says which half; too_many_failures.
        """
        self._throttle.admit(address, api_key, self._clock.now())
        environment = environment_of(api_key, secret_key)
        key = await self._key(api_key) if environment else None
        if key is None or not self._vault.matches(secret_key, key.secret_hash):
            raise self._wrong_keys(api_key, secret_key, address, known=key is not None)
        self._throttle.right(address, api_key)
        return Principal(key.id, key.book, key.company_id, api_key, address)

    async def by_token(self, token: str, address: str | None = None) -> Principal:
        """Who this token was given to. Refuses: invalid_token, too_many_failures."""
        kept = self._tokens.get(token)
        if kept is None:
            kept = await self._open(token, address)
            if len(self._tokens) >= _MOST_KEPT:
                self._tokens.clear()
            self._tokens[token] = kept
        principal, expires = kept
        now = self._clock.now()
        if expires <= now:
            self._tokens.pop(token, None)
            raise _bad_token()
        holds = self._in_force.at_hand(principal.key_id, now)
        if holds is None:
            holds = await self._holds(principal)
        if not holds:
            raise _bad_token()
        return principal

    async def issue_token(self, principal: Principal) -> str:
        """A token of 30 minutes that carries the caller's company, application, environment."""
        key_id = (await self._signing_keys())[0]
        now = self._clock.now()
        claims = {
            "iss": _ISSUER,
            "sub": str(principal.book.application_id),
            "company": str(principal.company_id),
            "environment": principal.environment.value,
            "key": str(principal.key_id),
            "iat": now,
            "exp": now + TOKEN_LIFE,
        }
        secret = self._vault.token_key(key_id)
        return jwt.encode(claims, secret, _ALGORITHM, headers={"kid": str(key_id)})

    async def application(self, application_id: UUID) -> Application | None:
        """An application with its company and terms, or None where there is none."""
        kept = self._applications.at_hand(application_id, self._clock.now())
        if kept is not None:
            return kept
        return await self._applications.get(
            application_id, lambda: store.find_application(self._database, application_id)
        )

    async def own_application(self, principal: Principal, application_id: UUID) -> Application:
        """An application of the caller's company. Refuses: application_not_yours."""
        application = await self.application(application_id)
        if application is None or application.company.id != principal.company_id:
            raise Refusal(
                Code.APPLICATION_NOT_YOURS,
                "The application does not belong to the connected user: use the id that "
                "GET /api/v1/payments/me gives.",
            )
        return application

    def _wrong_keys(
        self, api_key: str, secret_key: str, address: str | None, *, known: bool
    ) -> Refusal:
        refusal = Refusal(Code.INVALID_CREDENTIALS, "Invalid API credentials")
        if not (api_key and secret_key):
            # No attempt at anything: a page that is open in a merchant's office can send this.
            return refusal
        if not known:
            self._throttle.forget(address, api_key)
        return self._throttle.wrong(address, api_key, self._clock.now(), refusal)

    async def _key(self, api_key: str) -> Key | None:
        return await self._keys.get(api_key, lambda: store.find_key(self._database, api_key))

    async def _holds(self, principal: Principal) -> bool:
        holds = await self._in_force.get(
            principal.key_id,
            lambda: store.key_in_force(self._database, principal.book, principal.key_id),
        )
        return bool(holds)

    async def _signing_keys(self) -> list[UUID]:
        """Newest first; the first one is made when there is none."""

        async def look_up() -> list[UUID]:
            found = await self._load_token_keys()
            if not found:
                await store.first_token_key(self._database, self._ids.uuid(), self._clock.now())
                found = await self._load_token_keys()
            return found

        return await self._token_keys.get(None, look_up) or []

    async def _load_token_keys(self) -> list[UUID]:
        return await store.token_keys(self._database, self._clock.now() - TOKEN_LIFE)

    async def _open(self, token: str, address: str | None) -> tuple[Principal, datetime]:
        """Check a token's signature and read it.

        Read wherever it comes from: that is arithmetic and no look-up, and a merchant whose address
        somebody else abuses goes on working. What we never signed counts as a failure there.
        """
        try:
            return await self._read(token)
        except Refusal as refusal:
            if not token:
                raise
            raise self._throttle.wrong(address, "", self._clock.now(), refusal) from refusal

    async def _read(self, token: str) -> tuple[Principal, datetime]:
        try:
            key_id = UUID(str(jwt.get_unverified_header(token).get("kid")))
            if key_id not in await self._signing_keys():
                raise _bad_token()
            claims = jwt.decode(
                token,
                self._vault.token_key(key_id),
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                # The house's own clock decides below, so that a stepped one does too.
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
            return _principal(claims), datetime.fromtimestamp(claims["exp"], UTC)
        except (jwt.InvalidTokenError, ValueError, KeyError, TypeError) as problem:
            raise _bad_token() from problem


class _Kept(Generic[K, V]):
    """Values kept for a second, by the house's clock. One look-up at a time for each key.

    A look-up that began before `clear` may have read what has just changed, so it is not kept.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[K, tuple[V, datetime]] = {}
        self._looking: dict[K, asyncio.Task[V | None]] = {}

    def at_hand(self, key: K, now: datetime) -> V | None:
        """The value kept, without a look-up."""
        kept = self._values.get(key)
        return None if kept is None or kept[1] <= now else kept[0]

    async def get(self, key: K, look_up: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        """The value kept, or what `look_up` finds; nothing found is not kept."""
        kept = self.at_hand(key, self._clock.now())
        if kept is not None:
            return kept
        looking = self._looking.get(key)
        if looking is None:
            looking = asyncio.create_task(look_up())
            self._looking[key] = looking
            looking.add_done_callback(lambda done: self._keep(key, done))
        # Shielded: a caller that goes away must not take the others' look-up with it.
        return await asyncio.shield(looking)

    def clear(self) -> None:
        self._values.clear()
        self._looking.clear()

    def _keep(self, key: K, done: asyncio.Task[V | None]) -> None:
        if self._looking.get(key) is not done:
            return
        del self._looking[key]
        if done.cancelled() or done.exception() is not None:
            return
        found = done.result()
        if found is not None:
            if len(self._values) >= _MOST_KEPT:
                self._values.clear()
            self._values[key] = (found, self._clock.now() + _KEEP)


def _principal(claims: dict[str, Any]) -> Principal:
    # The driver's UUID: a principal is kept, and looked up and compared on every request.
    return Principal(
        key_id=pgproto.UUID(claims["key"]),
        book=Book(pgproto.UUID(claims["sub"]), Environment(claims["environment"])),
        company_id=pgproto.UUID(claims["company"]),
    )


def _bad_token() -> Refusal:
    return Refusal(
        Code.INVALID_TOKEN,
        "The token is missing, expired or not ours: get one with POST /api/v1/payments/token and "
        "send it as Authorization: Bearer <token>.",
    )
