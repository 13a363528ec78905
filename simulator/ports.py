"""The database's port: the pool of one process, every statement of which waits for its turn.

It takes the place of the driver's pool, below everything that the program has of its own, so that
what is simulated is what runs: `Database`, the poster and every statement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kpay
from kpay.database.queries import Queries
from simulator.turns import Seat, Turns

_STATEMENTS = ("fetch", "fetchrow", "fetchval", "execute", "executemany")
# A batch of claims has no order of its own; where its rows lie in the table is up to the server.
_UNORDERED = "instructions.claim"


def _names() -> dict[str, str]:
    """Every statement of the program by its text: `payouts.write`."""
    root = Path(kpay.__file__).parent
    return {
        sql: f"{path.parent.name}.{name}"
        for path in sorted(root.rglob("queries.sql"))
        for name, sql in Queries(path).items()
    }


_NAMES = _names()


def name_of(sql: str) -> str:
    """What a statement is called in the transcript."""
    return _NAMES.get(sql) or " ".join(sql.split()[:4])


class GatedPool:
    """The pool of a process: its real pool behind the turnstile."""

    def __init__(self, pool: Any, seat: Seat, turns: Turns) -> None:
        self._pool = pool
        self._seat = seat
        self._turns = turns

    async def fetch(self, sql: str, *arguments: object) -> Any:
        rows = await self._call("fetch", sql, arguments)
        return sorted(rows, key=lambda row: row["id"]) if name_of(sql) == _UNORDERED else rows

    async def fetchrow(self, sql: str, *arguments: object) -> Any:
        return await self._call("fetchrow", sql, arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        return await self._call("fetchval", sql, arguments)

    async def execute(self, sql: str, *arguments: object) -> Any:
        return await self._call("execute", sql, arguments)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[GatedConnection]:
        """A connection; to get one is a call by itself, and a statement is another."""
        context = self._pool.acquire()
        got: list[Any] = []

        async def get() -> None:
            got.append(await context.__aenter__())

        try:
            await self._turns.take(self._seat, "database", "connection", get)
            yield GatedConnection(got[0], self._seat, self._turns)
        finally:
            # Also when it was had and nobody lived to know: the pool's own count must be right.
            if got:
                await context.__aexit__(None, None, None)

    async def close(self) -> None:
        await self._pool.close()

    async def _call(self, verb: str, sql: str, arguments: tuple[object, ...]) -> Any:
        return await self._turns.take(
            self._seat,
            "database",
            name_of(sql),
            lambda: getattr(self._pool, verb)(sql, *arguments),
        )


class GatedConnection:
    """A connection each of whose statements waits for its turn."""

    def __init__(self, connection: Any, seat: Seat, turns: Turns) -> None:
        self._connection = connection
        self._seat = seat
        self._turns = turns

    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    def __getattr__(self, verb: str) -> Any:
        if verb not in _STATEMENTS:
            return getattr(self._connection, verb)

        async def statement(sql: str, *arguments: object) -> Any:
            return await self._turns.take(
                self._seat,
                "database",
                name_of(sql),
                lambda: getattr(self._connection, verb)(sql, *arguments),
            )

        return statement
