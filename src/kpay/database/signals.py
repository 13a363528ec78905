"""Signals between processes: PostgreSQL's NOTIFY, heard on one connection of its own.

A signal only ever says "look again now": caches are dropped, the worker wakes. What it speaks of is
in the database, so a signal that is lost costs a second of waiting and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import structlog

from kpay.database.pool import UNAVAILABLE, connect

_RETRY_SECONDS = 1

log = structlog.get_logger(__name__)


class Signals:
    """Listens on channels and calls back, in this process, for as long as it runs."""

    def __init__(self, url: str, listeners: Mapping[str, Callable[[], None]]) -> None:
        self._url = url
        self._listeners = dict(listeners)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen; returns when the first connection listens."""
        self._connection = await self._listen()
        self._task = asyncio.create_task(self._keep_listening(self._connection), name="signals")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._connection is not None:
            await self._connection.close(timeout=1)
            self._connection = None

    async def _keep_listening(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        while True:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _, lost=lost: lost.set())
            # One that broke before this line has nobody left to tell.
            if not connection.is_closed():
                await lost.wait()
            self._connection = None
            self._connection = connection = await self._listen_again()

    async def _listen_again(self) -> asyncpg.Connection[asyncpg.Record]:
        while True:
            try:
                connection = await self._listen()
            except UNAVAILABLE as problem:
                log.warning("signals_lost", problem=repr(problem))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                # Whatever was said while nobody listened: look again at everything.
                for callback in self._listeners.values():
                    callback()
                return connection

    async def _listen(self) -> asyncpg.Connection[asyncpg.Record]:
        connection = await connect(self._url)
        for channel, callback in self._listeners.items():
            await connection.add_listener(channel, _heard(callback))
        return connection


def _heard(callback: Callable[[], None]) -> Callable[..., None]:
    def heard(_connection: Any, _pid: int, _channel: str, _payload: object) -> None:
        callback()

    return heard
