"""What one try came to: an answer to hand out, or an error, and what the error leaves open."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from kpay_client._call import Call
from kpay_client._json import loads
from kpay_client._reading import Unreadable
from kpay_client.errors import (
    Conflict,
    Forbidden,
    InsufficientFunds,
    InvalidRequest,
    KPayError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnknownOutcome,
)

T = TypeVar("T")

_PASSING = frozenset({408, 429, 502, 503, 504})
# An earlier try of the same call is being carried out at this moment.
_IN_PROGRESS = "idempotency_in_progress"
# Refusals of a server that is up and has recorded nothing.
_NOTHING_RECORDED = frozenset({"busy", "no_rate"})


@dataclass(frozen=True)
class Answered:
    """From the driver. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Unanswered:
    """From the driver: there was no answer. `arrived` says whether the request may have."""

    problem: Exception
    arrived: bool


@dataclass(frozen=True)
class Done(Generic[T]):
    value: T


@dataclass(frozen=True)
class Failed:
    """A try without an answer to hand out. `arrived`: the work may have been done all the same."""

    error: KPayError
    passing: bool
    arrived: bool


def judge(
    call: Call[T], reply: Answered | Unanswered, now: Callable[[], datetime]
) -> Done[T] | Failed:
    """What one try came to."""
    if isinstance(reply, Unanswered):
        error: KPayError = Unavailable(
            f"no answer from the server: {type(reply.problem).__name__}", code="no_answer"
        )
        error.__cause__ = reply.problem
        return Failed(error, passing=True, arrived=reply.arrived)
    if 200 <= reply.status < 300:
        try:
            return Done(call.read(loads(reply.body)))
        except (ValueError, RecursionError) as problem:
            return Failed(_unreadable(reply, problem), passing=True, arrived=True)
    error = read_error(reply, now)
    nothing_recorded = reply.status < 500 or error.code in _NOTHING_RECORDED
    passing = reply.status in _PASSING or error.code == _IN_PROGRESS
    return Failed(error, passing, arrived=not nothing_recorded)


def is_replayed_refusal(reply: Answered | Unanswered) -> bool:
    """Whether the server says again that it refused an earlier try of the same call."""
    if not isinstance(reply, Answered) or reply.status < 400:
        return False
    return reply.headers.get("idempotency-replayed") == "true"


def _unreadable(reply: Answered, problem: Exception) -> KPayError:
    reason = f": {problem}" if isinstance(problem, Unreadable) else ""
    return Unavailable(
        f"the answer cannot be read{reason}; is base_url a KPay server's?",
        status=reply.status,
        code="unreadable_answer",
        request_id=reply.headers.get("x-request-id"),
    )


def unknown(problem: KPayError, external_id: str | None) -> UnknownOutcome:
    look = "look at the operation" if external_id is None else f"look up externalId {external_id}"
    error = UnknownOutcome(
        f"it is not known whether the request was carried out ({problem.message}): {look} before "
        "anything else",
        status=problem.status,
        code=problem.code,
        request_id=problem.request_id,
        existing_id=problem.existing_id,
        retry_after=problem.retry_after,
    )
    error.external_id = external_id
    return error


def read_error(reply: Answered, now: Callable[[], datetime]) -> KPayError:
    """An answer that is no success, as the error that says what to do about it."""
    said = _envelope(reply.body)
    code = _text(said, "code")
    message = _text(said, "message") or f"the server answered {reply.status}"
    if 300 <= reply.status < 400:
        message = f"the server answered {reply.status}: is base_url its own address?"
    return _kind(reply.status, code)(
        message,
        status=reply.status,
        code=code,
        request_id=_text(said, "requestId") or reply.headers.get("x-request-id"),
        existing_id=_text(said, "existingId"),
        retry_after=_retry_after(reply.headers.get("retry-after"), now),
    )


_KINDS: Mapping[int, type[KPayError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    429: RateLimited,
}


def _kind(status: int, code: str | None) -> type[KPayError]:
    if (code or "").endswith("_exceeds_balance") or (status == 422 and code is None):
        return InsufficientFunds
    if status >= 500:
        return Unavailable
    return _KINDS.get(status, InvalidRequest if status >= 400 else KPayError)


def _envelope(body: bytes) -> dict[str, Any]:
    try:
        said = loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) and value else None


def _retry_after(value: str | None, now: Callable[[], datetime]) -> float | None:
    """Seconds, from either form of the header."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}", value.strip(), re.ASCII):
        return float(value)
    moment = http_date(value)
    return None if moment is None else max(0.0, (moment - now()).total_seconds())


def http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
