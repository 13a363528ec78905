"""What stands between a client and a real server and spoils some of what passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx


def nothing(_request: httpx.Request) -> httpx.Response | None:
    return None


@dataclass
class Between(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Passes requests on, for both kinds of client.

    `instead` may answer in the server's place, or change the request. `lose` says of a request that
    the server has answered whether the answer gets lost.
    """

    instead: Callable[[httpx.Request], httpx.Response | None] = nothing
    lose: Callable[[httpx.Request], bool] = lambda _request: False
    passed: list[str] = field(default_factory=list)
    _threads: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)
    _asyncio: httpx.AsyncHTTPTransport = field(default_factory=httpx.AsyncHTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answered = self.instead(request)
        if answered is None:
            answered = self._threads.handle_request(request)
            self._note(request)
            if self.lose(request):
                answered.read()
                answered.close()
                raise httpx.ReadTimeout("the answer was lost", request=request)
        return answered

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answered = self.instead(request)
        if answered is None:
            answered = await self._asyncio.handle_async_request(request)
            self._note(request)
            if self.lose(request):
                await answered.aread()
                await answered.aclose()
                raise httpx.ReadTimeout("the answer was lost", request=request)
        return answered

    def close(self) -> None:
        self._threads.close()

    async def aclose(self) -> None:
        await self._asyncio.aclose()

    def _note(self, request: httpx.Request) -> None:
        self.passed.append(f"{request.method} {request.url.path}")


def first(method: str, path: str) -> Callable[[httpx.Request], bool]:
    """Whether it is the first request of this kind."""
    seen: list[httpx.Request] = []

    def is_first(request: httpx.Request) -> bool:
        if (request.method, request.url.path) != (method, path):
            return False
        seen.append(request)
        return len(seen) == 1

    return is_first
