"""What the program says afterwards, held against the journal. Raises Defect at the first lie."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg

from kpay.database.embedded import EmbeddedServer
from soak.books import Balances, expected
from soak.client import Client, gathered
from soak.journal import CONFLICT, Defect, Journal, Record, lasting
from soak.load import Load
from soak.operations import Kind, Wanted

OPEN = ("PENDING", "PROCESSING")
FAILED, CANCELLED = "FAILED", "CANCELLED"
# A claim of a dead process holds for a minute; one that was hit twice still ends well before this.
_OVERDUE = timedelta(minutes=5)
_LOOK_AGAIN_SECONDS = 0.5

Row = Mapping[str, Any]


async def compare(client: Client, journal: Journal) -> int:
    """Every operation of the journal against the program's lists. Returns how many are open."""
    still_open = 0
    found: defaultdict[tuple[int, str], list[Row]] = defaultdict(list)
    for kind in Kind:
        for merchant, rows in enumerate(await gathered(client, kind)):
            for row in rows:
                record = journal.find(merchant, row["externalId"])
                if record is None or not record.answers:
                    raise Defect(f"nobody asked for {row}")
                found[merchant, row["externalId"]].append(row)
                still_open += _is_open(row)
    for record in journal:
        _check(record, found[record.wanted.merchant, record.wanted.external_id])
    return still_open


async def settle_undecided(client: Client, journal: Journal, load: Load) -> tuple[int, int]:
    """Send again what was left without an answer. Returns how many were on record, and were not.

    Each is looked up first: it is there whole or not at all, and what the program answers to the
    second try has to agree with that.
    """
    there = absent = 0
    for record in journal.undecided:
        wanted = record.wanted
        rows = await client.rows(
            client.merchants[wanted.merchant], wanted.kind, externalId=wanted.external_id
        )
        _check(record, rows)
        await load.settle(record, surely=True)
        there, absent = there + bool(rows), absent + (not rows)
        named = any(answer.status == CONFLICT for answer in record.answers)
        if wanted.is_keyed:
            named = any(row["id"] == record.id for row in rows)
        # What failed gives its externalId back, perhaps between the look and the second try.
        lasts = wanted.is_keyed or wanted.route.ends == "COMPLETED"
        if lasts and named != bool(rows):
            raise Defect(f"{wanted} had {rows} on record and was then answered {record.answers}")
    return there, absent


async def wait_until_all_ended(client: Client, seconds: float) -> None:
    """Nothing is done for those that are open but to look."""
    end = asyncio.get_running_loop().time() + seconds
    while left := [
        row
        for kind in (Kind.PAYMENT, Kind.PAYOUT, Kind.REFUND)
        for status in OPEN
        for rows in await gathered(client, kind, status=status)
        for row in rows
    ]:
        if asyncio.get_running_loop().time() > end:
            raise Defect(f"{len(left)} have not ended by themselves, such as {left[0]}")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def compare_balances(client: Client, journal: Journal, home: Path) -> int:
    """Every account against the sums that follow from the journal. Returns how many there are."""
    found, wanted = await _accounts(client, home), expected(journal)
    if found != wanted:
        off = {
            key: (found.get(key, 0), wanted.get(key, 0))
            for key in {*found, *wanted}
            if found.get(key, 0) != wanted.get(key, 0)
        }
        raise Defect(f"balances are off (found, expected from the journal): {off}")
    return len(found)


async def _accounts(client: Client, home: Path) -> Balances:
    numbers = {merchant.application_id: n for n, merchant in enumerate(client.merchants)}
    return {
        (numbers[application], code): balance
        for application, code, balance in await accounts_in(home)
    }


async def accounts_in(home: Path) -> list[tuple[str, str, int]]:
    """Application, account and balance in hundredths, of every account that is not zero."""
    server = await asyncio.to_thread(EmbeddedServer.attach, home)
    try:
        connection = await asyncpg.connect(server.url)
        rows = await connection.fetch(
            "select application_id::text, code, balance from accounts where balance <> 0"
        )
        await connection.close()
    finally:
        await asyncio.to_thread(server.release)
    return [(row["application_id"], row["code"], row["balance"]) for row in rows]


def _check(record: Record, rows: Sequence[Row]) -> None:
    """One operation against the rows of its externalId."""
    wanted = record.wanted
    for row in rows:
        _check_row(wanted, row)
    record.is_cancelled = any(row.get("status") == CANCELLED for row in rows)
    if record.is_cancelled and not record.may_be_cancelled:
        raise Defect(f"{wanted} was cancelled and nobody asked for that: {rows}")
    if record.must_be_cancelled and not record.is_cancelled:
        raise Defect(f"{wanted} was answered {record.recalls} and is {rows}")
    if record.id is not None:
        own = [row for row in rows if row["id"] == record.id]
        if len(own) != 1:
            raise Defect(f"{wanted} is {record.id} and has {rows} on record")
        told = record.acknowledged
        if told is not None and lasting(told) != lasting(own[0]):
            raise Defect(f"{wanted} was answered {told} and is now {own[0]}")
    if wanted.is_keyed and len(rows) > 1:
        raise Defect(f"{wanted} was sent with one key and is {rows}")
    if len(rows) > len(record.answers):
        raise Defect(f"{wanted} was sent {len(record.answers)} times and is {rows}")
    if sum(row.get("status") not in (FAILED, CANCELLED) for row in rows) > 1:
        raise Defect(f"{wanted} has more than one live operation: {rows}")


def _check_row(wanted: Wanted, row: Row) -> None:
    """What is on record is what was asked for, with our own sums."""
    for name, value in _as_asked(wanted).items():
        if _at(row, name) != value:
            raise Defect(f"{wanted} is on record as {row}: {name} should be {value}")
    if wanted.kind is Kind.TRANSFER:
        return
    if row["status"] not in (*OPEN, CANCELLED, wanted.route.ends):
        raise Defect(f"{wanted} ended as {row}")
    age = datetime.now(UTC) - datetime.fromisoformat(row["createdAt"])
    if _is_open(row) and age > _OVERDUE:
        raise Defect(f"{wanted} has been open for {age}: {row}")


def _as_asked(wanted: Wanted) -> dict[str, object]:
    route = wanted.route
    if wanted.kind is Kind.TRANSFER:
        return {
            "sourceTransaction.country": route.source,
            "sourceTransaction.amount": _number(wanted.amount),
            "destinationTransaction.country": route.destination,
            "destinationTransaction.amount": _number(wanted.converted),
        }
    own = {"originalPaymentId": wanted.payment} if wanted.kind is Kind.REFUND else {}
    asked: dict[str, object] = own | {
        "provider": route.provider,
        "phoneNumber": route.phone,
        "amount": _number(wanted.amount),
    }
    if wanted.kind is Kind.PAYOUT:
        asked |= {
            "sourceCountry": route.source,
            "feeAmount": _number(wanted.fee),
            "netAmount": _number(wanted.net),
        }
        if route.is_converted:
            asked["payoutAmount"] = _number(wanted.converted)
    return asked


def _number(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


def _at(row: Any, name: str) -> object:
    for part in name.split("."):
        row = row[part]
    found: object = row
    return found


def _is_open(row: Row) -> bool:
    return row.get("status") in OPEN
