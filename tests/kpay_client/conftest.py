"""A real server on the run's own PostgreSQL, a scripted one, and both kinds of client for each."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from kpay.access.flow import NewApplication
from kpay.app import House
from kpay.database.embedded import EmbeddedServer, as_program
from kpay.settings import Settings
from tests.kpay_client.script import Script, Time, client_of
from tests.system.program import Program, Server

_DATABASE = "test_of_the_client"
_SECRET = "a secret for tests that is long enough"
_names = itertools.count(1)


@pytest.fixture(params=["threads", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of client: each test that asks for one is run with both."""
    return str(request.param)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def client(kind: str, script: Script, time: Time) -> Iterator[Any]:
    """A client of the scripted server."""
    made = client_of(kind, httpx.MockTransport(script), time=time)
    yield made
    made.close()


@pytest.fixture(scope="session")
def real_database(server: EmbeddedServer, template: str) -> str:
    """One for the folder: every test has an application of its own in it."""

    async def make() -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute(
            f"create database {_DATABASE} template {template} strategy file_copy"
        )
        await connection.close()

    asyncio.run(make())
    head, _, tail = server.url.rpartition("/kpay?")
    return as_program(f"{head}/{_DATABASE}?{tail}")


@pytest.fixture(scope="session")
def kpay_server(real_database: str) -> Iterator[Server]:
    """The real program, serving on loopback, with a sandbox that answers at once."""
    with tempfile.TemporaryDirectory(prefix="kpay-client-", ignore_cleanup_errors=True) as home:
        program = Program(
            Path(home),
            {
                "KPAY_DATABASE_URL": real_database,
                "KPAY_SECRET": _SECRET,
                "KPAY_SANDBOX_DELAY": "0",
                "KPAY_LOG_LEVEL": "warning",
                # The tests are quicker than merchants are.
                "KPAY_RATE_LIMIT": "0",
            },
        )
        # One process, so that what it counts in memory is all that is counted.
        with program.serving("serve", "--workers", "1") as serving:
            yield serving


@pytest.fixture
def application(real_database: str, tmp_path: Path) -> NewApplication:
    """A fresh application, with the keys of its sandbox."""

    async def make() -> NewApplication:
        settings = Settings(home=tmp_path, database_url=real_database, secret=_SECRET)
        house = House(settings)
        await house.open()
        try:
            return await house.office.create_application("Acme", f"shop {next(_names)}")
        finally:
            await house.close()

    return asyncio.run(make())


Connect = Callable[..., Any]


@pytest.fixture
def connect(kind: str, kpay_server: Server, application: NewApplication) -> Iterator[Connect]:
    """Makes clients of the real server, over a transport of the test's if it has one."""
    made = []

    def make(transport: Any = None, **changes: Any) -> Any:
        pair = application.test
        given = {
            "base_url": kpay_server.url,
            "api_key": pair.api_key,
            "secret_key": pair.secret_key,
            **changes,
        }
        made.append(client_of(kind, transport, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()
