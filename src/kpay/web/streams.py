"""Sends an answer that has no end of its own: parts as they come, while somebody is there.

Unlike a file (`download.py`) it may be broken off anywhere, and whoever listens comes again. When
the client has hung up, whatever the parts wait for is let go at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from kpay.web.headers import SECURITY

# How long a client may take over one part before it is given up.
_TAKEN_WITHIN_SECONDS = 10.0

# Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A proxy that
# gathers an answer before it passes it on would pass on nothing: nginx is told not to.
EVENTS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
)

log = structlog.get_logger(__name__)


class Stream(msgspec.Struct, frozen=True):
    """An answer that goes on: server-sent events."""

    parts: AsyncGenerator[bytes, None]
    status: int = 200


async def send_stream(
    stream: Stream,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
    request_id: str,
) -> None:
    """Send each part as it comes, until there are no more or the client has gone."""
    headers = [*EVENTS, *SECURITY, (b"x-request-id", request_id.encode())]
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        async with aclosing(stream.parts):
            await send({"type": "http.response.start", "status": stream.status, "headers": headers})
            while (part := await _next(stream.parts, gone)) is not None:
                async with asyncio.timeout(_TAKEN_WITHIN_SECONDS):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
    except Exception as problem:
        # Whoever listens sees it broken off, and comes again.
        log.info("stream_broken", problem=repr(problem))
    finally:
        gone.cancel()


async def _next(parts: AsyncGenerator[bytes, None], gone: asyncio.Future[None]) -> bytes | None:
    """The next part, or None when there is none or nobody to take it."""
    coming = asyncio.ensure_future(anext(parts, None))
    waited: list[asyncio.Future[Any]] = [coming, gone]
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _until_gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        continue
