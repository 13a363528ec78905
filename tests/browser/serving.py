"""A house behind a real port, for a real browser: in this process, so a test steps its clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from kpay.web.api import Api
from tests.client import Browser

# Where the merchants of these tests have their shops: served beside the page, on the same port.
SHOP = "/shop"
_SHOP_PAGE = '<!doctype html><title>Shop</title><link rel="icon" href="data:,">'


class Served:
    """What is served at a port. `api` is put in when its house is open."""

    def __init__(self) -> None:
        self.api: Api | None = None
        self.url = ""
        self.came_back: list[dict[str, str]] = []
        """The query of each return to the shop."""
        self.before: Callable[[str], Awaitable[None]] | None = None
        """Is told the path of each request before it is answered."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(SHOP):
            self.came_back.append(dict(parse_qsl(request.query_string, keep_blank_values=True)))
            return web.Response(text=_SHOP_PAGE, content_type="text/html")
        if self.before is not None:
            await self.before(request.path)
        assert self.api is not None
        if request.headers.get("Accept") == "text/event-stream":
            return await streamed(self.api, request)
        answer = await Browser(self.api).send(
            request.method,
            request.path,
            raw=await request.read(),
            query=dict(request.query),
            headers=dict(request.headers),
        )
        headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        response = web.Response(status=answer.status, body=answer.raw, headers=headers)
        for cookie in answer.cookies:
            response.headers.add("set-cookie", cookie)
        return response


async def streamed(api: Api, request: web.BaseRequest) -> web.StreamResponse:
    """An answer that goes on, passed on as it comes, until it ends or its browser hangs up."""
    response = web.StreamResponse()
    asked = False
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            response.set_status(message["status"])
            for name, value in message["headers"]:
                response.headers[name.decode()] = value.decode()
            await response.prepare(request)
        elif message.get("body"):
            try:
                await response.write(message["body"])
            except ConnectionError:
                gone.set()

    await api(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": request.method,
            "path": request.path,
            "raw_path": request.path.encode(),
            "root_path": "",
            "query_string": request.query_string.encode(),
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in request.headers.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
        },
        receive,
        send,
    )
    return response


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """A port of this machine on which `Served` answers."""
    served = Served()
    runner = web.ServerRunner(web.Server(served.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    served.url = f"http://127.0.0.1:{port}"
    try:
        yield served
    finally:
        await runner.cleanup()
