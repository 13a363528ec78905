"""The database's port: the pool of one process, every statement of which waits for its turn.

It takes the place of the driver's pool, below everything that the program has of its own, so that
what is simulated is what runs: `Database`, the poster and every statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kpay
from kpay.database.queries import Queries
from simulator.turns import Seat, Turns

_STATEMENTS = ("fetch", "fetchrow", "fetchval", "execute", "executemany")
# A batch of claims has no order of its own; where its rows lie in the table is up to the server.
_UNORDERED = frozenset({"instructions.claim", "webhooks.claim"})


def _names() -> dict[str, str]:
    """Every statement of the program by its text: `payouts.write`."""
    root = Path(kpay.__file__).parent
    return {
        sql: f"{path.parent.name}.{name}"
        for path in sorted(root.rglob("queries.sql"))
        for name, sql in Queries(path).items()
    }


_NAMES = _names()
# Of what is due at one moment the server takes any; here it takes what came first.
_DECIDED = {
    "webhooks.claim": (
        "order by deliveries.due_at\n",
        "order by deliveries.due_at, deliveries.id\n",
    ),
}


def name_of(sql: str) -> str:
    """What a statement is called in the transcript."""
    return _NAMES.get(sql) or " ".join(sql.split()[:4])


def know(sql: str, name: str) -> None:
    """A changed statement is called, and treated, as what it was made of."""
    _NAMES[sql] = name


class GatedPool:
    """The pool of a process: its real pool of so many connections behind the turnstile."""

    def __init__(self, pool: Any, size: int, seat: Seat, turns: Turns) -> None:
        self._pool = pool
        self._free = asyncio.Semaphore(size)
        self._seat = seat
        self._turns = turns

    async def acquire(self) -> GatedConnection:
        """A connection, which is had from the real pool with the first statement on it.

        Who waits for a free one waits here, and not within a turn, which would be everybody's.
        """
        await self._free.acquire()
        return GatedConnection(self._pool, self._seat, self._turns)

    async def release(self, connection: GatedConnection) -> None:
        try:
            if connection.real is not None:
                await self._pool.release(connection.real)
        finally:
            self._free.release()

    async def close(self) -> None:
        await self._pool.close()


class _Transaction:
    """A transaction of the real connection, from its first statement on."""

    def __init__(self) -> None:
        self._real: Any = None

    @property
    def is_open(self) -> bool:
        return self._real is not None

    async def begin(self, connection: Any) -> None:
        if self._real is None:
            real = connection.transaction()
            await real.start()
            self._real = real

    async def commit(self) -> None:
        real, self._real = self._real, None
        await real.commit()

    async def rollback(self) -> None:
        if self._real is not None:
            real, self._real = self._real, None
            await real.rollback()


class GatedConnection:
    """A connection each of whose statements, and commits, waits for its turn."""

    def __init__(self, pool: Any, seat: Seat, turns: Turns) -> None:
        self.real: Any = None
        self._begun: _Transaction | None = None
        self._pool = pool
        self._seat = seat
        self._turns = turns

    def is_closed(self) -> bool:
        return self.real is not None and bool(self.real.is_closed())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """It begins with its first statement; how it ends has a turn, as a statement has."""
        begun = self._begun = _Transaction()
        try:
            yield
            await self._end(begun, "commit")
        except BaseException:
            try:
                if self._seat.alive:
                    await self._end(begun, "rollback")
            finally:
                await begun.rollback()
            raise
        finally:
            self._begun = None
            self._turns.release(begun)

    async def _end(self, begun: _Transaction, how: str) -> None:
        if begun.is_open:
            await self._turns.take(self._seat, "database", how, getattr(begun, how), holder=begun)

    def __getattr__(self, verb: str) -> Any:
        if verb not in _STATEMENTS:
            raise AttributeError(verb)

        async def statement(sql: str, *arguments: object) -> Any:
            begun = self._begun

            async def call() -> Any:
                real = await self._have()
                if begun is not None:
                    await begun.begin(real)
                return await getattr(real, verb)(sql, *arguments)

            name = name_of(sql)
            if name in _DECIDED:
                sql = sql.replace(*_DECIDED[name])
            found = await self._turns.take(self._seat, "database", name, call, holder=begun)
            return sorted(found, key=lambda row: row["id"]) if name in _UNORDERED else found

        return statement

    async def _have(self) -> Any:
        if self.real is None:
            self.real = await self._pool.acquire()
        return self.real
