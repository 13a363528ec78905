"""Sends a file as it is made: each part when the one before it was taken.

A part is made when there is room for it, so memory is bounded whatever the file's length, and who
reads slowly holds up nothing: between two parts no connection to the database is held. What goes
wrong once the answer has begun can no longer be said in words; the answer is then left without its
end, and the server breaks the connection off. Every HTTP client tells that from a whole file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from kpay.core.routes import Download, Route
from kpay.web.headers import SECURITY

# How long a client may take over one part before it is given up.
TAKEN_WITHIN_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Begun(msgspec.Struct, frozen=True):
    """A download whose first part is there: from here on it is a success."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    first: bytes
    parts: AsyncGenerator[bytes, None]


async def begin_download(download: Download, route: Route) -> Begun:
    """Make the first part. What is refused until then is answered like any refusal."""
    return await begin_file(download, route.media, route.status)


async def begin_file(download: Download, media: str, status: int = 200) -> Begun:
    """The same of a file that no route declares."""
    first = await anext(download.parts, b"")
    disposition = f'attachment; filename="{download.file_name}"'
    headers = (
        (b"content-type", media.encode()),
        (b"content-disposition", disposition.encode()),
        *SECURITY,
    )
    return Begun(status, headers, first, download.parts)


async def send_download(
    begun: Begun,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
    request_id: str,
    more: Iterable[tuple[bytes, bytes]] = (),
    *,
    taken_within: float = TAKEN_WITHIN_SECONDS,
) -> None:
    """Send it to its end, or leave it without an end: when the client has gone, is too slow, or
    something goes wrong. `more` are headers beside those that every file has."""
    headers = [*begun.headers, (b"x-request-id", request_id.encode()), *more]
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        async with aclosing(begun.parts):
            await send({"type": "http.response.start", "status": begun.status, "headers": headers})
            await _send_part(send, begun.first, taken_within)
            async for part in begun.parts:
                if gone.done():
                    log.info("download_abandoned")
                    return
                await _send_part(send, part, taken_within)
            await send({"type": "http.response.body", "body": b""})
    except Exception as problem:
        log.error("download_broken", exc_info=problem)
    finally:
        gone.cancel()


async def _send_part(send: Callable[[Any], Awaitable[None]], part: bytes, within: float) -> None:
    async with asyncio.timeout(within):
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def _until_gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Return when the client has hung up. What is left of its request is let go by."""
    while (await receive())["type"] != "http.disconnect":
        continue
