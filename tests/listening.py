"""A page that listens for news, without a browser: server-sent events, read as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from kpay.web.api import Api
from tests.visitors import COOKIE, Visitor


class Listener:
    """One answer that goes on."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self._gone = asyncio.Event()
        self._asked = False
        self._text = ""
        self._marks: asyncio.Queue[str] = asyncio.Queue()

    async def mark(self) -> str:
        """The next that something is new, when it comes."""
        async with asyncio.timeout(10):
            return await self._marks.get()

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that was not read."""
        return self._marks.empty()

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.begun.set()
            return
        self._text += message.get("body", b"").decode()
        while "\n\n" in self._text:
            event, _, self._text = self._text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in event.split("\n"))
            if "data" in fields:
                assert fields["id"] == fields["data"]
                self._marks.put_nowait(fields["data"])

    def hang_up(self) -> None:
        self._gone.set()


@asynccontextmanager
async def listening(
    api: Api, visitor: Visitor, address: str, last_event: str | None = None
) -> AsyncIterator[Listener]:
    """Listens at an address of news, and hangs up at the end."""
    path, query = urlsplit(address).path, urlsplit(address).query
    headers = {"cookie": f"{COOKIE}={visitor.token}", "accept": "text/event-stream"}
    if last_event is not None:
        headers["last-event-id"] = last_event
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    listener = Listener()

    async def serve() -> None:
        await api(scope, listener.receive, listener.send)
        listener.ended.set()

    serving = asyncio.create_task(serve())
    try:
        await listener.begun.wait()
        yield listener
    finally:
        listener.hang_up()
        async with asyncio.timeout(10):
            await serving
