"""A hosted page's address and the way back from it: what may be named, and how it is signed.

The token in the address is all that a payer has, and opens one operation only. It is derived from
the program's secret and the operation's identifier, so that a merchant whose answer was lost can be
told the address again, and the database holds no more than its hash.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

import msgspec

from kpay.access.quota import Bucket
from kpay.catalogue.model import OperationType
from kpay.core.book import Book, Environment
from kpay.core.refusals import Code, Refusal

MOBILE_MONEY = "MOBILE_MONEY"
MOST_ADDRESS_CHARACTERS = 2_048

# What an address may be written with: everything else has to be percent-encoded anyway, and in a
# header a line feed would end it. A backslash is a slash to a browser and to nobody else.
_WRITTEN = re.compile(r"[!-\[\]-~]+\Z")
_TOKEN = re.compile(r"gw_[a-z2-7]{52}\Z")


class Addresses(msgspec.Struct, frozen=True):
    """Where a page leads back to: with the end of the operation, and when it was called off."""

    return_url: str
    cancel_url: str | None = None


class Opened(msgspec.Struct, frozen=True):
    """What a page is made with: the hash of the token that opens it, and where it leads back to."""

    token_hash: bytes
    expires_at: datetime
    addresses: Addresses


class Gateway(msgspec.Struct, frozen=True):
    """A page that was found by its token."""

    book: Book
    id: UUID
    type: OperationType
    addresses: Addresses


def is_token(text: str) -> bool:
    """Whether it could be a token of ours at all."""
    return _TOKEN.match(text) is not None


def check_method(method: str | None) -> None:
    """Refuses: method_not_configured, for what only other installations of KPay take."""
    if method is not None and method != MOBILE_MONEY:
        raise Refusal(
            Code.METHOD_NOT_CONFIGURED,
            f"paymentMethod {method[:50]} is not configured here: {MOBILE_MONEY} is, and what "
            "leaving it out means.",
        )


class Asked(Protocol):
    """A request that can be for a page."""

    @property
    def return_url(self) -> str | None: ...


def counts_as(asked: Asked) -> str | None:
    """The further quota that a request counts in: pages are opened, not only asked for by a key."""
    return None if asked.return_url is None else Bucket.GATEWAY


def refuse_destination(provider: str | None, phone_number: str | None) -> None:
    """Refuses: invalid_body, for what the payer or the beneficiary is to choose."""
    given = {"provider": provider, "phoneNumber": phone_number}
    named = [name for name, text in given.items() if text is not None]
    if named:
        raise Refusal(
            Code.INVALID_BODY,
            f"{' and '.join(named)} must be left out with returnUrl: they are chosen on the hosted "
            "page.",
        )


def require_destination(
    provider: str | None, phone_number: str | None, cancel_url: str | None
) -> tuple[str, str]:
    """What has to be named where there is no page. Refuses: invalid_body."""
    if provider is None or phone_number is None:
        given = {"provider": provider, "phoneNumber": phone_number}
        missing = ", ".join(name for name, text in given.items() if text is None)
        raise Refusal(
            Code.INVALID_BODY,
            f"Missing field: {missing}. Or send returnUrl, and they are chosen on the hosted page.",
        )
    if cancel_url is not None:
        raise Refusal(Code.INVALID_BODY, "cancelUrl goes with returnUrl: send both or neither.")
    return provider, phone_number


def check_addresses(environment: Environment, return_url: str, cancel_url: str | None) -> Addresses:
    """Where a page may lead back to. Refuses: invalid_address."""
    _check(environment, "returnUrl", return_url)
    if cancel_url is not None:
        _check(environment, "cancelUrl", cancel_url)
    return Addresses(return_url, cancel_url)


def way_back(
    addresses: Addresses,
    secret: str,
    *,
    status: str,
    reference: str,
    external_id: str | None,
    now: datetime,
) -> str:
    """The address that a payer is sent back to, signed so that the merchant can believe it.

    What was called off goes to the cancelUrl, where there is one. `sig` is the hexadecimal
    HMAC-SHA256 of `status|reference|externalId|ts` under the application's gateway secret, `ts` the
    moment in milliseconds; a query that the merchant's address has already stays in front.
    """
    stamp = str(int(now.timestamp() * 1_000))
    signed = "|".join((status, reference, external_id or "", stamp))
    given = {
        "status": status,
        "reference": reference,
        "externalId": external_id or "",
        "ts": stamp,
        "sig": hmac.digest(secret.encode(), signed.encode(), "sha256").hex(),
    }
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in given.items())
    called_off = addresses.cancel_url if status == "CANCELLED" else None
    parts = urlsplit(called_off or addresses.return_url)
    whole = f"{parts.query}&{query}" if parts.query else query
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", whole, parts.fragment))


def _check(environment: Environment, field: str, text: str) -> None:
    """Refuses: invalid_address."""
    problem = _problem(environment, text)
    if problem is not None:
        raise Refusal(Code.INVALID_ADDRESS, f"{field} {problem}.")


def _problem(environment: Environment, text: str) -> str | None:
    """What is wrong with an address, as the end of a sentence."""
    if len(text) > MOST_ADDRESS_CHARACTERS:
        return f"must have at most {MOST_ADDRESS_CHARACTERS:,} characters"
    if not _WRITTEN.match(text):
        return "must be ASCII without spaces or backslashes: percent-encode the rest"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address that a browser could open"
    schemes = ("https",) if environment is Environment.PRODUCTION else ("https", "http")
    if parts.scheme not in schemes or not host:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        return f"must be a whole address that begins with {wanted}"
    if "@" in parts.netloc:
        return "must not hold a name or a password"
    return None
