"""A database that can be used: the embedded one started, or the operator's own; migrated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from kpay.database.embedded import EmbeddedServer
from kpay.database.migrate import migrate
from kpay.settings import Settings

Say = Callable[[str], None]


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
        yield replace(settings, database_url=server.url)
