"""Pages of a list: newest first, cut at an identifier (keyset), never at an offset."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from kpay.core.refusals import Code, Refusal

MOST = 100
USUAL = 20


class Filter(msgspec.Struct, frozen=True):
    """What a list is narrowed to; None narrows nothing. `before` is the last page's last row."""

    external_id: str | None = None
    status: str | None = None
    country: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = USUAL


def read_moment(text: str | None, field: str) -> datetime | None:
    """A moment in a query, ISO 8601; without a zone it is UTC. Refuses: invalid_parameter."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as problem:
        raise Refusal(
            Code.INVALID_PARAMETER, f"{field} must be a date such as 2026-06-23T10:00:00Z."
        ) from problem


def read_limit(limit: int | None) -> int:
    """How many rows a page has. Refuses: invalid_parameter."""
    if limit is None:
        return USUAL
    if not 1 <= limit <= MOST:
        raise Refusal(Code.INVALID_PARAMETER, f"limit must be between 1 and {MOST}.")
    return limit
