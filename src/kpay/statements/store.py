"""The SQL of movements: the ledger's own lines, read along the chains of two accounts.

A chain's lines are numbered without a gap and never change, so a place in it is a number, a page is
a range of numbers, and whoever reads from one place to another needs no snapshot to read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kpay.core.book import Book
from kpay.database.pool import Database
from kpay.database.queries import beside
from kpay.ledger.model import Kind
from kpay.ledger.movements import reserved, wallet
from kpay.statements.model import Line, Place, Standing

SQL = beside(__file__)


async def standing(database: Database, book: Book, country: str) -> tuple[Standing, str] | None:
    """What a wallet holds now, and its currency; None where nothing was ever posted to it."""
    own, held = wallet(country), reserved(country)
    rows = await database.fetch(SQL["standing"], book.application_id, book.environment, own, held)
    found = {row["code"]: row for row in rows}
    if own not in found or found[own]["version"] == 0:
        return None
    line, beside_it = found[own], found.get(held)
    return (
        Standing(
            Place(line["version"], beside_it["version"] if beside_it else 0),
            line["balance"],
            beside_it["balance"] if beside_it else 0,
        ),
        line["currency"],
    )


async def behind(
    database: Database, book: Book, country: str, within: Place, moment: datetime
) -> Place:
    """The place, within the first lines of each chain, before which all is of before a moment."""
    found = [
        await database.fetchval(
            SQL["behind"], book.application_id, book.environment, account, lines, moment
        )
        for account, lines in (
            (wallet(country), within.wallet),
            (reserved(country), within.reserved),
        )
    ]
    return Place(*found)


async def at_place(database: Database, book: Book, country: str, place: Place) -> Standing | None:
    """What a wallet held at a place; None where the two chains never stood so at one time."""
    balances, numbers, next_numbers = [], [], []
    for account, version in (
        (wallet(country), place.wallet),
        (reserved(country), place.reserved),
    ):
        rows = await database.fetch(
            SQL["around"], book.application_id, book.environment, account, version
        )
        lines = {row["version"]: row for row in rows}
        if version and version not in lines:
            return None
        balances.append(lines[version]["balance_after"] if version else 0)
        numbers.append(lines[version]["number"] if version else 0)
        after = lines.get(version + 1)
        next_numbers.append(None if after is None else after["number"])
    reached = max(numbers)
    if any(number is not None and number <= reached for number in next_numbers):
        return None
    return Standing(place, *balances)


async def lines(
    database: Database, book: Book, account: str, after: int, upto: int, limit: int, *, onward: bool
) -> Sequence[Line]:
    """Lines of a chain: those with versions over `after`, up to `upto`, from either end."""
    rows = await database.read(
        SQL["lines_onward"] if onward else SQL["lines_backward"],
        book.application_id,
        book.environment,
        account,
        after,
        upto,
        limit,
    )
    return [
        Line(
            version=row["version"],
            amount=row["amount"],
            balance_after=row["balance_after"],
            number=row["number"],
            operation_id=row["operation_id"],
            kind=Kind(row["kind"]),
            at=row["at"],
        )
        for row in rows
    ]


async def balances(
    database: Database, book: Book, countries: Sequence[str], moments: Sequence[datetime]
) -> dict[str, list[int]]:
    """What each country's wallet held before each moment, reserved or not, in hundredths."""
    accounts = [account(country) for country in countries for account in (wallet, reserved)]
    rows = await database.read(
        SQL["balances"], book.application_id, book.environment, accounts, list(moments)
    )
    held = {country: [0] * len(moments) for country in countries}
    for row in rows:
        country = row["account"].partition(":")[2]
        held[country][row["place"] - 1] += row["balance"]
    return held


async def moments_of(database: Database, book: Book, operations: Sequence[UUID]) -> list[datetime]:
    """When something was posted for some operations, newest first."""
    rows = await database.fetch(
        SQL["moments_of"], book.application_id, book.environment, list(operations)
    )
    return [row["at"] for row in rows]
