"""A rail's server that says what a test wants, and what it is asked about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

from aiohttp import web

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction
from kpay.connectors.variables import Place
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.money import Money
from tests.receivers import Receiver, Said, listening

NOW = datetime(2026, 6, 23, 10, 0, 0, tzinfo=UTC)
REFERENCE = UUID("8917c345-4791-4285-a416-62f24b6982db")
DEPOSIT = UUID("afb57b93-7849-49aa-babb-4c3ccbfe3d79")


def instruction(type_: OperationType = OperationType.PAYOUT, **changes: Any) -> Instruction:
    """15,000 XAF at MTN in Cameroon."""
    made: dict[str, Any] = {
        "book": Book(UUID(int=1), Environment.TEST),
        "type": type_,
        "reference": REFERENCE,
        "provider": "MTN_MOMO_CMR",
        "phone_number": "237653456789",
        "amount": Money(1_500_000, "XAF"),
        "submitted_at": NOW,
        "deposit_reference": DEPOSIT if type_ is OperationType.REFUND else None,
    }
    return Instruction(**{**made, **changes})


def place(name: str = "pawapay") -> Place:
    return Place(
        Environment.TEST,
        catalogue(),
        ManualClock(NOW),
        f"https://pay.example.com/callbacks/test/{name}",
    )


@asynccontextmanager
async def rail_server(*script: Said, otherwise: Said = 500) -> AsyncIterator[Receiver]:
    """A server whose `url` is its root."""
    async with listening(*script, otherwise=otherwise) as server:
        server.url = server.url.removesuffix("/hook")
        yield server


Saying: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(body: Mapping[str, Any] | list[Any] | str, status: int = 200) -> Saying:
    """An answer in JSON, as often as it is wanted; text stays as it is."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return in_json(body, status)

    return answer


def in_json(body: Mapping[str, Any] | list[Any] | str, status: int = 200) -> web.Response:
    """An answer that can be given once."""
    text = body if isinstance(body, str) else json.dumps(body)
    return web.Response(text=text, status=status, content_type="application/json")


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """The request was read, and the connection breaks off before the answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def says_half(request: web.Request) -> web.StreamResponse:
    """The connection breaks off in the middle of the answer."""
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"status":"ACCEPTED"')
    if request.transport is not None:
        request.transport.close()
    return answer


async def is_silent(_request: web.Request) -> web.StreamResponse:
    """No answer, for longer than anybody waits."""
    await asyncio.sleep(60)
    return web.Response()
