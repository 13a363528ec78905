"""How often a password or a code may be wrong. Counted in the database, for all processes together.

A password is no 256 random bits: what is bounded here is guessing, so unlike the throttle of key
pairs (docs/decisions/0010-…) a failure must not be forgotten by a restart or by another process.
And it must never be a way to shut a person out: a browser in which the person has signed in before
is known by a cookie and has a count of its own, which nobody else can use up. Whoever comes from a
strange browser may be made to wait.

An attempt is counted before it is looked at and taken back when it was right, so that many at the
same moment are not all looked at.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.access.model import Vault
from kpay.core.clock import Clock
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.people import store

_WRONG = frozenset({Code.WRONG_SIGN_IN, Code.WRONG_CODE})


class Scope(StrEnum):
    """Whose failures are counted together."""

    PAIR = "pair"
    ADDRESS = "address"
    EMAIL = "email"
    DEVICE = "device"
    CODE = "code"
    CODE_OF_DEVICE = "code_of_device"
    SESSION = "session"


class Bound(msgspec.Struct, frozen=True):
    """How many failures there may be within a time that begins with the first."""

    most: int
    within: timedelta


_QUARTER, _HOUR = timedelta(minutes=15), timedelta(hours=1)

BOUNDS: dict[Scope, Bound] = {
    # One email from one address.
    Scope.PAIR: Bound(10, _QUARTER),
    # An office, or a whole town behind its operator's one address.
    Scope.ADDRESS: Bound(100, _QUARTER),
    # One email from everywhere: some 1,200 guesses a day, of passwords of 12 characters and more.
    Scope.EMAIL: Bound(50, _HOUR),
    # The person's own browser.
    Scope.DEVICE: Bound(10, _QUARTER),
    # Codes of one person, which only who knows the password can try: three of a million are right.
    Scope.CODE: Bound(10, _HOUR),
    Scope.CODE_OF_DEVICE: Bound(10, _HOUR),
    # The password asked for once more, by whoever sits at a session that is open.
    Scope.SESSION: Bound(5, _QUARTER),
}


class Named(msgspec.Struct, frozen=True):
    """One count: its scope and whom it is about."""

    scope: Scope
    subject: str


def of_sign_in(email: str, address: str | None, device: str | None) -> list[Named]:
    """What an attempt at a password is counted under. An address of None is this machine itself."""
    if device is not None:
        return [Named(Scope.DEVICE, device)]
    named = [Named(Scope.EMAIL, email)]
    if address is not None:
        named += [Named(Scope.ADDRESS, address), Named(Scope.PAIR, f"{email} {address}")]
    return named


def of_code(person_id: UUID, device: str | None) -> list[Named]:
    """What an attempt at a code is counted under."""
    if device is not None:
        return [Named(Scope.CODE_OF_DEVICE, f"{person_id} {device}")]
    return [Named(Scope.CODE, str(person_id))]


def of_session(session_id: UUID) -> list[Named]:
    """What a password that is asked for once more is counted under."""
    return [Named(Scope.SESSION, str(session_id))]


class SignInThrottle:
    """Counts failures in the database. One per process, and all of them count together."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    @asynccontextmanager
    async def attempt(self, named: Sequence[Named]) -> AsyncIterator[None]:
        """An attempt, which is wrong when it refuses so. Refuses: too_many_failures, unread."""
        subjects = [(one.scope, self._vault.hash_secret(one.subject)) for one in named]
        now = self._clock.now()
        # An attempt that is not read counts nowhere: the transaction takes all of it back.
        async with self._database.transaction() as connection:
            ends = [now + BOUNDS[scope].within for scope, _ in subjects]
            for scope, failures, until in await store.count_failures(
                connection, now, subjects, ends
            ):
                if failures > BOUNDS[Scope(scope)].most:
                    raise _too_many(until, now)
        try:
            yield
        except Refusal as refusal:
            if refusal.code not in _WRONG:
                await store.uncount_failures(self._database, subjects)
            raise
        await store.uncount_failures(self._database, subjects)


def _too_many(ends: datetime, now: datetime) -> Refusal:
    return Refusal(
        Code.TOO_MANY_FAILURES,
        "This was wrong too often: try again after Retry-After, or from a browser in which you "
        "have signed in before.",
        retry_after=math.ceil((ends - now).total_seconds()),
    )
