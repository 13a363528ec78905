"""`kpay rail`: which rails are in service, and whether each lets us in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter

from kpay.terminal import AsJson, fail, new_table, out, print_json, with_house

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.connectors.model import Connector
    from kpay.core.book import Environment

_ADVICE = (
    "Where 401 or 403 was answered, the rail does not take our token or key: is it of this "
    "environment? Where nothing was answered, look at its address, and whether this machine "
    "reaches it."
)

rails = App(name="rail", help="The rails that money moves on.")


@rails.command(name="list")
def list_rails(*, as_json: AsJson = False) -> None:
    """List the rails in service: what each serves, has open, and can tell."""

    rows = with_house(read_rails)
    if as_json:
        print_json(rows)
        return
    table = new_table("Environment", "Rail", "Serves", "Open", "Can tell")
    for row in rows:
        serves = f"{len(row['providers'])} providers" if row["providers"] else "nothing new"
        if row["standsByFor"]:
            serves += f", stands by for {len(row['standsByFor'])}"
        table.add_row(
            row["environment"],
            row["rail"],
            serves,
            f"{row['open']:,}",
            ", ".join(row["capabilities"]),
        )
    out.print(table)
    for row in rows:
        if row["callbackUrl"]:
            # On a line of its own and whole, however narrow the terminal: it is there to be copied.
            words = f"{row['rail']} ({row['environment']}) calls back at {row['callbackUrl']}"
            out.print(words, markup=False, soft_wrap=True)


@rails.command
def check(*, as_json: AsJson = False) -> None:
    """Ask every rail that can tell something for it: whether our credentials and address are good.

    Exits 1 when one of them did not answer. Nothing is paid and nothing asked of anybody's phone.
    """
    rows = with_house(ask_rails)
    if as_json:
        print_json(rows)
    else:
        table = new_table("Environment", "Rail", "Answers", "Holds")
        for row in rows:
            held = ", ".join(f"{one['country']} {one['balance']}" for one in row["balances"])
            table.add_row(row["environment"], row["rail"], row["answers"], held)
        out.print(table)
        if any(row["failed"] for row in rows):
            out.print(_ADVICE, markup=False, soft_wrap=True)
    sys.exit(1 if any(row["failed"] for row in rows) else 0)


@rails.command(name="resend-callback")
def resend_callback(
    reference: Annotated[
        str, Parameter(help="An operation's providerReference, as the rail knows it too.")
    ],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask the rail of an operation that has ended to call back about it again.

    Exits 1 when it does not. Nothing depends on it here: the status is asked for all the same.
    """

    try:
        known = UUID(reference)
    except ValueError:
        fail(
            f"{reference} is no providerReference: that is the UUID which stands under this name "
            "in every answer about an operation."
        )
    row = with_house(lambda house: resend(house, known))
    if as_json:
        print_json(row)
    elif row["sent"]:
        out.print(f"{row['rail']} calls back about {reference} again.")
    else:
        out.print(f"{row['rail']} does not: {row['why']}.", markup=False)
    sys.exit(0 if row["sent"] else 1)


async def resend(house: House, reference: UUID) -> dict[str, Any]:
    """What a rail said to calling back again, as a program is told of it."""
    from kpay.instructions.resending import resend_callback

    said = await resend_callback(house.database, house.routing, reference)
    return {
        "environment": str(said.environment),
        "rail": said.connector,
        "sent": said.why_not is None,
        "why": said.why_not,
    }


async def read_rails(house: House) -> list[dict[str, Any]]:
    """Every rail in service, as a program is told of it."""
    opened = await house.rails.open_at_rails()
    return [
        {**_told(house, *one), "open": opened.get((one[0], one[1]), 0)}
        for one in house.routing.all()
    ]


async def ask_rails(house: House) -> list[dict[str, Any]]:
    """What every rail answers, as a program is told of it."""
    return [
        {"environment": str(environment), "rail": name, **await _asked(connector)}
        for environment, name, connector in house.routing.all()
    ]


def _told(
    house: House, environment: Environment, name: str, connector: Connector
) -> dict[str, Any]:
    from kpay.connectors.capabilities import JudgesCallbacks
    from kpay.connectors.naming import capabilities
    from kpay.connectors.opening import callback_path

    calls_back = isinstance(connector, JudgesCallbacks)
    url = f"{house.settings.public_url}{callback_path(environment, name)}"
    orders = {
        provider.code: list(house.routing.rails(environment, provider))
        for provider in house.catalogue.providers.values()
    }
    return {
        "environment": str(environment),
        "rail": name,
        "providers": [code for code, order in orders.items() if order[:1] == [connector]],
        "standsByFor": [code for code, order in orders.items() if connector in order[1:]],
        "capabilities": capabilities(connector),
        "callbackUrl": url if calls_back else None,
    }


async def _asked(connector: Connector) -> dict[str, Any]:
    """What a rail told, in words; the first thing that it did not tell ends the asking."""
    from kpay.connectors.capabilities import TellsBalances, TellsConditions
    from kpay.connectors.wire import NoAnswer

    words, balances = [], []
    try:
        if isinstance(connector, TellsConditions):
            words.append(f"terms of {len(await connector.conditions())} operations")
        if isinstance(connector, TellsBalances):
            balances = [
                {"country": one.country, "balance": str(one.amount)}
                for one in await connector.balances()
            ]
            words.append(f"{len(balances)} balances")
    except NoAnswer as problem:
        return {"failed": True, "answers": f"no: {problem}", "balances": []}
    return {
        "failed": False,
        "answers": ", ".join(words) or "has nothing to tell",
        "balances": balances,
    }
