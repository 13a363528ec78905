"""Passwords, hashed with Argon2id: slowly, on threads of their own, few at a time.

Each hash takes 64 MiB and some tens of milliseconds of every core, as RFC 9106 (4) recommends
where memory is not plentiful: more than OWASP's least (19 MiB, two passes). What is bounded here is
how much of that strangers can make this process do at once.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kpay.core.refusals import Code, Refusal
from kpay.people.strength import MOST_LENGTH, normal

T = TypeVar("T")

# At once in one process; those who wait behind them, and are told to come back when there are more.
MOST_AT_ONCE = 2
MOST_WAITING = 20


class Cost(msgspec.Struct, frozen=True):
    """What a hash costs: passes over so many KiB of memory, on so many lanes."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class Passwords:
    """Hashes and verifies. One per process; `close` lets its threads go."""

    def __init__(self, cost: Cost | None = None) -> None:
        cost = cost or Cost()
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        # Nobody's, and as much work: it is verified where there is no hash to verify against.
        salt, value = (
            base64.b64encode(os.urandom(size)).decode().rstrip("=")
            for size in (self._hasher.salt_len, self._hasher.hash_len)
        )
        costs = f"m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
        self._nobodys = f"$argon2id$v=19${costs}${salt}${value}"
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash of a password, with its own salt. Refuses: busy."""
        return await self._apart(partial(self._hasher.hash, normal(password)))

    async def verify(self, known: str | None, password: str) -> bool:
        """Whether a password is a hash's; without a hash it takes as long. Refuses: busy."""
        right = await self._apart(partial(self._verify, known or self._nobodys, password))
        return right and known is not None

    def is_dated(self, known: str) -> bool:
        """Whether a hash was made at another cost than is asked for now."""
        return self._hasher.check_needs_rehash(known)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _verify(self, known: str, password: str) -> bool:
        text = normal(password)
        if len(text) > MOST_LENGTH or not text.isprintable():
            # No password of anybody's, and work all the same.
            text = ""
        try:
            return self._hasher.verify(known, text)
        except (VerificationError, InvalidHashError):
            return False

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_AT_ONCE + MOST_WAITING:
            raise Refusal(Code.BUSY, "Too many people sign in at this moment: try again soon.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
