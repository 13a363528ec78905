"""One product of one contract: its credentials, its token, and how it is spoken to."""

from __future__ import annotations

import base64
import json
from asyncio import Lock, sleep
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kpay.connectors.mtn_momo.pacing import Pace
from kpay.connectors.wire import Answer, NoAnswer, Wire
from kpay.core.clock import Clock

# MTN asks for tokens to be kept, and renewed ten minutes before their hour is over.
_RENEWED_AHEAD = timedelta(minutes=10)
_SANDBOX_CURRENCY = "EUR"


class NoToken(NoAnswer):
    """No token was given; `alarm` where that is because of our credentials."""

    def __init__(self, why: str, *, alarm: bool = False) -> None:
        super().__init__(why)
        self.alarm = alarm


@dataclass(frozen=True, slots=True)
class Credentials:
    """What MTN gave out for one product."""

    user: str
    key: str = field(repr=False)
    subscription: str = field(repr=False)


class Product:
    """`collection` or `disbursement`. Both verbs raise NoAnswer."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        url: str,
        target: str,
        credentials: Credentials,
        clock: Clock,
        callback_url: str | None,
        reads: int,
    ) -> None:
        """`reads` is how many statuses are asked for in a second at most."""
        self._name = name
        self._wire = wire
        self._url = f"{url}/{name}"
        self._target = target
        self._credentials = credentials
        self._clock = clock
        self._callback_url = callback_url
        self._token = ""
        self._token_until: datetime | None = None
        self._renewing = Lock()
        self._pace = Pace(reads)

    def currency(self, usual: str) -> str:
        """MTN's sandbox knows one currency only, whatever the country's is."""
        return _SANDBOX_CURRENCY if self._target == "sandbox" else usual

    async def get(self, path: str) -> Answer:
        return await self._send("GET", path, {})

    async def read_status(self, path: str) -> Answer | None:
        """The same at the product's pace; None, and nothing is asked, where too many wait."""
        wait = self._pace.take(self._clock.now())
        if wait is None:
            return None
        if wait:
            await sleep(wait.total_seconds())
        return await self.get(path)

    async def post(self, path: str, reference: str, wanted: Mapping[str, Any]) -> Answer:
        more = {"X-Reference-Id": reference, "Content-Type": "application/json"}
        if self._callback_url is not None:
            more["X-Callback-Url"] = self._callback_url
        return await self._send("POST", path, more, json.dumps(wanted).encode())

    async def _send(
        self, method: str, path: str, more: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        headers = {
            "Authorization": f"Bearer {await self._fresh_token()}",
            "Ocp-Apim-Subscription-Key": self._credentials.subscription,
            "X-Target-Environment": self._target,
            **more,
        }
        answer = await self._wire.send(method, self._url + path, headers, body)
        if answer.status == 401:
            # Taken back before its time: the next call gets another.
            self._token_until = None
        return answer

    async def _fresh_token(self) -> str:
        async with self._renewing:
            now = self._clock.now()
            until = self._token_until
            if until is None or now >= until - _RENEWED_AHEAD:
                try:
                    await self._renew(now)
                except NoToken:
                    # The old one is good for some minutes yet.
                    if until is None or now >= until:
                        raise
            return self._token

    async def _renew(self, now: datetime) -> None:
        credentials = self._credentials
        headers = {
            "Authorization": f"Basic {_encoded(credentials)}",
            "Ocp-Apim-Subscription-Key": credentials.subscription,
        }
        try:
            answer = await self._wire.send("POST", f"{self._url}/token/", headers)
        except NoAnswer as problem:
            raise NoToken(f"no token: {problem}") from None
        said = answer.read_object()
        token, seconds = said.get("access_token"), said.get("expires_in")
        if answer.status != 200 or not isinstance(token, str) or not isinstance(seconds, int):
            ours = answer.status in (400, 401, 403)
            raise NoToken(f"no token: it answered {answer.status}", alarm=ours)
        self._token, self._token_until = token, now + timedelta(seconds=seconds)


def _encoded(credentials: Credentials) -> str:
    return base64.b64encode(f"{credentials.user}:{credentials.key}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Account:
    """A contract in one country."""

    country: str
    collection: Product
    disbursement: Product
