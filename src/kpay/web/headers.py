"""The headers that every answer has, whoever writes it: an endpoint, a page, an error.

They are what a JSON API owes a browser that is led to it: nothing here is a page to be framed, run
or guessed at, and nothing is kept. Strict-Transport-Security belongs to whatever ends TLS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

SECURITY = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_NAMES = frozenset(name for name, _ in SECURITY)


def secured(send: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """The same `send`, whose answers have the headers; ones that an answer has already stay."""

    async def send_secured(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            there = {name.lower() for name, _ in given} & _NAMES
            missing = [header for header in SECURITY if header[0] not in there]
            message = {**message, "headers": [*given, *missing]}
        await send(message)

    return send_secured
