"""Where rates come from: three public services and a file, behind one small protocol.

A source answers with a snapshot or raises Unusable with the reason; nothing else comes out of it,
whatever is on the other end of the line. An answer is bounded in time and in size. The table below
is the whole list of services; `file:PATH` is the fourth kind.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import aiohttp

from kpay.core.book import Environment
from kpay.rates.answers import (
    BASE,
    parse_file,
    parse_frankfurter,
    parse_open_er_api,
    parse_openexchangerates,
)
from kpay.rates.model import CURRENCIES, Snapshot, Unusable
from kpay.settings import Settings, SettingsError

FILE = "file:"
BUNDLED = FILE + str(Path(__file__).with_name("sandbox.json"))

# What serves an environment when the operator names nothing: the sandbox needs no network.
DEFAULTS: Mapping[Environment, tuple[str, ...]] = {
    Environment.TEST: (BUNDLED,),
    Environment.PRODUCTION: ("open-er-api", "frankfurter"),
}

ADDRESSES: Mapping[str, str] = {
    "open-er-api": "https://open.er-api.com",
    "frankfurter": "https://api.frankfurter.dev",
    "openexchangerates": "https://openexchangerates.org",
}
TIMEOUT_SECONDS = 5.0
LARGEST_ANSWER = 256 * 1024


class RatesConfigurationError(SettingsError):
    """The sources or margins that are configured cannot work; the message says which and why."""


class Source(Protocol):
    """One place to ask."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str:
        """Names the source in the cache; two whose answers must not be mixed have two keys."""

    @property
    def may_be_incomplete(self) -> bool:
        """Whether an answer that lacks currencies is better than none."""

    async def fetch(self, session: aiohttp.ClientSession, now: datetime) -> Snapshot: ...


@dataclass(frozen=True, slots=True)
class WebSource:
    """A service on the web, asked with one GET."""

    name: str
    url: str
    query: Mapping[str, str]
    parse: Callable[[bytes, datetime], Snapshot]
    timeout: float
    may_be_incomplete: bool = False

    @property
    def key(self) -> str:
        return self.name

    async def fetch(self, session: aiohttp.ClientSession, now: datetime) -> Snapshot:
        limit = aiohttp.ClientTimeout(total=self.timeout)
        try:
            async with session.get(
                self.url, params=self.query, timeout=limit, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise Unusable(f"it answered {answer.status}")
                body = await _bounded(answer.content)
        except TimeoutError:
            raise Unusable(f"it did not answer within {self.timeout:g} seconds") from None
        except OSError as problem:
            raise Unusable(str(problem)) from None
        except aiohttp.ClientError as problem:
            # The text of these may hold the address, and with it the key of an account.
            raise Unusable(type(problem).__name__) from None
        return self.parse(body, now)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of the operator's: an explicit statement, so it may be old or leave currencies out.

    It is read when the source is made, so that the key and the rates are of the same bytes.
    """

    path: str
    content: bytes | None
    problem: str = ""
    name: str = "file"
    may_be_incomplete: bool = True

    @classmethod
    def read(cls, path: str) -> FileSource:
        try:
            with Path(path).expanduser().open("rb") as file:
                return cls(path, file.read(LARGEST_ANSWER + 1))
        except (OSError, RuntimeError, ValueError) as problem:
            return cls(path, None, f"it cannot be read: {problem}")

    @property
    def key(self) -> str:
        digest = "unreadable" if self.content is None else hashlib.sha256(self.content).hexdigest()
        return f"{FILE}{self.path}#{digest}"

    async def fetch(self, session: aiohttp.ClientSession, now: datetime) -> Snapshot:  # noqa: ARG002
        if self.content is None:
            raise Unusable(self.problem)
        if len(self.content) > LARGEST_ANSWER:
            raise Unusable(f"it is larger than {LARGEST_ANSWER} bytes")
        return parse_file(self.content, now)


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    """All of an answer, or Unusable as soon as it is longer than any list of rates."""
    try:
        await stream.readexactly(LARGEST_ANSWER + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise Unusable(f"its answer is larger than {LARGEST_ANSWER} bytes")


@dataclass(frozen=True, slots=True)
class _Service:
    path: str
    parse: Callable[[bytes, datetime], Snapshot]
    query: Mapping[str, str]
    needs_app_id: bool = False


_SERVICES: Mapping[str, _Service] = {
    "open-er-api": _Service(f"/v6/latest/{BASE}", parse_open_er_api, {}),
    "frankfurter": _Service(
        "/v2/rates", parse_frankfurter, {"base": BASE, "quotes": ",".join(CURRENCIES)}
    ),
    # A free account gets one base only, the dollar, and asking for another is an error.
    "openexchangerates": _Service(
        "/api/latest.json", parse_openexchangerates, {}, needs_app_id=True
    ),
}


def configured(settings: Settings, environment: Environment) -> tuple[str, ...]:
    """The sources of an environment, in the order in which they are tried."""
    return DEFAULTS[environment] if settings.fx_sources is None else settings.fx_sources


def open_sources(
    names: Sequence[str], app_id: str | None, addresses: Mapping[str, str], timeout: float
) -> list[Source]:
    """The sources behind their names; files are read now."""
    sources: list[Source] = []
    for name in names:
        if name.startswith(FILE):
            sources.append(FileSource.read(name.removeprefix(FILE)))
            continue
        service = _service(name, app_id)
        query = {**service.query, "app_id": app_id or ""} if service.needs_app_id else service.query
        url = addresses[name] + service.path
        sources.append(WebSource(name, url, query, service.parse, timeout))
    return sources


def check_sources(settings: Settings) -> None:
    """Raise RatesConfigurationError for sources or margins that can never work."""
    if settings.fx_sources is not None and not settings.fx_sources:
        raise RatesConfigurationError("KPAY_FX_SOURCES names no source.")
    for name in settings.fx_sources or ():
        if name == FILE:
            raise RatesConfigurationError(f"KPAY_FX_SOURCES: {FILE} must be followed by a path.")
        if not name.startswith(FILE):
            _service(name, settings.fx_app_id)
    for pair in settings.fx_margins or {}:
        source, _, target = pair.partition("/")
        if pair != "*" and not (source in CURRENCIES and target in CURRENCIES):
            raise RatesConfigurationError(
                f"KPAY_FX_MARGINS: {pair} is not a pair of {', '.join(CURRENCIES)}."
            )


def _service(name: str, app_id: str | None) -> _Service:
    service = _SERVICES.get(name)
    if service is None:
        raise RatesConfigurationError(
            f"KPAY_FX_SOURCES: {name!r} is not a source; use {', '.join(_SERVICES)} or {FILE}PATH."
        )
    if service.needs_app_id and not app_id:
        raise RatesConfigurationError(f"KPAY_FX_SOURCES: {name} needs KPAY_FX_APP_ID.")
    return service
