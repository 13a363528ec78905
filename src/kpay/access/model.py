"""Companies, applications, key pairs, tokens: the values and the rules about secrets.

A secret is never stored: what is kept is its hash under the program's own secret, compared in
constant time. The secrets that must be known again (webhooks, the hosted page, tokens) are derived
from the program's secret and a name, so the database holds none of them either.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kpay.core.book import Book, Environment
from kpay.core.limits import Limits
from kpay.core.money import UNIT, Money
from kpay.core.refusals import Code, Refusal

TOKEN_LIFE = timedelta(minutes=30)
DEFAULT_FEE_BPS = 500
TRANSFER_LEAST = 100
TRANSFER_MOST = 10_000_000

# The bytes of randomness in a secret key; the public half is a name and needs fewer.
SECRET_BYTES = 32
API_KEY_BYTES = 16


class Company(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    approved_at: datetime | None
    """Live keys exist only for a company that the operator approved."""


class Terms(msgspec.Struct, frozen=True):
    """What an application pays and may do. Fees in basis points; limits by operation, currency."""

    payment_fee_bps: int = DEFAULT_FEE_BPS
    payout_fee_bps: int = DEFAULT_FEE_BPS
    allowed_providers: frozenset[str] | None = None
    limits: Mapping[tuple[str, str], Limits] = msgspec.field(default_factory=dict)
    rate_limit: int | None = None
    """Requests a minute of each key pair; 0 for any, None for what the installation allows."""

    def check_provider(self, code: str) -> None:
        """Refuses: provider_not_allowed, outside the application's whitelist."""
        if not self.may_use(code):
            raise Refusal(
                Code.PROVIDER_NOT_ALLOWED,
                f"This application may use only {', '.join(sorted(self.allowed_providers or ()))}.",
            )

    def may_use(self, code: str) -> bool:
        """Whether a provider is in the application's whitelist, if it has one."""
        return self.allowed_providers is None or code in self.allowed_providers

    def transfer_limits(self, currency: str) -> Limits:
        """The page: from 100 to 10,000,000, in the source wallet's currency, whichever it is."""
        return self.limits.get(("TRANSFER", currency)) or Limits(
            Money(TRANSFER_LEAST * UNIT, currency), Money(TRANSFER_MOST * UNIT, currency)
        )


class Application(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    company: Company
    terms: Terms


class Key(msgspec.Struct, frozen=True):
    """A key pair in force, as authentication needs it."""

    id: UUID
    book: Book
    company_id: UUID
    secret_hash: bytes


class PublicKey(msgspec.Struct, frozen=True):
    """What is known of a pair once its secret was shown: its public half, and since when."""

    api_key: str
    created_at: datetime


class KeyPair(msgspec.Struct, frozen=True):
    """A new pair, whose secret is shown this once."""

    id: UUID
    environment: Environment
    api_key: str
    secret_key: str


class Vault:
    """The program's own secret, and what is made with it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._keys = self._derive("keys")

    @property
    def fingerprint(self) -> str:
        """Tells one secret from another without telling it."""
        return self._derive("fingerprint").hex()

    def hash_secret(self, secret_key: str) -> bytes:
        """A keyed hash. The secret has 256 random bits, so a slow hash would add nothing."""
        return hmac.digest(self._keys, secret_key.encode(), "sha256")

    def matches(self, secret_key: str, secret_hash: bytes) -> bool:
        return hmac.compare_digest(self.hash_secret(secret_key), secret_hash)

    def token_key(self, key_id: UUID) -> bytes:
        return self._derive(f"token:{key_id}")

    def webhook_secret(self, book: Book, version: int) -> str:
        """What the webhooks of a book are signed with, each version another."""
        # The sandbox's was derived before production had one of its own, and may be in use.
        environment = "" if book.is_test else f"{book.environment}:"
        name = f"webhook:{environment}{book.application_id}:{version}"
        return _text("whsec_", self._derive(name))

    def gateway_secret(self, application_id: UUID, version: int) -> str:
        return _text("gwsec_", self._derive(f"gateway:{application_id}:{version}"))

    def page_token(self, book: Book, identifier: UUID) -> str:
        """What opens the hosted page of one operation, and nothing else."""
        name = f"page:{book.application_id}:{book.environment}:{identifier}"
        return _text("gw_", self._derive(name))

    def is_page_token(self, token: str, book: Book, identifier: UUID) -> bool:
        return hmac.compare_digest(token.encode(), self.page_token(book, identifier).encode())

    def second_factor_secret(self, person_id: UUID, version: int) -> str:
        """What a person's authenticator app is given, 160 bits in base 32 (RFC 4226, 4)."""
        secret = self._derive(f"second-factor:{person_id}:{version}")
        return base64.b32encode(secret[:20]).decode()

    def form_token(self, session_token: str) -> str:
        """What the forms of one session carry: only who holds the session's token can know it."""
        return _text("", hmac.digest(self._derive("form"), session_token.encode(), "sha256"))

    def device_token(self, person_id: UUID, device: str) -> str:
        """What a browser keeps in which a person has signed in."""
        return f"kpdev_{device}_{_text('', self._derive(f'device:{person_id}:{device}'))}"

    def device_of(self, token: str, person_id: UUID) -> str | None:
        """The browser that a token stands for; None for what was never given to this person's."""
        device = token.split("_")[1] if token.count("_") == 2 else ""
        if not device or not token.isascii():
            return None
        genuine = self.device_token(person_id, device).encode()
        return device if hmac.compare_digest(token.encode(), genuine) else None

    def _derive(self, name: str) -> bytes:
        return hmac.digest(self._secret, f"kpay:{name}".encode(), hashlib.sha256)


def new_pair(key_id: UUID, environment: Environment, random: bytes) -> KeyPair:
    """A pair made from fresh random bytes: kpay_test_… and sk_test_…, or live."""
    word = environment.word
    return KeyPair(
        id=key_id,
        environment=environment,
        api_key=_text(f"kpay_{word}_", random[:API_KEY_BYTES]),
        secret_key=_text(f"sk_{word}_", random[API_KEY_BYTES : API_KEY_BYTES + SECRET_BYTES]),
    )


def environment_of(api_key: str, secret_key: str) -> Environment | None:
    """The environment that both halves name; a test key with a live secret has none."""
    if not api_key.isprintable():
        # No key of ours, and nothing that could be looked for in a database.
        return None
    for environment in Environment:
        word = environment.word
        if api_key.startswith(f"kpay_{word}_") and secret_key.startswith(f"sk_{word}_"):
            return environment
    return None


def new_token(prefix: str, random: bytes) -> str:
    """A secret of somebody's in letters and digits, made from fresh random bytes."""
    return _text(prefix, random)


def _text(prefix: str, random: bytes) -> str:
    return prefix + base64.b32encode(random).decode().rstrip("=").lower()
