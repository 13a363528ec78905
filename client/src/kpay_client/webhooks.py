"""Webhooks, as the merchant who is told: whether one comes from the server, and what it says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kpay_client._json import loads
from kpay_client._reading import read
from kpay_client.answers import WebhookEvent

_PREFIX = "whsec_"
_SIGNATURE = "x-kpay-signature"
_STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
_TOLERANCE = timedelta(minutes=5)


class NotGenuine(ValueError):
    """It does not come from the server, or not now: answer 400 and do nothing of what it says."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance: timedelta = _TOLERANCE,
    require_timestamp: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> WebhookEvent:
    """What a webhook tells, if it comes from the server. Raises NotGenuine.

    `body` is the body as it arrived, byte for byte. While a secret is replaced, give both. Where
    the Standard Webhooks headers are (our server always sends them) one of their signatures has to
    be right and their time not further away than `tolerance`; else `X-KPAY-Signature` has to be
    right, which is the same for ever: who took a webhook down may send it again without the others.
    `require_timestamp` refuses that. Either way act once on each event: one may be told twice.
    """
    if not isinstance(body, bytes):
        raise TypeError("body must be the bytes that arrived: JSON written anew has other bytes")
    given = {name.lower(): value for name, value in headers.items()}
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets or not all(secrets):
        raise ValueError("there is no secret to verify with: look at the configuration")
    if any(name in given for name in _STANDARD):
        _check_standard(body, given, secrets, tolerance, now())
    elif require_timestamp:
        raise NotGenuine("the webhook has no webhook-timestamp")
    else:
        _check_plain(body, given, secrets)
    try:
        event = read(WebhookEvent, loads(body))
    except (ValueError, RecursionError) as problem:
        raise NotGenuine(f"the webhook cannot be read: {problem}") from None
    return replace(event, id=given.get("webhook-id"))


def _check_plain(body: bytes, given: Mapping[str, str], secrets: list[str]) -> None:
    """X-KPAY-Signature: hexadecimal HMAC-SHA256 of the body, the secret's text as the key."""
    signature = given.get(_SIGNATURE)
    if signature is None:
        raise NotGenuine("the webhook has no signature")
    expected = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    if not _any_equal(expected, [signature.strip().lower()]):
        raise NotGenuine("the signature is not that of this body")


def _check_standard(
    body: bytes,
    given: Mapping[str, str],
    secrets: list[str],
    tolerance: timedelta,
    now: datetime,
) -> None:
    """Standard Webhooks: base64 HMAC-SHA256 of `id.timestamp.body`, any of several signatures."""
    missing = [name for name in _STANDARD if not given.get(name)]
    if missing:
        raise NotGenuine(f"the webhook has no {missing[0]}")
    identifier, stamp, signatures = (given[name] for name in _STANDARD)
    if not re.fullmatch(r"\d{1,11}", stamp, re.ASCII):
        raise NotGenuine("webhook-timestamp is no number of seconds")
    content = f"{identifier}.{stamp}.".encode(errors="replace") + body
    expected = [
        base64.b64encode(hmac.digest(_key(secret), content, "sha256")).decode()
        for secret in secrets
    ]
    offered = [text[3:] for text in signatures.split(" ") if text.startswith("v1,")]
    if not _any_equal(expected, offered):
        raise NotGenuine("no signature is that of this body")
    if abs(now.timestamp() - int(stamp)) > tolerance.total_seconds():
        raise NotGenuine("the webhook was sent too long ago, or a clock is wrong")


def _key(secret: str) -> bytes:
    """The key of the Standard Webhooks signature: what the text after whsec_ is in base64."""
    text = secret.removeprefix(_PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a webhook secret begins with {_PREFIX}") from None


def _any_equal(expected: list[str], offered: list[str]) -> bool:
    """Whether one is among the others, in a time that tells nothing of where they differ."""
    found = False
    for one in expected:
        for other in offered:
            found |= hmac.compare_digest(one.encode(), other.encode(errors="replace"))
    return found
