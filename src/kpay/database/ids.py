"""New identifiers, as the database driver's own UUID: made, hashed and spelled without Python.

It is a `uuid.UUID` to everything else. On the request path a handful of them are made and written
for each operation, at a tenth of what the standard library's takes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from uuid import UUID

from asyncpg.pgproto import pgproto

# Random numbers of 64 bits, fetched from the system so many at a time.
_DRAW = struct.Struct("512Q")
_LOW_62 = (1 << 62) - 1
_VERSION_7 = 0x7 << 76 | 0b10 << 62
_VERSION_4 = 0x4 << 76 | 0b10 << 62
# What a version leaves of the first half: 48 bits before it and twelve behind it.
_HIGH_60 = ((1 << 48) - 1 << 80) | 0xFFF << 64
# A clock that was set back so far is followed: lists of a period look for the time in identifiers.
_LONGEST_AHEAD_MS = 60_000


class SystemIds:
    """Identifiers from the house's clock, in milliseconds, and the system's random source."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._last_ms = 0
        self._counter = 0
        self._random: list[int] = []
        # A forked process must not go on with the numbers that its parent has fetched.
        os.register_at_fork(after_in_child=self._random.clear)

    def uuid(self) -> UUID:
        """A UUIDv7 (RFC 9562). Within one process each is greater than the one before, unless the
        clock was set back by more than a minute.
        """
        random = self._draw()
        now_ms = self._now_ms()
        if now_ms > self._last_ms or now_ms < self._last_ms - _LONGEST_AHEAD_MS:
            # The counter begins in the lower half, so that it seldom runs over.
            self._last_ms, self._counter = now_ms, random >> 53
        else:
            self._counter += 1
            if self._counter > 0xFFF:
                self._last_ms, self._counter = self._last_ms + 1, 0
        head = self._last_ms << 80 | self._counter << 64 | _VERSION_7
        return pgproto.UUID((head | random & _LOW_62).to_bytes(16))

    def reference(self) -> UUID:
        """A UUIDv4: nothing but chance, and its version."""
        drawn = self._draw() << 64
        return pgproto.UUID((drawn & _HIGH_60 | _VERSION_4 | self._draw() & _LOW_62).to_bytes(16))

    def _draw(self) -> int:
        if not self._random:
            self._random.extend(_DRAW.unpack(os.urandom(_DRAW.size)))
        return self._random.pop()
