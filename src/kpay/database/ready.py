"""A database that can be used: the embedded one, kept up, or the operator's own; migrated."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from kpay.database.embedded import PROGRAM_ROLE, EmbeddedServer, EmbeddedServerError
from kpay.database.grants import grant, make_role
from kpay.database.migrate import migrate
from kpay.settings import Settings

Say = Callable[[str], None]

_LOOK_EVERY_SECONDS = 1.0


@contextmanager
def ready_database(settings: Settings, say: Say | None = None) -> Iterator[Settings]:
    """Settings whose database is there and at this program's schema, for as long as this lasts.

    `say` is told of each long stage as it begins.
    """
    if settings.database_url is not None:
        owner = settings.migration_url or settings.database_url
        asyncio.run(_prepare(owner, settings.database_url, say))
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
