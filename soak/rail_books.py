"""Three books of the same payouts, compared: the merchant's, our ledger, and the rail's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from soak.journal import Defect
from soak.reading import accounts_in

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Books:
    """What was found equal."""

    paid: int
    never_arrived: int
    accounts: int
    submitted_again: int

    def __str__(self) -> str:
        return (
            f"{self.paid:,} paid once each on the rail's own books, {self.submitted_again:,} of "
            f"all were handed over more than once, {self.never_arrived:,} never reached it; "
            f"{self.accounts} provider accounts equal to its wallets, nothing is held"
        )


async def compare(
    rows: Sequence[Row], wallets: Sequence[Row], wire: aiohttp.ClientSession, home: Path
) -> Books:
    """Raises Defect at the first difference."""
    books = await _json(wire, "/simulator/books")
    if books["unsound"] or books["clientReferencesPaidTwice"]:
        raise Defect(f"the rail's own books: {books['unsound'] or books}")
    theirs = await _operations(wire)
    for row in rows:
        _check_payout(row, theirs.get(row["providerReference"]))
    unknown = theirs.keys() - {row["providerReference"] for row in rows}
    if unknown:
        raise Defect(f"the rail has payouts that nobody asked for: {sorted(unknown)[:5]}")
    for wallet in wallets:
        if wallet["reservedBalance"] != 0:
            raise Defect(f"something is still held: {wallet}")
    return Books(
        paid=sum(one["status"] == "COMPLETED" for one in theirs.values()),
        never_arrived=sum(row["providerReference"] not in theirs for row in rows),
        submitted_again=sum(one["submitted"] > 1 for one in theirs.values()),
        accounts=await _check_accounts(wire, home),
    )


def _check_payout(row: Row, their: Row | None) -> None:
    """Paid here is paid there, to the same number; what failed here was not paid there."""
    paid_there = their is not None and their["status"] == "COMPLETED"
    if row["status"] not in ("COMPLETED", "FAILED"):
        raise Defect(f"it has not ended: {row}")
    if (row["status"] == "COMPLETED") != paid_there:
        raise Defect(f"one of us has paid and the other has not: {row}, {their}")
    if their is not None and (
        their["phoneNumber"] != row["phoneNumber"] or their["provider"] != row["provider"]
    ):
        raise Defect(f"it went elsewhere: {row}, {their}")


async def _check_accounts(wire: aiohttp.ClientSession, home: Path) -> int:
    """What we say lies with each operator is, by currency, what the rail's wallets came to."""
    moved: Counter[str] = Counter()
    for kind, sign in (("DEPOSIT", -1), ("PAYOUT", 1)):
        for one in (await _operations(wire, kind)).values():
            if one["status"] == "COMPLETED":
                moved[f"provider:{one['provider']}"] += sign * int(Decimal(one["amount"]) * 100)
    ours = {
        code: balance
        for _, code, balance in await accounts_in(home)
        if code.startswith("provider:")
    }
    if ours != dict(moved):
        raise Defect(f"our accounts say {ours}, the rail's books {dict(moved)}")
    return len(ours)


async def _operations(wire: aiohttp.ClientSession, kind: str = "PAYOUT") -> dict[str, Row]:
    """All of the rail's, by our reference."""
    found: dict[str, Row] = {}
    while True:
        path = f"/simulator/operations?operation={kind}&skip={len(found)}"
        rows = await _json(wire, path)
        if not rows:
            return found
        found |= {row["id"]: row for row in rows}


async def _json(wire: aiohttp.ClientSession, path: str) -> Any:
    async with wire.get(path) as answer:
        if answer.status != 200:
            raise Defect(f"{path} was answered {answer.status} {await answer.text()}")
        return await answer.json()
