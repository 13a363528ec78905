"""The one place that writes an error response.

Everything that goes wrong is a Refusal by the time it is written: its code picks the status from
the one table, its sentence is the message. What is not a Refusal is a defect of ours: it is logged
with its trace and answered as `internal`, telling nothing of the inside.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import structlog
from msgspec import UNSET, Meta, UnsetType

from kpay import metrics
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.database.pool import UNAVAILABLE

log = structlog.get_logger(__name__)


class ErrorAnswer(msgspec.Struct, rename="camel"):
    """What every error looks like. `code` is stable; `message` says what to change."""

    status_code: Annotated[int, Meta(description="The HTTP status.", examples=[409])]
    message: Annotated[str, Meta(description="A sentence that says what to change.")]
    error: Annotated[str, Meta(description="The status in words.", examples=["Conflict"])]
    code: Annotated[Code, Meta(description="What went wrong; decide on this.")]
    request_id: Annotated[
        str, Meta(description="As in `x-request-id`.", examples=["req_5c1f0a9b3e00002a"])
    ]
    existing_id: Annotated[
        str | UnsetType, Meta(description="What has the `externalId` already, where something has.")
    ] = UNSET


def refusal_of(problem: Exception) -> Refusal:
    """What a caller is told of whatever went wrong."""
    if isinstance(problem, Refusal):
        return problem
    if isinstance(problem, UNAVAILABLE):
        log.warning("database_unavailable", problem=repr(problem))
        return Refusal(
            Code.DATABASE_UNAVAILABLE, "The database cannot be reached: try again in a moment."
        )
    log.error("request_failed", exc_info=problem)
    return Refusal(
        Code.INTERNAL, "Something went wrong on our side: quote the requestId to support."
    )


def error_answer(refusal: Refusal, request_id: str) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body, and the headers that HTTP asks of it: when to try again, how, with what."""
    answer = ANSWERS[refusal.code]
    metrics.refusals.labels(refusal.code).inc()
    return answer.status, error_body(refusal, request_id), refusal_headers(refusal)


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """What an error says."""
    answer = ANSWERS[refusal.code]
    return msgspec.json.encode(
        ErrorAnswer(
            status_code=answer.status,
            message=refusal.message,
            error=answer.error,
            code=refusal.code,
            request_id=request_id,
            existing_id=refusal.existing_id or UNSET,
        )
    )


def refusal_headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """When to try again, how, with what, and whether the connection goes on."""
    answer = ANSWERS[refusal.code]
    retry_after = refusal.retry_after or answer.retry_after
    headers = []
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    if answer.challenge is not None:
        headers.append((b"www-authenticate", answer.challenge.encode()))
    if answer.closes:
        headers.append((b"connection", b"close"))
    if refusal.allow:
        headers.append((b"allow", ", ".join(refusal.allow).encode()))
    return headers
