"""A house of this process on a socket, for what needs one: a shell, Node, a browser.

The same application, clock and worker as every other test has; the real server and its processes
are tested in tests/system.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from kpay.web.api import Api
from tests.declared import assert_declared


@asynccontextmanager
async def on_loopback(api: Api) -> AsyncIterator[str]:
    """Serve an application until the block ends. Yields its address, http://127.0.0.1:PORT."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await _answer(api, request)

    server = web.Server(handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _answer(api: Api, request: web.BaseRequest) -> web.Response:
    body = await request.read()
    got: dict[str, Any] = {"body": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            got["status"], got["headers"] = message["status"], message["headers"]
        else:
            got["body"] += message.get("body", b"")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": request.url.path,
        "raw_path": request.url.raw_path.encode(),
        "root_path": "",
        "query_string": request.url.raw_query_string.encode(),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", request.url.port),
    }
    await api(scope, receive, send)
    assert_declared(api, request.method, request.url.path, got["status"], got["body"])
    headers = [(name.decode(), value.decode()) for name, value in got["headers"]]
    return web.Response(
        status=got["status"],
        body=got["body"],
        headers=[pair for pair in headers if pair[0].lower() != "content-length"],
    )
