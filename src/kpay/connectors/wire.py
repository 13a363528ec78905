"""One request to a rail: bounded in time and in size, no redirects, and nothing sent twice.

Whatever goes wrong once a request may have left is `NoAnswer`: what it came to is not known then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
from yarl import URL

from kpay.database.pool import outside_transaction

# Shorter than an attempt is given, so that what is recorded is why, and not only that it was late.
WITHIN_SECONDS = 25.0
_CONNECT_WITHIN_SECONDS = 10.0
# A file comes in parts: each within the usual time, and all of them within this.
_FILE_WITHIN_SECONDS = 1_800.0
# No answer about one operation is longer; a list of an account's operators may be.
LARGEST_ANSWER = 2 * 1024 * 1024
_MOST_KEPT = 2_000
_PART = 64 * 1024
_NOT_THERE = (403, 404, 410)


class NoAnswer(Exception):
    """Nothing came back, or nothing that could be read to its end; its text says what happened."""


class NoFile(NoAnswer):
    """A file is not where it was said to be, or is not there any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rail answered: its HTTP status and the bytes of its body."""

    status: int
    body: bytes

    def read(self) -> Any:
        """The body as JSON, numbers exact; None where it is no JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None

    def read_object(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        found = self.read()
        return found if isinstance(found, dict) else {}

    @property
    def evidence(self) -> dict[str, Any]:
        """The answer as it is kept with an attempt: an object as it is, anything else as text."""
        found: Any = self.read_object()
        if not found or len(self.body) > _MOST_KEPT:
            found = self.body[:_MOST_KEPT].decode("utf-8", "replace")
        return {"http": self.status, "answer": found}


class Wire:
    """The connections to one rail, opened when they are first needed and used again."""

    def __init__(self, within: float = WITHIN_SECONDS) -> None:
        self.within = within
        self._opened: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """The answer, whatever its status. Raises NoAnswer."""
        outside_transaction()
        try:
            async with (
                asyncio.timeout(self.within),
                self._session().request(
                    method,
                    # As it was written, to the letter: a signature may cover it.
                    URL(url, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                return Answer(answer.status, await _bounded(answer.content))
        except TimeoutError:
            raise NoAnswer(f"no answer within {self.within:g} seconds") from None
        except (aiohttp.ClientError, OSError) as problem:
            # The text of these may hold what was sent; what kind it is says enough.
            raise NoAnswer(type(problem).__name__) from None

    async def download(self, url: str, largest: int) -> AsyncGenerator[bytes, None]:
        """A file in parts, as it comes and never whole in memory. Nothing of ours is sent along.

        Raises NoFile where it is gone, and NoAnswer for any other trouble, also after some parts.
        """
        outside_transaction()
        within = aiohttp.ClientTimeout(
            total=_FILE_WITHIN_SECONDS, connect=_CONNECT_WITHIN_SECONDS, sock_read=self.within
        )
        got = 0
        try:
            async with self._session().get(
                URL(url, encoded=True),
                headers={"Accept-Encoding": "identity"},
                allow_redirects=False,
                auto_decompress=False,
                timeout=within,
            ) as answer:
                if answer.status in _NOT_THERE:
                    raise NoFile(f"the file is not there: {answer.status}")
                if answer.status != 200:
                    raise NoAnswer(f"a file was wanted, and {answer.status} came")
                async for part in answer.content.iter_chunked(_PART):
                    got += len(part)
                    if got > largest:
                        raise NoAnswer(f"a file of more than {largest:,} bytes")
                    yield part
        except TimeoutError:
            raise NoAnswer("the file did not come in time") from None
        except (aiohttp.ClientError, OSError) as problem:
            raise NoAnswer(type(problem).__name__) from None

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                # How many are under way is bounded where they are begun: what waited for a free one
                # here would run out of time before it had been sent.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_WITHIN_SECONDS),
                headers={"User-Agent": "kpay"},
            )
        return self._opened


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    try:
        await stream.readexactly(LARGEST_ANSWER + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise NoAnswer(f"an answer of more than {LARGEST_ANSWER:,} bytes")
