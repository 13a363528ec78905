"""A second database, for what is run twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from kpay.database.embedded import EmbeddedServer


@pytest.fixture
async def second_url(
    server: EmbeddedServer, template: str, database_url: str
) -> AsyncIterator[str]:
    """Another empty migrated database, like `database_url`."""
    parts = urlsplit(database_url)
    name = parts.path.removeprefix("/")
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"create database {name}_b template {template} strategy file_copy")
    yield parts._replace(path=f"/{name}_b").geturl()
    await connection.execute(f"drop database {name}_b with (force)")
    await connection.close()
