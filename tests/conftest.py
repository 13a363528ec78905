"""What every test can ask for: the run's own PostgreSQL, a house on a database of the test's own.

The embedded server is started once for a run, migrated once into a template, and every test that
touches data gets a copy of it: no test sees another's rows. The clock is stepped by hand and so is
the worker; nothing sleeps to wait for time to pass.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest
import structlog

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.database.embedded import PROGRAM_ROLE, EmbeddedServer, as_program
from kpay.database.grants import grant, make_role
from kpay.database.migrate import migrate
from kpay.settings import Settings
from tests.client import Merchant
from tests.folders import temporary_in_memory

START = datetime(2026, 6, 23, 10, 0, 0, tzinfo=UTC)
_TEMPLATE = "template_of_tests"
_ORDER = {name: rank for rank, name in enumerate(("unit", "system", "simulator", "browser"))}
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """What is temporary goes into memory; processes that share the tests are told by the first."""
    if not hasattr(config, "workerinput"):
        temporary = ExitStack()
        temporary.enter_context(temporary_in_memory())
        config.add_cleanup(temporary.close)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`make test`: one process for each core that we may use, and never less than two.

    Half of what a test takes is another process's time or nobody's, so two do not wait for each
    other even on one core.
    """
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no database goes first: the sooner something is wrong, the sooner it is known.

    Then what has long files, so that none of those is left to one process at the end.
    """
    items.sort(key=lambda item: _ORDER.get(item.path.parent.name, len(_ORDER)))


@pytest.fixture(scope="session", autouse=True)
def quiet_logs() -> None:
    """Log lines are dropped, but still made: a test that captures them sees them all."""

    def drop(*_line: object) -> NoReturn:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """This process's own PostgreSQL, or one that is kept up for many short runs (`make mutants`).

    Not under pytest's own folder: another run's start resets that folder's mode, and with it the
    passage that a server of another user needs.
    """
    if kept := os.environ.get("KPAY_TEST_HOME"):
        with EmbeddedServer.attach(Path(kept)) as running:
            yield running
        return
    with (
        tempfile.TemporaryDirectory(prefix="kpay-server-", ignore_cleanup_errors=True) as home,
        EmbeddedServer.attach(Path(home)) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def template(server: EmbeddedServer) -> str:
    """A migrated database that every test's own is copied from, made by the first that wants it."""

    async def make() -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute("select pg_advisory_lock(1)")
        if not await connection.fetchval(
            "select exists (select from pg_database where datname = $1)", _TEMPLATE
        ):
            await connection.execute(f"create database {_TEMPLATE}")
            await make_role(server.url, PROGRAM_ROLE, server.password)
            url = _url(server, _TEMPLATE)
            await migrate(url)
            await grant(url, as_program(url), anew=True)
        await connection.close()

    asyncio.run(make())
    return _TEMPLATE


@asynccontextmanager
async def copied(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    """An empty migrated database, as its owner sees it, for as long as it is wanted."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"create database {name} template {template} strategy file_copy")
    yield _url(server, name)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
async def database_url(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    """An empty migrated database of this test's own, as its owner sees it."""
    async with copied(server, template) as url:
        yield url


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at the page's own day until it is moved."""
    return ManualClock(START)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """See `settings_of`."""
    return settings_of(database_url, tmp_path)


def settings_of(database_url: str, home: Path) -> Settings:
    """No delay in the sandbox, the bundled rates (the page's 1.0153), and no quota to use up."""
    return Settings(
        home=home,
        database_url=as_program(database_url),
        secret="a secret for tests that is long enough",
        sandbox_delay=timedelta(0),
        rate_limit=0,
        gateway_rate_limit=0,
        polling_rate_limit=0,
    )


@pytest.fixture
async def house(settings: Settings, clock: ManualClock) -> AsyncIterator[House]:
    """A house, open, whose worker is stepped by hand."""
    made = House(settings, clock=clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def merchant(house: House) -> Merchant:
    """A merchant with a fresh application in the sandbox."""
    return await Merchant.join(house)


def _url(server: EmbeddedServer, database: str) -> str:
    head, _, tail = server.url.rpartition("/kpay?")
    return f"{head}/{database}?{tail}"
