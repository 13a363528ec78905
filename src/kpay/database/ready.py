"""A database that can be used: the embedded one, kept up, or the operator's own; migrated."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from kpay.database.embedded import EmbeddedServer, EmbeddedServerError
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
        asyncio.run(migrate(settings.database_url, progress=say))
        yield settings
        return
    with EmbeddedServer.attach(settings.home, progress=say) as server:
        asyncio.run(migrate(server.url, progress=say))
        with _kept_up(server, say or (lambda _: None)):
            yield replace(settings, database_url=server.url)


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
