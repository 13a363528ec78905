"""The pool of connections, and the one place that opens a transaction.

Promise 6: no transaction is open while we talk to anything outside. `outside_transaction` is the
assertion of it; every call to a rail or a rate source goes through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from kpay.core.book import Book, Environment

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

# What asyncpg and the operating system raise when the server is gone, restarting or out of room.
UNAVAILABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A connection used after the server said goodbye and before it hung up.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    # Another session has held a lock for longer than anybody of ours ever does.
    asyncpg.LockNotAvailableError,
)

# What a server that is there says to an address that is wrong: waiting does not mend it.
REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)

# How long a statement waits for a connection while all of the pool are in use.
_CONNECTION_WITHIN_SECONDS = 10.0

_SESSION = {
    "application_name": "kpay",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    # Every statement here looks rows up by their key. A plan is made once, often while its tables
    # are nearly empty, and kept: it must not be a scan that is slow when they have grown.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # And it is made once: planning a batch's statement again takes as long as carrying it out.
    "plan_cache_mode": "force_generic_plan",
}

_in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)


def book_of(row: Row, environment: str = "environment") -> Book:
    """Whose row it is, by its key. `environment` is the column that has it as text."""
    return Book(row["application_id"], Environment(row[environment]))


def why(problem: BaseException) -> str:
    """What went wrong, in words; a timeout has none of its own."""
    return str(problem) or type(problem).__name__


def outside_transaction() -> None:
    """Refuse to go on when this task holds a transaction open: a slow rail must not hold locks."""
    if _in_transaction.get():
        raise RuntimeError("a call to the outside was about to be made inside a transaction")


class Database:
    """A pool of connections to one PostgreSQL server. Made at once, opened with `open`."""

    def __init__(self, url: str, *, size: int) -> None:
        self.url = url
        self._size = size
        # Who has a connection or waits for one.
        self._borrowers = 0
        self._opened: asyncpg.Pool[asyncpg.Record] | None = None
        # Long lists and files never have more than half of the pool: payments go on beside them.
        self._searches = asyncio.Semaphore(max(1, size // 2))

    async def open(self) -> None:
        self._opened = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._size,
            timeout=10,
            command_timeout=30,
            max_inactive_connection_lifetime=0,
            server_settings=_SESSION,
            reset=_leave_as_it_is,
        )

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    @property
    def _pool(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._opened is None:
            raise RuntimeError("the database was used before it was opened")
        return self._opened

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        async with self.connection() as connection:
            return await connection.fetch(sql, *arguments)

    async def search(self, sql: str, *arguments: object) -> Sequence[Row]:
        """The rows of a statement with filters that may be null, planned for those that are not.

        One plan for all would have to do without the index of a filter that may not be there.
        """
        async with self._searching(), self.transaction() as connection:
            await connection.execute("set local plan_cache_mode = force_custom_plan")
            return await connection.fetch(sql, *arguments)

    async def read(self, sql: str, *arguments: object) -> Sequence[Row]:
        """The rows of a statement that reads many, beside which others have to go on."""
        async with self._searching(), self.connection() as connection:
            return await connection.fetch(sql, *arguments)

    @asynccontextmanager
    async def _searching(self) -> AsyncIterator[None]:
        """Leave to read much. TimeoutError when too many others do."""
        async with asyncio.timeout(_CONNECTION_WITHIN_SECONDS):
            await self._searches.acquire()
        try:
            yield
        finally:
            self._searches.release()

    async def fetchrow(self, sql: str, *arguments: object) -> Row | None:
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: object) -> str:
        async with self.connection() as connection:
            return await connection.execute(sql, *arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back on an error."""
        async with self.connection() as connection:
            token = _in_transaction.set(True)
            try:
                async with connection.transaction():
                    yield connection
            finally:
                _in_transaction.reset(token)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for statements outside a transaction. TimeoutError when none is free."""
        self._borrowers += 1
        try:
            if self._borrowers <= self._size:
                # One is free: there is nothing to wait for, and a timer would cost more than this.
                connection = await self._pool.acquire()
            else:
                async with asyncio.timeout(_CONNECTION_WITHIN_SECONDS):
                    connection = await self._pool.acquire()
            try:
                yield connection
            finally:
                await self._pool.release(connection)
        finally:
            self._borrowers -= 1


async def _leave_as_it_is(_connection: Connection) -> None:
    """Nothing here changes a session, so there is nothing to undo between two uses of it."""


async def connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside the pool: migrations, listening, the command line."""
    return await asyncpg.connect(url, timeout=10)
