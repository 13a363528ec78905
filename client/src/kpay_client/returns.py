"""The way back from the hosted page: whether its query comes from the server, and what it says."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from kpay_client.webhooks import NotGenuine

_MAX_AGE = timedelta(minutes=10)
# A server's clock may be a little ahead of the merchant's.
_AHEAD = timedelta(minutes=1)
_NAMES = ("status", "reference", "externalId", "ts", "sig")


@dataclass(frozen=True)
class Return:
    """What a payer's return tells, at the moment `at`. The payment itself is the last word."""

    status: str
    reference: str
    external_id: str | None
    at: datetime


def verify_return(
    url_or_query: str | Mapping[str, str],
    gateway_secret: str,
    *,
    max_age: timedelta = _MAX_AGE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Return:
    """What a payer's return tells, if the server sent the payer back just now. Raises NotGenuine.

    Give the whole address, its query, or the query's parameters. What a returnUrl had of its own
    stays in front of ours, so of two parameters of one name the last counts: use what is returned
    here, not what a framework makes of the query.
    """
    if not gateway_secret:
        raise ValueError("there is no gateway secret to verify with: look at the configuration")
    given = _parameters(url_or_query)
    missing = [name for name in _NAMES if name not in given]
    if missing:
        raise NotGenuine(f"the return has no {missing[0]}")
    status, reference, external_id, stamp, signature = (given[name] for name in _NAMES)
    signed = "|".join((status, reference, external_id, stamp)).encode(errors="replace")
    expected = hmac.digest(gateway_secret.encode(), signed, "sha256").hex()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode(errors="replace")):
        raise NotGenuine("the signature is not that of this return")
    if not re.fullmatch(r"\d{1,14}", stamp, re.ASCII):
        raise NotGenuine("ts is no number of milliseconds")
    at = datetime.fromtimestamp(int(stamp) / 1_000, UTC)
    if not -_AHEAD <= now() - at <= max_age:
        raise NotGenuine("the return was signed too long ago, or a clock is wrong")
    return Return(status, reference, external_id or None, at)


def _parameters(url_or_query: str | Mapping[str, str]) -> dict[str, str]:
    if not isinstance(url_or_query, str):
        return dict(url_or_query)
    text = url_or_query
    query = urlsplit(text).query if "?" in text else text
    return dict(parse_qsl(query, keep_blank_values=True))
