"""The web application: the API, and behind it what else is served: health, metrics, documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import cache
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from kpay import metrics
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.contradictions.store import count_open as count_contradictions
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.core.routes import Route
from kpay.database.pool import UNAVAILABLE, Database
from kpay.idempotency.flow import Keys
from kpay.reconciliation.breaks import count_open as count_breaks
from kpay.settings import Settings
from kpay.web import reference
from kpay.web.address import Addresses
from kpay.web.api import Api, AsgiApplication
from kpay.web.context import begin_request
from kpay.web.errors import error_answer, refusal_of
from kpay.web.openapi import document

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

_COUNTED_WITHIN_SECONDS = 2.0


def web_application(
    routes: Sequence[Route],
    gate: Gate,
    limiter: Limiter,
    keys: Keys,
    database: Database,
    lifespan: Lifespan,
    settings: Settings,
    pages: Mapping[str, AsgiApplication],
) -> Api:
    """Everything that is served, from what each noun declared; `pages` by their prefixes."""
    rest = Litestar(
        route_handlers=[
            *_operations(database),
            _openapi(routes, settings.public_url),
            *reference.handlers(),
        ],
        lifespan=[lifespan],
        openapi_config=None,
        exception_handlers={Exception: _boundary},
        logging_config=None,
    )
    return Api(
        routes,
        gate,
        rest=rest,
        addresses=Addresses(settings.trusted_proxies),
        limiter=limiter,
        keys=keys,
        pages=pages,
    )


def _operations(database: Database) -> list[Any]:
    """What an operator's tools ask: alive, ready, metrics."""

    @get("/healthz", media_type=MediaType.TEXT)
    async def healthz() -> str:
        return "alive\n"

    @get("/readyz", media_type=MediaType.TEXT)
    async def readyz() -> str:
        await database.fetchval("select 1 from schema_migrations limit 1")
        return "ready\n"

    @get("/metrics", media_type="text/plain; version=0.0.4")
    async def exposition() -> bytes:
        # While the database is away, what is counted there is as it was.
        with suppress(*UNAVAILABLE):
            async with asyncio.timeout(_COUNTED_WITHIN_SECONDS):
                metrics.open_contradictions.set(await count_contradictions(database))
                metrics.open_breaks.set(await count_breaks(database))
        return metrics.exposition()

    return [healthz, readyz, exposition]


def _openapi(routes: Sequence[Route], public_url: str) -> Any:
    # Made when it is first asked for: most processes of a test, and many of a server, never are.
    made = cache(lambda: document(routes, public_url))

    @get("/api/docs/public-json", media_type=MediaType.JSON)
    async def openapi() -> bytes:
        return made()

    return openapi


def _boundary(_request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Whatever goes wrong outside an endpoint, in the same envelope."""
    request_id = begin_request()
    status, body, more = error_answer(_translate(problem), request_id)
    headers = {name.decode(): value.decode() for name, value in more}
    return Response(
        body,
        status_code=status,
        media_type=MediaType.JSON,
        headers={**headers, "x-request-id": request_id},
    )


def _translate(problem: Exception) -> Refusal:
    if isinstance(problem, NotFoundException):
        return Refusal(Code.NOT_FOUND, "There is nothing at this address: see the documentation.")
    if isinstance(problem, MethodNotAllowedException):
        allow = (problem.headers or {}).get("Allow", "GET")
        return Refusal(
            Code.METHOD_NOT_ALLOWED,
            "This address does not take that method.",
            allow=tuple(allow.split(", ")),
        )
    if isinstance(problem, HTTPException) and problem.status_code < ANSWERS[Code.INTERNAL].status:
        return Refusal(Code.INVALID_PARAMETER, problem.detail)
    return refusal_of(problem)
