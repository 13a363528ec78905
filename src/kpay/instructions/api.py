"""What payments and payouts share over HTTP: narrowing a list, finishing in the sandbox."""

from __future__ import annotations

from typing import Literal

import msgspec

from kpay.core.fields import ShortText
from kpay.core.refusals import Code, Refusal
from kpay.instructions.model import Status

_USUAL_FAILURE = "UNSPECIFIED_FAILURE"


class ListQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How a list is narrowed. `from` and `to` are dates; `cursor` is the last page's nextCursor."""

    external_id: str | None = None
    status: str | None = None
    country: str | None = None
    provider: str | None = None
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")
    cursor: str | None = None
    limit: int | None = None


class FinishRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How an open sandbox operation ends; `failureCode` goes with FAILED."""

    outcome: Literal["COMPLETED", "FAILED"]
    failure_code: ShortText | None = None


def read_status(text: str | None) -> str | None:
    """A status to narrow by. Refuses: invalid_parameter."""
    if text is not None and text not in set(Status):
        raise Refusal(Code.INVALID_PARAMETER, f"status must be one of {', '.join(Status)}.")
    return text


def failure_of(request: FinishRequest) -> str | None:
    """The failure code that was decided, or None for a completion."""
    if request.outcome == "COMPLETED":
        return None
    return request.failure_code or _USUAL_FAILURE
