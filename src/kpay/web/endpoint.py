"""Turns a route into an ASGI application: authenticate, count, read, call, write.

The API's routes are plain ASGI in front of Litestar, because this path decides how many payments a
second the house can take; docs/decisions/ says why. Nothing here knows any one route.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import msgspec
import structlog
from prometheus_client import Histogram

from kpay import metrics
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.access.quota import Bucket, Quota
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Download, Guard, Principal, Route
from kpay.idempotency.flow import Keys
from kpay.idempotency.model import fingerprint_of, read_key
from kpay.web.address import Addresses
from kpay.web.context import begin_request
from kpay.web.download import Begun, begin_download, send_download
from kpay.web.errors import error_answer, refusal_of
from kpay.web.headers import SECURITY
from kpay.web.once import REPLAYED, Once
from kpay.web.reading import BodyReader, read_body, read_query

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

_FIXED_HEADERS = ((b"content-type", b"application/json"), *SECURITY)

_encoder = msgspec.json.Encoder(decimal_format="number")

log = structlog.get_logger(__name__)


class Endpoint:
    """Every route of one path."""

    def __init__(
        self,
        path: str,
        routes: Sequence[Route],
        gate: Gate,
        addresses: Addresses,
        limiter: Limiter,
        keys: Keys,
    ) -> None:
        self.path = path
        self._gate = gate
        self._addresses = addresses
        self._limiter = limiter
        self._counts = limiter.limits(Bucket.KEY)
        self._once = Once(keys, _encoder.encode)
        self._routes = {route.method: _Prepared(route) for route in routes}
        self._measures: dict[tuple[str, int], Histogram] = {}

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, path: Mapping[str, str]
    ) -> None:
        """Answer one request; `path` holds the values of the path's parameters."""
        started = time.perf_counter()
        request_id = begin_request()
        method = scope["method"]
        headers: Headers = []
        body: bytes | Begun
        try:
            status, body = await self._answer(method, scope, receive, path, headers)
        except Exception as problem:
            status, body = self._refuse(problem, method, request_id, headers)
        # Counted before it is sent: who has the answer can rely on finding it counted.
        self._count(method, status, time.perf_counter() - started)
        if isinstance(body, Begun):
            await send_download(body, receive, send, request_id, headers)
        else:
            await write_json(send, status, body, request_id, headers)

    def _refuse(
        self, problem: Exception, method: str, request_id: str, headers: Headers
    ) -> tuple[int, bytes]:
        """Status and body of a refusal.

        Apart from `serve`, whose frame the problem holds: were it held there in turn, the request
        would stay, and the connection of one whose body never came, until the collector came by.
        """
        refusal = refusal_of(problem)
        status, body, more = error_answer(refusal, request_id)
        headers.extend(more)
        log.info("refused", method=method, route=self.path, status=status, code=refusal.code)
        return status, body

    def _count(self, method: str, status: int, seconds: float) -> None:
        # A method is whatever the caller wrote: only those that the path takes are a label.
        label = method if method in self._routes else "other"
        measure = self._measures.get((label, status))
        if measure is None:
            measure = metrics.requests.labels(label, self.path, status)
            self._measures[label, status] = measure
        measure.observe(seconds)

    async def _answer(
        self,
        method: str,
        scope: Scope,
        receive: Receive,
        path: Mapping[str, str],
        headers: Headers,
    ) -> tuple[int, bytes | Begun]:
        """Status and body. What else the answer has is put into `headers`, refused or not."""
        prepared = self._routes.get(method)
        if prepared is None:
            raise Refusal(
                Code.METHOD_NOT_ALLOWED,
                f"{self.path} takes {' and '.join(self._routes)}.",
                allow=tuple(self._routes),
            )
        route = prepared.route
        given = _credentials(route.guard, scope)
        caller = await self._authenticate(route.guard, scope, given)
        if caller is not None and self._counts:
            await self._count_in(Bucket.KEY, caller, headers)
        body, raw = None, b""
        if prepared.reader is not None:
            raw = await read_body(receive)
            body = prepared.reader.read(raw)
        query = None
        if route.query is not None:
            query = read_query(route.query, scope["query_string"])
        call = Call(caller, body, query, path)
        if route.also_counts is not None and (bucket := route.also_counts(body)) is not None:
            await self._count_in(Bucket(bucket), call.principal, headers)
        if route.recall is not None and _KEY in given:
            key = read_key(_text(given, _KEY))
            fingerprint = fingerprint_of(method, scope["path"], raw)
            answer, replayed = await self._once.answer(route, call, key, fingerprint)
            if replayed:
                headers.append(REPLAYED)
            return answer.status, answer.body
        reply = await route.handler(call)
        if isinstance(reply, Download):
            return route.status, await begin_download(reply, route)
        return reply.status, _encoder.encode(reply.body)

    async def _authenticate(
        self, guard: Guard, scope: Scope, given: Mapping[bytes, bytes]
    ) -> Principal | None:
        if guard is Guard.PUBLIC:
            return None
        address = self._addresses.of(scope)
        if guard is Guard.KEYS:
            return await self._gate.by_keys(
                _text(given, b"x-api-key"), _text(given, b"x-secret-key"), address
            )
        scheme, _, token = _text(given, b"authorization").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        return await self._gate.by_token(token, address)

    async def _count_in(self, bucket: Bucket, caller: Principal, headers: Headers) -> None:
        """Count a request, and say what is left of the quota. Refuses: rate_limited."""
        limiter = self._limiter
        quota = limiter.at_hand(bucket, caller.key_id)
        if quota is None:
            quota = await limiter.take(bucket, caller.book, caller.key_id)
            if quota is None:
                return
        # Of two quotas that a request counts in, the narrower one is told.
        headers[:] = quota_headers(quota)
        quota.check()


# What an endpoint looks for in a request's headers, in one pass.
_KEY = b"idempotency-key"
_READ = frozenset({b"x-api-key", b"x-secret-key", b"authorization", _KEY})
_NOTHING: Mapping[bytes, bytes] = {}


def _credentials(guard: Guard, scope: Scope) -> Mapping[bytes, bytes]:
    if guard is Guard.PUBLIC:
        return _NOTHING
    return {name: value for name, value in scope["headers"] if name in _READ}


def quota_headers(quota: Quota) -> Headers:
    """How many requests a minute, how many are left, and in how many seconds all are again."""
    return [
        (b"x-ratelimit-limit", b"%d" % quota.limit),
        (b"x-ratelimit-remaining", b"%d" % quota.remaining),
        (b"x-ratelimit-reset", b"%d" % quota.resets_in),
    ]


class _Prepared:
    """A route with what can be made ready before the first request."""

    __slots__ = ("reader", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.reader = (
            None if route.body is None else BodyReader(route.body, optional=route.body_optional)
        )


async def write_json(
    send: Send,
    status: int,
    body: bytes,
    request_id: str,
    more: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send one JSON answer; `more` are headers beside those that every answer has."""
    headers = [
        *_FIXED_HEADERS,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")
