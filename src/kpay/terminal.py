"""The terminal: how commands speak to a person or a program, and how they open the house.

Words for a person go through rich: colour where somebody looks, plain text where it is piped.
Progress and trouble go to standard error, so that what is asked for can be piped alone.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar
from uuid import UUID

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from kpay.core.refusals import Refusal
from kpay.settings import Settings, SettingsError

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.audit.model import Actor

T = TypeVar("T")

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program.")]
ApplicationId = Annotated[UUID, Parameter(help="The application's id: see kpay app list.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def told() -> Iterator[None]:
    """Tell what is wrong in one sentence, with no trace, and exit 2."""
    from kpay.access.flow import AccessError
    from kpay.backup import BackupError
    from kpay.database.embedded import EmbeddedServerError
    from kpay.database.migrate import MigrationError
    from kpay.database.pool import REFUSED, UNAVAILABLE, why
    from kpay.web.server import ServerError

    known = (
        SettingsError,
        AccessError,
        BackupError,
        EmbeddedServerError,
        MigrationError,
        ServerError,
        Refusal,
    )
    try:
        yield
    except known as problem:
        fail(str(problem))
    except UNAVAILABLE as problem:
        fail(f"The database cannot be reached: {why(problem)}")
    except REFUSED as problem:
        fail(f"The database does not let this program in: {problem}. Look at KPAY_DATABASE_URL.")


@contextmanager
def ended_by_a_signal() -> Iterator[None]:
    """Be ended by a supervisor as by a person: what was begun is cleared away, and it exits 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        err.print("Stopped before the end.")
        sys.exit(130)


def fail(sentence: str) -> NoReturn:
    err.quiet = False
    err.print(sentence, style="red", markup=False, soft_wrap=True)
    sys.exit(2)


@contextmanager
def ready_settings(*, patience: float = 0) -> Iterator[Settings]:
    """The settings with a database that is up and migrated; each long stage is told.

    A service has the `patience` to wait for its database so many seconds; a person who has asked
    something has not.
    """
    from kpay.database.ready import ready_database

    with told(), ready_database(Settings.from_env(), say=stage, patience=patience) as settings:
        yield settings


def stage(words: str) -> None:
    err.print(f"… {words}", style="dim", markup=False, soft_wrap=True)


def with_house(act: Callable[[House], Awaitable[T]]) -> T:
    """Do one thing in a house that is opened for it."""

    async def run(settings: Settings) -> T:
        async with open_house(settings) as house:
            return await act(house)

    with ready_settings() as settings:
        return asyncio.run(run(settings))


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    from kpay.app import House

    house = House(settings)
    await house.open()
    try:
        yield house
    finally:
        await house.close()


def typed_by(command: str) -> Actor:
    """Who typed a command, for the audit log."""
    from kpay.audit.model import Actor

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        user = "somebody"
    return Actor(command=f"kpay {command}, by {user}")


def new_table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def new_progress() -> Progress:
    """How far something long has come; gone when it is done, and not shown in a pipe."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def print_json(value: object) -> None:
    # Not through the console, which would wrap a long line.
    print(json.dumps(value))
