"""The `kpay` command: everything an operator does, in words that `--help` explains.

Heavy parts are imported by the commands that need them, so that a small question is answered fast.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from kpay import __version__
from kpay.person_commands import persons
from kpay.settings import Settings
from kpay.terminal import (
    ended_by_a_signal,
    err,
    fail,
    new_table,
    open_house,
    out,
    print_json,
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
companies = App(name="company", help="The merchants' companies.")
applications = App(name="app", help="Their applications, which hold the wallets.")
keys = App(name="key", help="The key pairs that applications call with.")
token_keys = App(name="token-key", help="The keys that sign tokens.")
sandbox = App(name="sandbox", help="The test environment, where no real money moves.")
wallets = App(name="wallet", help="What an application holds in a country.")
for group in (companies, applications, keys, token_keys, sandbox, wallets, webhooks, persons):
    app.command(group)

Host = Annotated[str, Parameter(help="The address to listen on.")]
Port = Annotated[int, Parameter(help="The port to listen on.")]
Workers = Annotated[int, Parameter(help="Server processes; one for each core is plenty.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program.")]
ApplicationId = Annotated[UUID, Parameter(help="The application's id: see kpay app list.")]


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

    with ready_settings() as settings:
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


@applications.command(name="create")
def create_application(
    *,
    company: Annotated[str, Parameter(help="The company's name; it is made when it is new.")],
    name: Annotated[str, Parameter(help="The application's name.")],
    as_json: AsJson = False,
    export: Annotated[
        bool, Parameter(negative="", help="Print the test keys as lines that a shell can eval.")
    ] = False,
) -> None:
    """Make an application with its keys. Secrets are shown this once."""

    async def create(house: House) -> dict[str, Any]:
        from kpay.access.show import shown_application

        return shown_application(await house.office.create_application(company, name))

    shown = with_house(create)
    if as_json:
        print_json(shown)
        return
    if export:
        print(f"export KPAY_APPLICATION_ID={shown['application']['id']}")
        print(f"export KPAY_API_KEY={shown['test']['apiKey']}")
        print(f"export KPAY_SECRET_KEY={shown['test']['secretKey']}")
        return
    table = new_table("What", "Value")
    table.add_row("company", f"{shown['company']['name']}  {shown['company']['id']}")
    table.add_row("application", f"{shown['application']['name']}  {shown['application']['id']}")
    for environment in ("test", "live"):
        pair = shown[environment]
        if pair is None:
            table.add_row(environment, "after kpay company approve")
            continue
        table.add_row(f"{environment} API key", pair["apiKey"])
        table.add_row(f"{environment} secret key", pair["secretKey"])
    table.add_row("test webhook secret", shown["webhookSecret"])
    table.add_row("gateway secret", shown["gatewaySecret"])
    out.print(table)
    out.print("Keep the secrets now: they are not shown again.")


@applications.command(name="list")
def list_applications(*, as_json: AsJson = False) -> None:
    """List every application with its company."""

    async def fetch(house: House) -> list[dict[str, Any]]:
        return [
            {
                "id": str(row["id"]),
                "name": row["name"],
                "company": row["company_name"],
                "approved": row["approved_at"] is not None,
            }
            for row in await house.office.applications()
        ]

    rows = with_house(fetch)
    if as_json:
        print_json(rows)
        return
    table = new_table("Company", "Live", "Application", "Id")
    for row in rows:
        live = "approved" if row["approved"] else "no"
        table.add_row(row["company"], live, row["name"], row["id"])
    out.print(table)


@applications.command
def configure(
    application: ApplicationId,
    *,
    payment_fee_bps: Annotated[int | None, Parameter(help="500 is 5 %.")] = None,
    payout_fee_bps: Annotated[int | None, Parameter(help="500 is 5 %.")] = None,
    providers: Annotated[
        str | None, Parameter(help="The only providers it may use, with commas; all lifts that.")
    ] = None,
    rate_limit: Annotated[
        int | Literal["usual"] | None,
        Parameter(help="Requests a minute; 0 is any number, usual is KPAY_RATE_LIMIT."),
    ] = None,
) -> None:
    """Change an application's fees, the providers it may use or how often it may call.

    What is not given stays.
    """

    async def change(house: House) -> None:
        allowed = None if providers is None else _provider_list(house, providers)
        await house.office.configure(
            application,
            payment_fee_bps=payment_fee_bps,
            payout_fee_bps=payout_fee_bps,
            allowed_providers=allowed,
            rate_limit=_rate_limit(rate_limit),
        )

    with_house(change)
    out.print("Changed.")


@applications.command
def limit(
    application: ApplicationId,
    operation: Annotated[Literal["DEPOSIT", "PAYOUT", "TRANSFER"], Parameter(help="Of what.")],
    currency: Annotated[str, Parameter(help="In which currency, such as XAF.")],
    least: Annotated[int, Parameter(help="In whole units.")],
    most: Annotated[int, Parameter(help="In whole units.")],
) -> None:
    """Give an application its own bounds for one operation in one currency."""

    async def change(house: House) -> None:
        from kpay.core.limits import Limits
        from kpay.core.money import UNIT, Money

        bounds = Limits(Money(least * UNIT, currency), Money(most * UNIT, currency))
        await house.office.set_limit(application, operation, bounds)

    with_house(change)
    out.print("Changed.")


@companies.command
def approve(
    company: Annotated[str, Parameter(help="The company's name or id.")],
) -> None:
    """Let a company's applications have live keys; make them with kpay key regenerate."""

    async def change(house: House) -> str:
        return (await house.office.approve_company(company)).name

    out.print(f"{with_house(change)} is approved for live keys.")


@keys.command
def regenerate(
    application: ApplicationId,
    environment: Annotated[Literal["test", "live"], Parameter(help="Of which environment.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a new key pair, shown this once; the old one and its tokens end at once."""

    async def change(house: House) -> dict[str, str]:
        from kpay.access.show import shown_pair
        from kpay.core.book import Environment

        wanted = Environment.TEST if environment == "test" else Environment.PRODUCTION
        return shown_pair(await house.office.regenerate_keys(application, wanted))

    pair = with_house(change)
    if as_json:
        print_json(pair)
        return
    table = new_table("What", "Value")
    table.add_row("API key", pair["apiKey"])
    table.add_row("secret key", pair["secretKey"])
    out.print(table)


@token_keys.command
def rotate() -> None:
    """Sign tokens with a new key from now on; those signed before run out by themselves."""

    async def change(house: House) -> UUID:
        return await house.office.rotate_token_key()

    out.print(f"Tokens are signed with {with_house(change)} from now on.")


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
        server.check_port(host, port)
        with ready_settings() as settings:
            err.print(f"Serving on http://{host}:{port}; Ctrl-C stops it.")
            server.serve(settings, host=host, port=port, workers=workers, drive_work=drive_work)
    err.print("Stopped.")


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


def _rate_limit(wanted: int | Literal["usual"] | None) -> int | None:
    from kpay.access.flow import USUAL_RATE_LIMIT
    from kpay.settings import MOST_RATE_LIMIT

    if wanted == "usual":
        return USUAL_RATE_LIMIT
    if wanted is not None and not 0 <= wanted <= MOST_RATE_LIMIT:
        fail(f"--rate-limit must be between 0 and {MOST_RATE_LIMIT:,}, or usual.")
    return wanted


def _provider_list(house: House, text: str) -> list[str]:
    """The providers named, each known; an empty list lifts the whitelist."""
    if text == "all":
        return []
    return [house.catalogue.provider(code.strip()).code for code in text.split(",")]
