"""How often somebody may call: windows, quotas, and the share of one that a process holds.

The rule: a window begins with the first request that counts in it and lasts a minute; within it no
more requests pass than the quota has, whichever processes they come to. Processes take their shares
from one row (`lease_quotas`), one after the other, so the sum of what they took is never more than
the quota. Pure: no clock and no database; decision 11 says why it is as it is.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.refusals import Code, Refusal

WINDOW = timedelta(minutes=1)

# Clocks of two processes differ by a little, and none by a window. A window that ends later than
# this was begun before a clock was set back.
MOST_AHEAD = 2 * WINDOW

# A process takes at most this part of a quota at once: what it leaves unused, others cannot use.
_PARTS = 100
# And less when little is left, so that the last requests go to whoever has them.
_PARTS_OF_THE_REST = 16


class Bucket(StrEnum):
    """What is counted together. Each has a quota of its own for each subject."""

    KEY = "key"
    """Every request of a key pair, or with a token that was given for it."""
    GATEWAY = "gateway"
    """Hosted payments and withdrawals that a key pair opens."""
    POLLING = "polling"
    """How often one session of the hosted page asks how far it is."""


# A quota: of what, and whose. A subject is a key pair or a session of the hosted page.
Name: TypeAlias = tuple[Bucket, UUID]

_WORDS = {
    Bucket.KEY: "This key may make {limit:,} requests a minute",
    Bucket.GATEWAY: "This key may open {limit:,} hosted pages a minute",
    Bucket.POLLING: "This page may ask {limit:,} times a minute",
}


class Quota(msgspec.Struct, frozen=True):
    """What a request found: whether it passed, and what is left. `resets_in` is in seconds."""

    bucket: Bucket
    limit: int
    remaining: int
    resets_in: int
    passed: bool

    def check(self) -> None:
        """Refuses: rate_limited."""
        if not self.passed:
            raise Refusal(
                Code.RATE_LIMITED,
                f"{_WORDS[self.bucket].format(limit=self.limit)}: try again in {self.resets_in} "
                "seconds.",
                retry_after=self.resets_in,
            )


class Wanted(msgspec.Struct, frozen=True):
    """What a process asks for: so many of a quota that has `limit` a window."""

    book: Book
    name: Name
    limit: int
    asked: int


class Lease(msgspec.Struct, frozen=True):
    """What a process was given: `granted` in the window that ends then, and `rest` is left."""

    ends: datetime
    granted: int
    rest: int


def portion(waiting: int, limit: int, rest: int) -> int:
    """How many to ask for when so many wait, where `rest` was left when it was last seen."""
    return max(waiting, min(limit // _PARTS, rest // _PARTS_OF_THE_REST))


class Share:
    """What one process holds of one subject's window."""

    __slots__ = ("bucket", "ends", "left", "limit", "rest")

    def __init__(self, bucket: Bucket, limit: int, ends: datetime) -> None:
        self.bucket = bucket
        self.limit = limit
        self.ends = ends
        # Given to this process and not used yet; and what was left for everybody when it was given.
        self.left = 0
        self.rest = 0

    def take(self, now: datetime) -> Quota | None:
        """Let one request pass, or refuse it, where both need nobody else; None where it does."""
        if now >= self.ends:
            return None
        if self.left:
            self.left -= 1
            return self._quota(now, passed=True)
        if self.rest or self.ends - now > MOST_AHEAD:
            return None
        return self._quota(now, passed=False)

    def add(self, lease: Lease, limit: int) -> None:
        """Hold what was given; what was held of a window that is over lapses."""
        if lease.ends != self.ends:
            self.ends = lease.ends
            self.left = 0
        self.limit = limit
        self.left += lease.granted
        self.rest = lease.rest

    def settle(self, now: datetime) -> Quota:
        """For a request that waited for what was added: it passes if there is any left for it."""
        passed = self.left > 0
        self.left -= passed
        return self._quota(now, passed=passed)

    def _quota(self, now: datetime, *, passed: bool) -> Quota:
        seconds = math.ceil((self.ends - now).total_seconds())
        return Quota(self.bucket, self.limit, self.left + self.rest, max(seconds, 1), passed)
