"""The API in front of everything else: finds the endpoint of a path, or passes the request on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias

from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.core.routes import Route
from kpay.idempotency.flow import Keys
from kpay.web.address import Addresses
from kpay.web.endpoint import Endpoint, Receive, Scope, Send
from kpay.web.headers import secured

# Typed loosely: Litestar's own types of the same three arguments are narrower than the protocol's.
AsgiApplication: TypeAlias = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]

_NO_PARAMETERS: Mapping[str, str] = {}
_NO_PAGES: Mapping[str, AsgiApplication] = {}


class Api:
    """An ASGI application: every route that the nouns declare, and `rest` for any other path.

    `pages` are applications of their own, each for every path that begins with its prefix.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        gate: Gate,
        rest: AsgiApplication,
        addresses: Addresses,
        limiter: Limiter,
        keys: Keys,
        pages: Mapping[str, AsgiApplication] = _NO_PAGES,
    ) -> None:
        self._rest = rest
        self._pages = pages
        self._fixed: dict[str, Endpoint] = {}
        self._patterns: dict[int, list[tuple[list[str], Endpoint]]] = {}
        for path, group in _by_path(routes).items():
            endpoint = Endpoint(path, group, gate, addresses, limiter, keys)
            if "{" in path:
                parts = path.split("/")
                self._patterns.setdefault(len(parts), []).append((parts, endpoint))
            else:
                self._fixed[path] = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            endpoint = self._fixed.get(path)
            if endpoint is not None:
                await endpoint.serve(scope, receive, send, _NO_PARAMETERS)
                return
            matched = self._match(path.split("/"))
            if matched is not None:
                await matched[0].serve(scope, receive, send, matched[1])
                return
            for prefix, page in self._pages.items():
                if path.startswith(prefix):
                    await page(scope, receive, send)
                    return
            send = secured(send)
        await self._rest(scope, receive, send)

    def _match(self, parts: list[str]) -> tuple[Endpoint, dict[str, str]] | None:
        for pattern, endpoint in self._patterns.get(len(parts), ()):
            values = {}
            for wanted, given in zip(pattern, parts, strict=True):
                if wanted.startswith("{"):
                    values[wanted[1:-1]] = given
                elif wanted != given:
                    break
            else:
                return endpoint, values
        return None


def _by_path(routes: Iterable[Route]) -> dict[str, list[Route]]:
    grouped: dict[str, list[Route]] = {}
    for route in routes:
        grouped.setdefault(route.path, []).append(route)
    return grouped
