"""A database that can be used: the embedded one, kept up, or the operator's own; migrated."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import asyncpg

from kpay.database.embedded import PROGRAM_ROLE, EmbeddedServer, EmbeddedServerError
from kpay.database.grants import grant, make_role
from kpay.database.migrate import migrate
from kpay.database.pool import UNAVAILABLE, why
from kpay.settings import Settings

Say = Callable[[str], None]

_LOOK_EVERY_SECONDS = 1.0
_TRY_AGAIN_SECONDS = 2.0


@contextmanager
def ready_database(
    settings: Settings, say: Say | None = None, *, patience: float = 0
) -> Iterator[Settings]:
    """Settings whose database is there and at this program's schema, for as long as this lasts.

    `say` is told of each long stage as it begins. The operator's own database is awaited for
    `patience` seconds: a machine may start this program before it, or have its network later.
    """
    if settings.database_url is not None:
        owner = settings.migration_url or settings.database_url
        prepare = partial(_prepare, owner, settings.database_url, say)
        asyncio.run(_patiently(prepare, patience, say or (lambda _: None)))
        yield settings
        return
    with EmbeddedServer.attach(settings.home, progress=say) as server:
        asyncio.run(make_role(server.url, PROGRAM_ROLE, server.password))
        asyncio.run(_prepare(server.url, server.program_url, say))
        with _kept_up(server, say or (lambda _: None)):
            yield replace(settings, database_url=server.program_url, migration_url=server.url)


async def _prepare(owner_url: str, program_url: str, say: Say | None) -> None:
    """The schema as this program has it, and the rights of the role that it runs as."""
    ran = await migrate(owner_url, progress=say)
    await grant(owner_url, program_url, anew=ran > 0)


async def _patiently(
    attempt: Callable[[], Awaitable[None]],
    patience: float,
    say: Say,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Try again for so many seconds what a database that is not there stands in the way of."""
    until = now() + patience
    while True:
        try:
            await attempt()
        except asyncpg.ClientConfigurationError:
            # Waiting does not mend an address.
            raise
        except UNAVAILABLE as problem:
            left = until - now()
            if left <= 0:
                raise
            say(f"the database cannot be reached ({why(problem)}): tried for {left:.0f} s more")
            await sleep(min(left, _TRY_AGAIN_SECONDS))
        else:
            return


@contextmanager
def _kept_up(server: EmbeddedServer, say: Say) -> Iterator[None]:
    """Look after the embedded server: nobody else starts it again when it is killed."""
    ended = threading.Event()

    def watch() -> None:
        told = ""
        while not ended.wait(_LOOK_EVERY_SECONDS):
            try:
                server.revive(say)
                told = ""
            except EmbeddedServerError as problem:
                # A full disk stays full for a while: it is said once, and tried again.
                if str(problem) != told:
                    told = str(problem)
                    say(told)

    watcher = threading.Thread(target=watch, name="embedded-database", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
