"""`kpay company`, `app`, `key` and `token-key`: who may call, how often, and at what terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from kpay.terminal import (
    ApplicationId,
    AsJson,
    fail,
    new_table,
    out,
    print_json,
    typed_by,
    with_house,
)

if TYPE_CHECKING:
    from kpay.app import House

companies = App(name="company", help="The merchants' companies.")
applications = App(name="app", help="Their applications, which hold the wallets.")
keys = App(name="key", help="The key pairs that applications call with.")
token_keys = App(name="token-key", help="The keys that sign tokens.")


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

        by = typed_by("app create")
        return shown_application(await house.office.create_application(company, name, by=by))

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
            by=typed_by("app configure"),
        )

    with_house(change)
    out.print("Changed.")


@applications.command(name="usual-limit")
def usual_limit(
    application: ApplicationId,
    operation: Annotated[Literal["DEPOSIT", "PAYOUT", "TRANSFER"], Parameter(help="Of what.")],
    currency: Annotated[str, Parameter(help="In which currency, such as XAF.")],
) -> None:
    """Take an application's own bounds away again: those that are usual hold."""

    async def change(house: House) -> None:
        by = typed_by("app usual-limit")
        await house.office.lift_limit(application, operation, currency, by=by)

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
        await house.office.set_limit(application, operation, bounds, by=typed_by("app limit"))

    with_house(change)
    out.print("Changed.")


@companies.command
def approve(
    company: Annotated[str, Parameter(help="The company's name or id.")],
    *,
    reason: Annotated[
        str | None, Parameter(help="Why; the company reads it in its audit log.")
    ] = None,
) -> None:
    """Let a company's applications have live keys; make them with kpay key regenerate."""

    async def change(house: House) -> str:
        by = typed_by("company approve")
        return (await house.office.approve_company(company, by=by, reason=reason)).name

    out.print(f"{with_house(change)} is approved for live keys.")


@companies.command
def withdraw(
    company: Annotated[str, Parameter(help="The company's name or id.")],
    *,
    reason: Annotated[str, Parameter(help="Why; the company reads it in its audit log.")],
) -> None:
    """Let a company have no live keys any more; those in force end at once."""

    async def change(house: House) -> str:
        by = typed_by("company withdraw")
        return (await house.office.withdraw_approval(company, by=by, reason=reason)).name

    out.print(f"{with_house(change)} is approved for live keys no longer.")


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
        by = typed_by("key regenerate")
        return shown_pair(await house.office.regenerate_keys(application, wanted, by=by))

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
        return await house.office.rotate_token_key(by=typed_by("token-key rotate"))

    out.print(f"Tokens are signed with {with_house(change)} from now on.")


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
