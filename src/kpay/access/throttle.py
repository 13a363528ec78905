"""How often an address may be wrong: failed authentication is counted, and after a while not read.

A secret has 256 random bits, so guessing is hopeless with or without this. What it bounds is the
work that failures make (a look-up in the database for each key that is not ours) and the noise. It
must never be a way to shut a merchant out: docs/decisions/0010-… says why it is as it is.

Pure but for its counts, which live in this process: no I/O, and time comes in as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from kpay.core.refusals import Code, Refusal

WINDOW = timedelta(minutes=1)

# Failures within a window after which the next attempt is not read: of one key at one address, of
# one address whatever it sends, of one key wherever it is tried.
MOST_OF_PAIR = 10
MOST_OF_ADDRESS = 60
MOST_OF_KEY = 60

# What is kept of each kind at most. A name is an address or a key of ours and some 60 bytes long.
MOST_NAMES = 20_000
MOST_NAME_LENGTH = 64

K = TypeVar("K", bound=Hashable)


class Throttle:
    """Counts failures by address, by key and by both. One per process, as the gate that asks it.

    An `address` of None is nobody in particular, such as a local socket, and is never held up. A
    `key` is the public half of a pair as it was sent; it need not be one of ours.
    """

    def __init__(self) -> None:
        self._pairs: _Tally[tuple[str, str]] = _Tally()
        self._addresses: _Tally[str] = _Tally()
        self._keys: _Tally[str] = _Tally()
        self._right: dict[tuple[str, str], None] = {}

    def admit(self, address: str | None, key: str, now: datetime) -> None:
        """Refuse to read an attempt from where too many have failed. Refuses: too_many_failures.

        A key that was right from an address before is always read there: it may share the address
        with whoever fails.
        """
        if address is None or (address, key) in self._right or not self._addresses:
            return
        ends = self._held_until(address, key, now)
        if ends is not None:
            raise _too_many(ends, now)

    def right(self, address: str | None, key: str) -> None:
        """A key pair was right from an address."""
        if address is None or (pair := (address, key)) in self._right:
            return
        if len(self._right) >= MOST_NAMES:
            self._right.clear()
        self._right[pair] = None

    def wrong(self, address: str | None, key: str, now: datetime, refusal: Refusal) -> Refusal:
        """Count a failed attempt. Returns what to answer: `refusal`, or too_many_failures."""
        if address is None:
            return refusal
        ends = self._held_until(address, key, now)
        if ends is not None:
            return _too_many(ends, now)
        if len(key) > MOST_NAME_LENGTH:
            key = ""
        if key:
            self._pairs.add((address, key), now)
            self._keys.add(key, now)
        self._addresses.add(address, now)
        return refusal

    def forget(self, address: str | None, key: str) -> None:
        """A key that was right here is not in force any more."""
        if address is not None:
            self._right.pop((address, key), None)

    def _held_until(self, address: str, key: str, now: datetime) -> datetime | None:
        # At a key that is tried from everywhere, one failure is all that an address has.
        tried = self._keys.ends(key, MOST_OF_KEY, now) is not None
        ends = self._pairs.ends((address, key), 1 if tried else MOST_OF_PAIR, now)
        return ends or self._addresses.ends(address, MOST_OF_ADDRESS, now)


class _Window:
    """Failures since the first of them, until a time."""

    __slots__ = ("ends", "failures")

    def __init__(self, ends: datetime) -> None:
        self.ends = ends
        self.failures = 1


class _Tally(Generic[K]):
    """Failures by name. Of too many names the oldest is dropped, so no attack fills memory."""

    def __init__(self) -> None:
        self._windows: dict[K, _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def ends(self, name: K, most: int, now: datetime) -> datetime | None:
        """When a name that has failed so often is heard again; None when it is heard now."""
        window = self._windows.get(name)
        if window is None or window.failures < most or window.ends <= now:
            return None
        return window.ends

    def add(self, name: K, now: datetime) -> None:
        # Windows are equally long, so they end in the order in which they were opened.
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest].ends > now and len(self._windows) < MOST_NAMES:
                break
            del self._windows[oldest]
        window = self._windows.get(name)
        if window is None:
            self._windows[name] = _Window(now + WINDOW)
        else:
            window.failures += 1


def _too_many(ends: datetime, now: datetime) -> Refusal:
    return Refusal(
        Code.TOO_MANY_FAILURES,
        "Too many requests from your address had wrong credentials: correct them, and try again "
        "after Retry-After.",
        retry_after=math.ceil((ends - now).total_seconds()),
    )
