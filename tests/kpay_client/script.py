"""A server that answers as a test scripts it, and time that passes only when somebody waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from kpay_client import AsyncKPay, KPay, Patience

BASE = "http://kpay.test"
API_KEY = "kpay_test_abcdefghijklmnop"
SECRET_KEY = "sk_test_abcdefghijklmnopqrstuvwxyz"
START = datetime(2026, 6, 23, 10, 0, 0, tzinfo=UTC)

Reply = httpx.Response | Exception


@dataclass
class Time:
    """A clock for both kinds of client: it stands still but for what is waited."""

    seconds: float = 1_000.0
    waited: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1_000)

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.seconds += seconds

    async def sleep_soon(self, seconds: float) -> None:
        self.sleep(seconds)


@dataclass
class Script:
    """What is answered, one after the other; an exception is no answer. Keeps what was asked."""

    replies: list[Reply] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        assert self.replies, f"nobody expected {request.method} {request.url.path}"
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        # A response is read once: the same one may stand in the script many times.
        return httpx.Response(reply.status_code, headers=dict(reply.headers), content=reply.content)

    def then(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    @property
    def said(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.asked]

    def body(self, number: int) -> Any:
        return json.loads(self.asked[number].content)


class Blocking:
    """An `AsyncKPay` whose methods wait: one test tries both clients."""

    def __init__(self, client: AsyncKPay) -> None:
        self._client = client
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        return _Waits(getattr(self._client, name), self._runner)

    def __repr__(self) -> str:
        return repr(self._client)

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


class _Waits:
    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return _Waits(getattr(self._inner, name), self._runner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = self._inner(*args, **kwargs)
        if isinstance(made, AsyncIterator):
            return self._rows(made)
        return self._runner.run(made)

    def _rows(self, rows: AsyncIterator[Any]) -> Iterable[Any]:
        async def following() -> Any:
            return await anext(rows, None)

        while (row := self._runner.run(following())) is not None:
            yield row


def client_of(
    kind: str,
    transport: Any,
    *,
    time: Time | None = None,
    base_url: str = BASE,
    api_key: str = API_KEY,
    secret_key: str = SECRET_KEY,
    patience: Patience | None = None,
) -> Any:
    """A client of either kind, with the surface of a `KPay`."""
    time = time or Time()
    common: dict[str, Any] = {
        "base_url": base_url,
        "transport": transport,
        "clock": time.clock,
        "now": time.now,
        "patience": patience,
    }
    if kind == "asyncio":
        return Blocking(AsyncKPay(api_key, secret_key, sleep=time.sleep_soon, **common))
    return KPay(api_key, secret_key, sleep=time.sleep, **common)


def answer(status: int, body: object, **headers: str) -> httpx.Response:
    """A JSON answer; `headers` are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=named)


def refusal(
    status: int, code: str | None = None, *, existing: str | None = None, **headers: str
) -> httpx.Response:
    """An error as the server words it."""
    body = {
        "statusCode": status,
        "message": "This cannot be done.",
        "error": "Some Error",
        "code": code,
        "requestId": "req_1",
        "existingId": existing,
    }
    return answer(status, {name: value for name, value in body.items() if value}, **headers)


def token(number: int = 1, lasts: str = "30m") -> httpx.Response:
    return answer(
        201, {"accessToken": f"token-{number}", "expiresIn": lasts, "environment": "TEST"}
    )


def me() -> httpx.Response:
    return answer(
        200,
        {
            "application": {"id": "app-1", "name": "shop"},
            "company": {"id": "company-1", "name": "Acme"},
            "environment": "TEST",
        },
    )


def withdrawal(**changes: object) -> dict[str, object]:
    """The page's own answer, created at START."""
    return {
        "id": "wdr_cross123",
        "reference": "KPAY-WD-20260626-CROSS123",
        "status": "PENDING",
        "amount": 50000,
        "netAmount": 47500,
        "feeAmount": 2500,
        "currency": "XAF",
        "payoutCurrency": "XOF",
        "payoutAmount": 48211.75,
        "exchangeRate": 1.0150,
        "externalId": "PAYOUT-CROSS-002",
        "provider": "MTN_MOMO_CIV",
        "phoneNumber": "237653456789",
        "sourceCountry": "CMR",
        "description": None,
        "isTest": True,
        "message": "Withdrawal request received. Processing via Mobile Money.",
        "createdAt": "2026-06-23T10:00:00.000Z",
        **changes,
    }


WANTED = {
    "amount": 50000,
    "provider": "MTN_MOMO_CIV",
    "phone_number": "237653456789",
    "source_country": "CMR",
    "external_id": "PAYOUT-CROSS-002",
}
"""What `withdrawal` is the answer to."""
