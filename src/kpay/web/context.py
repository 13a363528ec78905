"""The identifier of the request at hand, for its answer and for every log line it causes."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

current_request: ContextVar[str | None] = ContextVar("current_request", default=None)

# Unique over processes by the random part, within one by the count: cheaper than a draw each time.
_process = secrets.token_hex(5)
_numbers = itertools.count(1)


def begin_request() -> str:
    """Name the request at hand."""
    request_id = f"req_{_process}{next(_numbers):06x}"
    current_request.set(request_id)
    return request_id


def add_request_id(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: every line says which request it belongs to."""
    request_id = current_request.get()
    if request_id is not None:
        event["request_id"] = request_id
    return event
