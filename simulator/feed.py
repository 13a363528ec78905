"""The sources of rates: two services that move, fail, talk nonsense and grow old.

It takes the place of the program's connections to the web, so that its own sources read the
answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from random import Random
from typing import Any

import aiohttp
import msgspec

from simulator.clock import Time
from simulator.turns import Seat, Turns

SERVICES = ("open-er-api", "frankfurter")
_AT_FIRST = {
    "XAF": "655.957",
    "XOF": "655.957",
    "KES": "151.23",
    "CDF": "3301.5",
    "UGX": "4211.7",
    "RWF": "1689.4",
    "GHS": "12.8431",
    "ZMW": "27.611",
    "SLE": "26.0573",
}
_encoder = msgspec.json.Encoder(decimal_format="number")


class Mood(Enum):
    """How a service answers."""

    SOUND = "sound"
    AWAY = "away"
    BROKEN = "broken"
    ABSURD = "absurd"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Served:
    """Rates that a process was given, when its clock said so; units for one euro."""

    at: datetime
    rates: dict[str, Decimal]


class Feed:
    """What the services say now, and all that they ever said in earnest."""

    def __init__(self, random: Random, time: Time) -> None:
        self._random = random
        self._time = time
        self.rates = {name: Decimal(rate) for name, rate in _AT_FIRST.items()}
        self.moods = dict.fromkeys(SERVICES, Mood.SOUND)
        self.served: list[Served] = []

    def move(self) -> None:
        """Every rate moves by up to two per cent."""
        for name, rate in self.rates.items():
            percent = Decimal(self._random.randint(-200, 200)) / 10_000
            self.rates[name] = (rate * (1 + percent)).quantize(Decimal("0.000001"))

    def change_mood(self) -> str:
        service = self._random.choice(SERVICES)
        self.moods[service] = self._random.choice(
            [Mood.SOUND, Mood.SOUND, Mood.AWAY, Mood.AWAY, Mood.BROKEN, Mood.ABSURD, Mood.PARTIAL]
        )
        return f"{service} is {self.moods[service].value}"

    def calm(self) -> None:
        self.moods = dict.fromkeys(SERVICES, Mood.SOUND)

    def answer(self, service: str) -> tuple[int, bytes]:
        """Status and body. Raises what the driver raises when nobody answers."""
        mood = self.moods[service]
        if mood is Mood.AWAY:
            raise aiohttp.ClientConnectionError("connection refused")
        if mood is Mood.BROKEN:
            return self._random.choice([(500, b"oops"), (200, b"<html>"), (200, b"{}")])
        rates = dict(self.rates)
        if mood is Mood.ABSURD:
            rates["XAF"] *= 100
        elif mood is Mood.PARTIAL:
            del rates["KES"]
        else:
            self.served.append(Served(self._time.now(), rates))
        return 200, self._body(service, rates)

    def _body(self, service: str, rates: dict[str, Decimal]) -> bytes:
        now = self._time.now()
        if service == "open-er-api":
            answer: object = {
                "result": "success",
                "time_last_update_unix": int(now.timestamp()),
                "base_code": "EUR",
                "rates": rates,
            }
        else:
            answer = [
                {"date": f"{now:%Y-%m-%d}", "base": "EUR", "quote": name, "rate": rate}
                for name, rate in rates.items()
            ]
        return _encoder.encode(answer)


class FeedPort:
    """The web as one process reaches it: in the place of its `aiohttp.ClientSession`."""

    def __init__(self, feed: Feed, seat: Seat, turns: Turns) -> None:
        self._feed = feed
        self._seat = seat
        self._turns = turns

    @asynccontextmanager
    async def get(self, url: str, **_how: Any) -> AsyncIterator[_Answer]:
        service = "frankfurter" if "frankfurter" in url else "open-er-api"

        async def ask() -> tuple[int, bytes]:
            return self._feed.answer(service)

        status, body = await self._turns.take(self._seat, "rates", service, ask)
        content = asyncio.StreamReader()
        content.feed_data(body)
        content.feed_eof()
        yield _Answer(status, content)

    async def close(self) -> None:
        """There is no connection to close."""


@dataclass
class _Answer:
    status: int
    content: asyncio.StreamReader
