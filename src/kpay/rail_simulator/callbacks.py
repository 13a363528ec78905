"""Callbacks: signed, sent, and sent again for fifteen minutes until somebody answers 200.

Any other answer is a failure, and none at all too. After that only a request to send again helps.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
import msgspec
from yarl import URL

from kpay.core.clock import Clock
from kpay.rail_simulator.agenda import Agenda
from kpay.rail_simulator.signatures import Signer

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int | None]]
"""Sends a body to a URL; the status that was answered, or None."""

CONTENT_TYPE = "application/json; charset=UTF-8"
GIVEN_UP_AFTER = timedelta(minutes=15)
_AGAIN_AFTER = (5, 10, 20, 40)
_AGAIN_AT_LEAST_EVERY = 60
_KEPT = 2_000
_AT_ONCE = 50
_WITHIN_SECONDS = 10


class Delivery(msgspec.Struct):
    """One callback on its way. `statuses` are what its tries were answered; None is no answer."""

    url: str
    body: bytes
    about: str
    first: datetime
    signature: str
    statuses: list[int | None] = []

    @property
    def delivered(self) -> bool:
        return self.statuses[-1:] == [200]


class Courier:
    """Sends callbacks, some at a time. Without a signer they are not signed."""

    def __init__(self, clock: Clock, agenda: Agenda, signer: Signer | None, post: Post) -> None:
        self.counts: Counter[str] = Counter(sent=0, delivered=0, tries=0, given_up=0)
        self.last: deque[Delivery] = deque(maxlen=_KEPT)
        self._clock = clock
        self._agenda = agenda
        self._signer = signer
        self._post = post
        self._places = asyncio.Semaphore(_AT_ONCE)

    def send(self, url: str, said: Any, about: str, signature: str = "good") -> Delivery:
        """Send it now, and again until it is taken. `signature` is a word of the plan."""
        delivery = self._new(url, said, about, signature)
        self._agenda.after(0, lambda: self._try(delivery))
        return delivery

    async def send_now(self, url: str, said: Any, about: str, signature: str = "good") -> None:
        """The same, having waited for the first try."""
        # Whoever waits may be called off, because a client has gone away; the callback goes on.
        begun = self._agenda.start(self._try(self._new(url, said, about, signature)))
        await asyncio.shield(begun)

    def _new(self, url: str, said: Any, about: str, signature: str) -> Delivery:
        body = msgspec.json.encode(said)
        delivery = Delivery(url, body, about, self._clock.now(), signature, [])
        self.last.append(delivery)
        self.counts["sent"] += 1
        return delivery

    async def _try(self, delivery: Delivery) -> None:
        async with self._places:
            status = await self._post(delivery.url, self._headers(delivery), delivery.body)
        delivery.statuses.append(status)
        self.counts["tries"] += 1
        if delivery.delivered:
            self.counts["delivered"] += 1
            return
        tries = len(delivery.statuses)
        wait = _AGAIN_AFTER[tries - 1] if tries <= len(_AGAIN_AFTER) else _AGAIN_AT_LEAST_EVERY
        if self._clock.now() + timedelta(seconds=wait) > delivery.first + GIVEN_UP_AFTER:
            self.counts["given_up"] += 1
            return
        self._agenda.after(wait, lambda: self._try(delivery))

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        word = "good" if delivery.statuses else delivery.signature
        if self._signer is None or word == "missing":
            return {"Content-Type": CONTENT_TYPE}
        url = URL(delivery.url)
        # Signed for another body: the digest is not of what is sent.
        signed = delivery.body + b" " if word == "tampered" else delivery.body
        return self._signer.headers(
            "POST",
            url.host_port_subcomponent or "",
            url.raw_path,
            CONTENT_TYPE,
            signed,
            self._clock.now(),
        )


class HttpPost:
    """Sends over HTTP. Whatever the other side does, nothing is raised."""

    def __init__(self) -> None:
        self._opened: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_WITHIN_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._opened.post(
                URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
