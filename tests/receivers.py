"""A merchant's server that hears webhooks: it answers as a test decides and keeps what it heard."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

Said: TypeAlias = int | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Heard:
    """One webhook as it came in."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    def __getitem__(self, name: str) -> Any:
        return json.loads(self.raw)[name]


@dataclass
class Receiver:
    """Says what it was told to, in that order, then `otherwise`."""

    url: str = ""
    script: deque[Said] = field(default_factory=deque)
    otherwise: Said = 200
    heard: list[Heard] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [heard["event"] for heard in self.heard]

    async def hear(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(Heard(request.path, dict(request.headers), await request.read()))
        said = self.script.popleft() if self.script else self.otherwise
        if isinstance(said, int):
            return web.Response(status=said, text="heard")
        return said if isinstance(said, web.Response) else await said(request)


@asynccontextmanager
async def listening(*script: Said, otherwise: Said = 200) -> AsyncIterator[Receiver]:
    """A server on a free port of this machine."""
    receiver = Receiver(script=deque(script), otherwise=otherwise)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.hear)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def dead() -> AsyncIterator[str]:
    """A URL at which nobody ever answers: connections are taken, and nothing is said."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}/hook"
    finally:
        for writer in held:
            writer.close()
        server.close()
        await server.wait_closed()
