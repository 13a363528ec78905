"""A process that dies or stands still at a point that a test chooses: around any statement.

It takes the place of the driver's pool, so everything above it is what runs in service. What is
dead does nothing more: its transaction is rolled back, as by a server that lost the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from kpay.app import House

_STATEMENTS = ("fetch", "fetchrow", "fetchval", "execute")


class Died(Exception):
    """Nobody hears of it: the process is not there any more."""


class CutOff(ConnectionError):
    """The process lives, and the database cannot be reached."""


class Fate:
    """Where a house ends, or stops for a while: at its so-manyth point from now on.

    Each statement and each commit has two points, one before it and one after it.
    """

    def __init__(self, house: House) -> None:
        self._at: int | None = None
        self._stands_still = False
        self._end: type[Exception] = Died
        self.points = 0
        self._dead = False
        self._goes_on = asyncio.Event()
        self.stopped = asyncio.Event()
        database: Any = house.database
        database._opened = _Pool(database._opened, self)

    @property
    def met(self) -> bool:
        """Whether the point was reached."""
        return self._dead or self.stopped.is_set()

    def dies_at(self, point: int) -> None:
        self._begin(point, Died)

    def is_cut_off_at(self, point: int) -> None:
        self._begin(point, CutOff)

    def stops_at(self, point: int) -> None:
        self._begin(point, None)

    def goes_on(self) -> None:
        self._at = None
        self._goes_on.set()

    def lives(self) -> None:
        """The process was started again. `points` counts from here."""
        self._at, self.points, self._dead = None, 0, False

    def _begin(self, point: int, end: type[Exception] | None) -> None:
        self._at, self.points, self._dead = point, 0, False
        self._end, self._stands_still = end or Died, end is None
        self._goes_on.clear()
        self.stopped.clear()

    async def passes(self) -> None:
        """One point. Raises Died, CutOff."""
        here, self.points = self.points, self.points + 1
        if here == self._at:
            if self._stands_still:
                self.stopped.set()
                await self._goes_on.wait()
            else:
                self._dead = True
        if self._dead:
            raise self._end

    async def around(self, act: Callable[[], Awaitable[Any]]) -> Any:
        await self.passes()
        done = await act()
        await self.passes()
        return done


class _Pool:
    def __init__(self, pool: Any, fate: Fate) -> None:
        self._pool = pool
        self._fate = fate

    async def acquire(self) -> _Connection:
        return _Connection(await self._pool.acquire(), self._fate)

    async def release(self, connection: _Connection) -> None:
        await self._pool.release(connection.real)

    async def close(self) -> None:
        await self._pool.close()


class _Connection:
    def __init__(self, real: Any, fate: Fate) -> None:
        self.real = real
        self._fate = fate

    def is_closed(self) -> bool:
        return bool(self.real.is_closed())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        transaction = self.real.transaction()
        await transaction.start()
        try:
            yield
            await self._fate.passes()
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()
        await self._fate.passes()

    def __getattr__(self, verb: str) -> Any:
        if verb not in _STATEMENTS:
            raise AttributeError(verb)

        async def statement(sql: str, *arguments: object) -> Any:
            return await self._fate.around(lambda: getattr(self.real, verb)(sql, *arguments))

        return statement
