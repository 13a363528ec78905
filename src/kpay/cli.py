"""The `kpay` command: everything an operator does, in words that `--help` explains.

Heavy parts are imported by the commands that need them, so that a small question is answered fast.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from kpay import __version__
from kpay.access_commands import applications, companies, keys, token_keys
from kpay.contradiction_commands import contradictions
from kpay.person_commands import persons
from kpay.rail_commands import rails
from kpay.rail_simulator_command import rail_simulator
from kpay.reconciliation_commands import reconciliation
from kpay.settings import Settings
from kpay.terminal import (
    ApplicationId,
    AsJson,
    ended_by_a_signal,
    err,
    open_house,
    out,
    ready_settings,
    stage,
    told,
    with_house,
)
from kpay.webhook_commands import webhooks

if TYPE_CHECKING:
    from kpay.app import House

app = App(
    name="kpay",
    version=__version__,
    help="Collect mobile money in many countries, move it across borders, pay it out anywhere.",
)
sandbox = App(name="sandbox", help="The test environment, where no real money moves.")
wallets = App(name="wallet", help="What an application holds in a country.")
for group in (
    companies,
    applications,
    keys,
    token_keys,
    sandbox,
    wallets,
    webhooks,
    rails,
    persons,
    contradictions,
    reconciliation,
):
    app.command(group)
app.command(rail_simulator, name="rail-simulator")

# How long a service waits for a database that its machine starts at the same time.
_PATIENCE_SECONDS = 60
_FILES = 65_536

Host = Annotated[str, Parameter(help="The address to listen on.")]
Port = Annotated[int, Parameter(help="The port to listen on.")]
Workers = Annotated[int, Parameter(help="Server processes; one for each core is plenty.")]


@app.command
def serve(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    workers: Workers = 1,
    quiet: Annotated[bool, Parameter(negative="", help="Say nothing but what is wrong.")] = False,
) -> None:
    """Serve the API, drive what is due at the rails, send webhooks, until SIGTERM or Ctrl-C."""
    _serve(host, port, workers, drive_work=True, quiet=quiet)


@app.command
def api(*, host: Host = "127.0.0.1", port: Port = 8080, workers: Workers = 1) -> None:
    """Serve the API alone; `kpay worker` drives payments, payouts and refunds elsewhere."""
    _serve(host, port, workers, drive_work=False)


@app.command
def worker() -> None:
    """Drive payments, payouts and refunds and send webhooks, without serving the API."""
    from kpay.web.logs import configure_logs

    with told():
        _check_outside()
    _have_more_files()
    with ready_settings(patience=_PATIENCE_SECONDS) as settings:
        configure_logs(settings.log_level)
        asyncio.run(_drive(settings))


@app.command
def verify(
    *,
    as_json: AsJson = False,
    against: Annotated[
        Path | None, Parameter(help="An earlier answer of --json, kept on another machine.")
    ] = None,
) -> None:
    """Recompute every balance from the postings and check every promise that data can show.

    Exits 1 when anything differs. The answer of --json says where each journal ends: kept where
    nobody can change it who can change the database, it shows later that nothing was changed since.
    """
    from kpay.report import report_on

    with ready_settings() as settings:
        broken = asyncio.run(report_on(settings.database_url or "", against, as_json=as_json))
    sys.exit(1 if broken else 0)


@app.command
def backup(
    folder: Annotated[Path, Parameter(help="A new or empty folder for it.")],
) -> None:
    """Copy everything that KPAY_HOME holds into a new folder, while the server serves.

    The folder is there when it is whole and was checked, and not before. It holds the secret: keep
    it as safe as KPAY_HOME itself.
    """
    from kpay.backup import back_up

    with told(), ended_by_a_signal():
        made = back_up(Settings.from_env(), folder, say=stage)
    out.print(
        f"{folder} holds everything that was answered before {made.begun:%Y-%m-%d %H:%M:%SZ}."
    )
    if made.secret_given:
        out.print("The secret is not in it: keep what KPAY_SECRET holds in another safe place.")


@app.command
def restore(
    folder: Annotated[Path, Parameter(help="What kpay backup made.")],
) -> None:
    """Make a backup the database of KPAY_HOME, which has none; it is checked before.

    Read docs/backup.md first: operators remember what was done after the backup began.
    """
    from kpay.backup import restore as put_back

    with told(), ended_by_a_signal():
        settings = Settings.from_env()
        made = put_back(settings, folder, say=stage)
    out.print(
        f"{settings.home} holds all that was answered before {made.begun:%Y-%m-%d %H:%M:%SZ}. "
        "Check it with kpay verify, compare it with the operators' statements, then kpay serve."
    )
    if made.secret_given and settings.secret is None:
        out.print("The secret was not in the backup: set KPAY_SECRET to what it was.")


@app.command
def demo(
    *,
    once: Annotated[bool, Parameter(negative="", help="Exit after the scenarios.")] = False,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    workers: Workers = 1,
) -> None:
    """Serve, play the three cross-border scenarios over HTTP, and keep serving.

    With --once it exits after them, 1 when any figure is off.
    """
    from kpay.demo import play

    with told():
        code = play(
            Settings.from_env(), host=host, port=port, workers=workers, once=once, say=stage
        )
    sys.exit(code)


@sandbox.command
def finish(
    identifier: Annotated[str, Parameter(help="A payment's, withdrawal's or refund's id.")],
    outcome: Annotated[Literal["COMPLETED", "FAILED"], Parameter(help="How it ends.")],
    *,
    application: ApplicationId,
    failure_code: Annotated[str, Parameter(help="Why it failed.")] = "UNSPECIFIED_FAILURE",
) -> None:
    """Decide how a sandbox payment, withdrawal or refund that stays PROCESSING ends."""

    async def decide(house: House) -> None:
        await house.finish_in_sandbox(
            application, identifier, None if outcome == "COMPLETED" else failure_code
        )

    with_house(decide)
    out.print("Decided: a running worker settles it within a second.")


@wallets.command(name="statement")
def wallet_statement(
    application: ApplicationId,
    country: Annotated[str, Parameter(help="The wallet's country, such as CMR.")],
    *,
    since: Annotated[
        str | None, Parameter(name="--from", help="A date or a moment; the beginning unless given.")
    ] = None,
    until: Annotated[
        str | None, Parameter(name="--to", help="The last day, or a moment; now unless given.")
    ] = None,
    environment: Annotated[Literal["test", "live"], Parameter(help="Of which one.")] = "live",
    csv: Annotated[
        Path | None, Parameter(help="Where to write it; to standard output unless given.")
    ] = None,
) -> None:
    """Write a wallet's statement as CSV, from its opening balance to its closing one.

    A file is there when it is whole, and not before.
    """

    async def write(house: House) -> None:
        from kpay.core.book import Book, Environment
        from kpay.core.page import read_period
        from kpay.statements.files import statement_file

        wanted = Environment.TEST if environment == "test" else Environment.PRODUCTION
        now = house.clock.now()
        opened = await house.statements.open(
            Book(application, wanted), country, *read_period(since, until)
        )
        async for part in statement_file(house.statements, opened, now, marked=False):
            target.write(part)

    if csv is None:
        target: IO[bytes] = sys.stdout.buffer
        with_house(write)
        return
    begun = csv.with_name(f"{csv.name}.part")
    try:
        with begun.open("wb") as target:
            with_house(write)
        begun.replace(csv)
    finally:
        begun.unlink(missing_ok=True)
    err.print(f"{csv} holds the statement.", markup=False)


def main() -> None:
    """The entry point of the `kpay` command."""
    app()


def _serve(host: str, port: int, workers: int, *, drive_work: bool, quiet: bool = False) -> None:
    from kpay.web import server

    err.quiet = quiet
    with told():
        _check_outside()
        server.check_port(host, port)
        _have_more_files()
        with ready_settings(patience=_PATIENCE_SECONDS) as settings:
            err.print(f"Serving on http://{host}:{port}; Ctrl-C stops it.")
            server.serve(settings, host=host, port=port, workers=workers, drive_work=drive_work)
    err.print("Stopped.")


def _check_outside() -> None:
    """Say in one sentence what would fail in every process, once each of them is started."""
    from kpay.catalogue.data import catalogue
    from kpay.connectors.opening import check_rails
    from kpay.database.clock import DatabaseClock
    from kpay.rates.sources import check_sources

    settings = Settings.from_env()
    check_sources(settings)
    check_rails(settings, catalogue(), DatabaseClock())


def _have_more_files() -> None:
    """A call to a rail holds a connection for as long as it is not answered; many systems give a
    process 1,024 files, and more if it asks.
    """
    import resource
    from contextlib import suppress

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _drive(settings: Settings) -> None:
    import signal

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_house(settings) as house:
        house.worker.start()
        err.print("Driving payments, payouts and refunds; Ctrl-C stops it.")
        await stop.wait()
