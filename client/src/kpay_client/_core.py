"""The one conversation that both clients hold: what is sent, when again, and what comes of it.

It is a generator that asks for what it cannot do itself (send, wait, hold the lock) and is told
what came of it, so it knows neither threads nor event loops. `client.py` has the two that drive it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

from kpay_client import _calls
from kpay_client._call import Call, Guard, for_application
from kpay_client._json import dumps
from kpay_client._outcomes import (
    Answered,
    Failed,
    Unanswered,
    http_date,
    is_replayed_refusal,
    judge,
    unknown,
)
from kpay_client.errors import KPayError, Unauthorized, Unavailable, UnknownOutcome

T = TypeVar("T")

_LASTS = re.compile(r"(\d+)\s*([smhd]?)\Z", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
# A token is renewed this long before its end, or at nine tenths of a short life.
_RENEWED_BEFORE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a call may take and how often it is tried. Seconds.

    `timeout` is for each step of one try (connecting, sending, waiting for the answer). No try is
    begun after `deadline` seconds, nor a wait that would go beyond. Between tries there is a pause
    of `first_pause`, doubled each time up to `longest_pause`, of which a random half is taken off;
    where the server says how long to wait, that long.
    """

    timeout: float = 15.0
    deadline: float = 60.0
    tries: int = 5
    first_pause: float = 0.5
    longest_pause: float = 8.0


@dataclass(frozen=True)
class Send:
    """To the driver: send this. It is told an `Answered` or an `Unanswered`."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None
    timeout: float


@dataclass(frozen=True)
class Wait:
    """To the driver: let this many seconds pass."""

    seconds: float


@dataclass(frozen=True)
class Alone:
    """To the driver: hold this while no other call does. It is told the text, or the error."""

    talk: Talk[str]


Step: TypeAlias = Send | Wait | Alone
Talk: TypeAlias = Generator[Step, Any, T]


@dataclass
class _Tries(Generic[T]):
    """What is known so far of one call."""

    began: float
    deadline: float
    number: int = 0
    arrived: bool = False
    token: str | None = None
    renewed: bool = False


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    renew_at: float | None


@dataclass(frozen=True)
class Credentials:
    """The key pair, which shows itself nowhere."""

    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("api_key", "secret_key"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.isascii() or not value.isprintable():
                raise ValueError(f"{name} is not a key: look at the configuration")
            if not value.strip():
                raise ValueError(f"{name} is empty: look at the configuration")

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.api_key, "X-Secret-Key": self.secret_key}


class Core:
    """The conversations of one key pair, and what it remembers: a token, and whose the keys are.

    `clock` is monotonic seconds, `now` the wall clock with its zone, `draw` a number in [0, 1).
    """

    def __init__(
        self,
        credentials: Credentials,
        patience: Patience,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._credentials = credentials
        self._patience = patience
        self._clock = clock
        self._now = now
        self._draw = draw
        self._token: _Token | None = None
        self._application_id: str | None = None

    def talk(self, call: Call[T], deadline: float | None = None) -> Talk[T]:
        """Make a call. Raises KPayError."""
        began = self._clock()
        latest = began + self._patience.deadline
        tries = _Tries[T](began, latest if deadline is None else min(latest, deadline))
        write = call.write
        try:
            return (yield from self._until_answered(call, tries))
        except KPayError as problem:
            external_id = None if write is None else write.external_id
            if not tries.arrived or isinstance(problem, UnknownOutcome):
                problem.external_id = problem.external_id or external_id
                raise
            raise unknown(problem, external_id) from problem

    def _until_answered(self, call: Call[T], tries: _Tries[T]) -> Talk[T]:
        if call.own_application:
            application_id = self._application_id or (
                yield from _alone(self._own_application(tries.deadline))
            )
            call = for_application(call, application_id)
        while True:
            reply = yield from self._try(call, tries)
            outcome = judge(call, reply, self._now)
            if not isinstance(outcome, Failed):
                return outcome.value
            if self._may_renew(call, outcome.error, tries):
                continue
            write = call.write
            if write is not None:
                if is_replayed_refusal(reply):
                    # What the first try was told, and so what became of this call.
                    tries.arrived = False
                    raise outcome.error
                if tries.arrived and outcome.error.code == write.refused_as:
                    return (yield from self._adopt(call, tries, reply, outcome.error))
                tries.arrived |= outcome.arrived
            if not outcome.passing or tries.number >= self._patience.tries:
                raise outcome.error
            pause = self._pause(tries.number, outcome.error.retry_after)
            if self._clock() + pause >= tries.deadline:
                raise outcome.error
            yield Wait(pause)

    def _try(self, call: Call[T], tries: _Tries[T]) -> Talk[Answered | Unanswered]:
        """Send it once."""
        headers = {"Accept": "application/json"}
        content = None
        if call.guard is Guard.KEYS:
            headers |= self._credentials.headers
        elif call.guard is Guard.TOKEN:
            token = self._kept_token() or (yield from _alone(self._fresh_token(tries.deadline)))
            headers["Authorization"] = f"Bearer {token}"
            tries.token = token
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            content = dumps(call.body)
        if call.write is not None:
            headers["Idempotency-Key"] = call.write.idempotency_key
        left = tries.deadline - self._clock()
        if left <= 0:
            raise Unavailable("there was no time left to send this request", code="no_time")
        tries.number += 1
        reply: Answered | Unanswered = yield Send(
            call.method, call.address, headers, content, min(self._patience.timeout, left)
        )
        return reply

    def _adopt(
        self, call: Call[T], tries: _Tries[T], reply: Answered | Unanswered, refusal: KPayError
    ) -> Talk[T]:
        """What exists already, as the answer, if an earlier try of this call made it.

        Raises the refusal where it is another's work: then this call has made nothing.
        """
        write = call.write
        existing = None if write is None else refusal.existing_id or write.known_id
        if write is None or existing is None:
            raise refusal
        try:
            found = yield from self.talk(write.look(existing), tries.deadline)
        except KPayError as problem:
            problem.existing_id = existing
            raise
        if write.is_own(found, self._server_began(tries, reply)):
            return found
        tries.arrived = False
        raise refusal

    def _server_began(self, tries: _Tries[T], reply: Answered | Unanswered) -> datetime:
        """When this call began, by the server's clock: ours may be wrong by hours."""
        told = reply.headers.get("date") if isinstance(reply, Answered) else None
        server_now = (http_date(told) if told else None) or self._now()
        return server_now - timedelta(seconds=self._clock() - tries.began)

    def _pause(self, number: int, retry_after: float | None) -> float:
        patience = self._patience
        if retry_after is not None:
            # Not all at the very moment that all were told.
            return retry_after + patience.first_pause * self._draw()
        longest = min(patience.longest_pause, patience.first_pause * 2.0 ** (number - 1))
        return longest * (1 - self._draw() / 2)

    # Tokens

    def _kept_token(self) -> str | None:
        token = self._token
        if token is None or (token.renew_at is not None and self._clock() >= token.renew_at):
            return None
        return token.text

    def _fresh_token(self, deadline: float) -> Talk[str]:
        """A token, asked for unless another call has just done so."""
        if (kept := self._kept_token()) is not None:
            return kept
        asked = self._clock()
        given = yield from self.talk(_calls.token(), deadline)
        lasts = _seconds(given.expires_in)
        renew_at = None
        if lasts is not None:
            renew_at = asked + lasts - min(_RENEWED_BEFORE_SECONDS, lasts / 10)
        self._token = _Token(given.access_token, renew_at)
        return given.access_token

    def _may_renew(self, call: Call[T], error: KPayError, tries: _Tries[T]) -> bool:
        """Forget a token that the server does not take, once in a call."""
        if call.guard is not Guard.TOKEN or tries.renewed or not isinstance(error, Unauthorized):
            return False
        tries.renewed = True
        if self._token is not None and self._token.text == tries.token:
            self._token = None
        return True

    def _own_application(self, deadline: float) -> Talk[str]:
        if self._application_id is None:
            whose = yield from self.talk(_calls.me(), deadline)
            self._application_id = whose.application.id
        return self._application_id


def _alone(talk: Talk[str]) -> Talk[str]:
    told: str | KPayError = yield Alone(talk)
    if isinstance(told, KPayError):
        raise told
    return told


def _seconds(lasts: str) -> float | None:
    """The seconds of such as 30m, or None for what is written otherwise."""
    found = _LASTS.match(lasts)
    return None if found is None else float(int(found[1]) * _UNITS[found[2]])


def check_base_url(base_url: str) -> str:
    """The server's address without a slash at its end. Raises ValueError for what is none."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url must be such as https://pay.example.com")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("base_url is an address alone: no query, no fragment, no user")
    return base_url.rstrip("/")
