"""`kpay person`: who may sign in, at a merchant's or at the operator's own back office."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from kpay.terminal import err, fail, new_table, out, print_json, typed_by, with_house

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.audit.model import Actor
    from kpay.people.model import Link, Person

persons = App(name="person", help="The people who sign in, and the operator's own staff.")

Email = Annotated[str, Parameter(help="The person's email, with which to sign in.")]
Name = Annotated[str, Parameter(help="The person's name.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program.")]


@persons.command
def create(
    *,
    company: Annotated[str, Parameter(help="The company's name; it is made when it is new.")],
    email: Email,
    name: Name,
    role: Annotated[
        Literal["owner", "finance", "approver", "developer", "viewer"],
        Parameter(help="What the person may do there."),
    ] = "owner",
    as_json: AsJson = False,
) -> None:
    """Make somebody a member of a company.

    The password is asked for on a terminal. Left empty, or with --json, a link to set it is shown.
    """
    password = _asked(as_json=as_json)

    async def make(house: House) -> tuple[Person, Link | None]:
        from kpay.people.model import Role

        return await house.people.staff.create(
            _actor("create"),
            company_name=company,
            email=email,
            name=name,
            role=Role(role.upper()),
            password=password,
        )

    _show_made(*with_house(make), as_json=as_json)


@persons.command
def operator(
    *,
    email: Email,
    name: Name,
    role: Annotated[
        Literal["admin", "support"], Parameter(help="An admin changes things, support looks.")
    ],
    as_json: AsJson = False,
) -> None:
    """Make somebody the operator's own staff, or give one of them another role.

    The password is asked for on a terminal. Left empty, or with --json, a link to set it is shown.
    """
    password = _asked(as_json=as_json)

    async def make(house: House) -> tuple[Person, Link | None]:
        from kpay.people.model import OperatorRole

        return await house.people.staff.set_operator(
            _actor("operator"),
            email=email,
            name=name,
            role=OperatorRole(role.upper()),
            password=password,
        )

    _show_made(*with_house(make), as_json=as_json)


@persons.command(name="list")
def list_people(*, as_json: AsJson = False) -> None:
    """List everybody who signs in, with what each may do where."""

    async def fetch(house: House) -> list[dict[str, Any]]:
        from kpay.core.clock import iso

        return [
            {
                "id": str(one.person.id),
                "email": one.person.email,
                "name": one.person.name,
                "operatorRole": one.person.operator_role,
                "companies": [{"name": company, "role": str(role)} for company, role in one.roles],
                "hasPassword": one.has_password,
                "hasSecondFactor": one.person.factor_since is not None,
                "disabledAt": None
                if one.person.disabled_at is None
                else iso(one.person.disabled_at),
            }
            for one in await house.people.staff.everybody()
        ]

    rows = with_house(fetch)
    if as_json:
        print_json(rows)
        return
    table = new_table("Email", "Name", "May", "Second factor", "State")
    for row in rows:
        may = [f"{each['role'].lower()} of {each['name']}" for each in row["companies"]]
        if row["operatorRole"]:
            may.append(f"operator's {row['operatorRole'].lower()}")
        factor = "yes" if row["hasSecondFactor"] else "no"
        table.add_row(row["email"], row["name"], ", ".join(may), factor, _state(row))
    out.print(table)


@persons.command
def reset(
    email: Email,
    *,
    second_factor: Annotated[
        bool, Parameter(negative="", help="Take the second factor away as well, now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a link with which a person sets a new password, once, within an hour.

    Give it to nobody of whom you do not know that it is the person.
    """

    async def make(house: House) -> Link:
        return await house.people.staff.password_link(
            _actor("reset"), email, without_second_factor=second_factor
        )

    link = with_house(make)
    if as_json:
        print_json(_shown_link(link))
        return
    _print_link(link)


@persons.command(name="sign-out")
def sign_out(email: Email) -> None:
    """End every session of a person, who can sign in again."""

    async def change(house: House) -> int:
        return await house.people.staff.sign_out(_actor("sign-out"), email)

    out.print(f"Sessions ended: {with_house(change)}.", markup=False)


@persons.command
def disable(email: Email) -> None:
    """Shut a person out at once, wherever the person is signed in."""

    async def change(house: House) -> Person:
        return await house.people.staff.disable(_actor("disable"), email)

    out.print(f"{with_house(change).email} cannot sign in any more.", markup=False)


@persons.command
def enable(email: Email) -> None:
    """Let a person in again who was disabled."""

    async def change(house: House) -> Person:
        return await house.people.staff.enable(_actor("enable"), email)

    out.print(f"{with_house(change).email} can sign in again.", markup=False)


def _actor(command: str) -> Actor:
    return typed_by(f"person {command}")


def _asked(*, as_json: bool) -> str | None:
    """A password typed twice; None where nobody is asked, or nothing was typed."""
    if as_json or not sys.stdin.isatty():
        return None
    password = getpass.getpass("Password (empty for a link to set it): ")
    if not password:
        return None
    if getpass.getpass("The same again: ") != password:
        fail("The two passwords are not the same.")
    return password


def _show_made(person: Person, link: Link | None, *, as_json: bool) -> None:
    if as_json:
        shown = {"id": str(person.id), "email": person.email, "name": person.name}
        print_json({"person": shown, **({"link": None} if link is None else _shown_link(link))})
        return
    out.print(f"{person.name} signs in as {person.email}.", markup=False)
    if link is not None:
        _print_link(link)


def _shown_link(link: Link) -> dict[str, str]:
    from kpay.core.clock import iso

    return {"link": link.url, "endsAt": iso(link.ends_at)}


def _print_link(link: Link) -> None:
    err.print(f"Once, until {link.ends_at:%Y-%m-%d %H:%MZ}, this sets the password:")
    # In one piece, however narrow the terminal is.
    out.print(link.url, markup=False, soft_wrap=True)


def _state(row: dict[str, Any]) -> str:
    if row["disabledAt"] is not None:
        return "disabled"
    return "active" if row["hasPassword"] else "has no password yet"
