"""Files of lists: every row of the list, as spreadsheets can take it, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.core.sheet import BYTE_ORDER_MARK
from kpay.instructions import api as instructions_api
from kpay.statements import flow as statements_flow
from kpay.transfers import api as transfers_api
from tests.client import Answer, Browser, Merchant
from tests.houses import opened

NASTY = [
    '=HYPERLINK("http://evil","pay")',
    "+237 6",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    'a, "b"\r\nc',
    "Marché de Treichville, Côte d'Ivoire 🛒 日本",
    "'quoted",
]


@dataclass(frozen=True)
class File:
    """A list and its file."""

    path: str
    browser: Callable[[Merchant], Browser]

    async def get(self, merchant: Merchant, **query: Any) -> Answer:
        return await self.browser(merchant).send("GET", f"{self.path}/export", query=query)

    async def listed(self, merchant: Merchant, **query: Any) -> list[dict[str, Any]]:
        page = await self.browser(merchant).send("GET", self.path, query={"limit": 100, **query})
        assert page["nextCursor"] is None
        rows: list[dict[str, Any]] = page["data"]
        return rows


PAYMENTS = File("/api/v1/payments", lambda merchant: merchant.keys)
WITHDRAWALS = File("/api/v1/payments/withdrawals", lambda merchant: merchant.keys)
TRANSFERS = File("/api/wallets/transfers", lambda merchant: merchant.token)
MOVEMENTS = File("/api/wallets/CMR/movements", lambda merchant: merchant.token)
FILES = [PAYMENTS, WITHDRAWALS, TRANSFERS, MOVEMENTS]
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.path.split("/")[-1])


@pytest.fixture
async def busy(house: House, clock: ManualClock) -> Merchant:
    """Some of everything, with texts that spreadsheets and CSV stumble over."""
    merchant = await Merchant.join(house)
    await merchant.collect(200_000, externalId="funds")
    clock.advance(days=1)
    await merchant.renew_token()
    for number, text in enumerate(NASTY):
        told = {"externalId": text, "description": text}
        await merchant.collect(1_000 + number, **told, customerName=text[:50])
        await merchant.transfer(**told)
        await merchant.withdraw(**told, provider="MTN_MOMO_CIV", sourceCountry="CMR")
    await merchant.withdraw(externalId="fails", phoneNumber="237653456089", metadata={"=a": 1})
    await house.worker.run_until_idle()
    await merchant.withdraw(externalId="waits")
    return merchant


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of several parts, without thousands of rows."""
    for module in (instructions_api, transfers_api, statements_flow):
        monkeypatch.setattr(module, "OF_FILE", 3)


def shown(value: object) -> str:
    """A value of JSON as a cell."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str() if value.startswith(tuple("=+-@\t")):
            return f"'{value}"
        case _:
            return str(value)


@each_file
@pytest.mark.usefixtures("small_pages")
async def test_a_file_has_each_row_of_its_list_in_the_same_order(
    busy: Merchant, file: File
) -> None:
    answer = await file.get(busy)
    rows, listed = answer.csv, await file.listed(busy)

    assert answer.whole
    assert [row["id"] for row in rows] == [row["id"] for row in listed]
    assert len(rows) >= len(NASTY)
    for row, expected in zip(rows, listed, strict=True):
        same = set(row) & set(expected)
        assert {"id", "externalId", "createdAt"} <= same
        assert {name: row[name] for name in same} == {name: shown(expected[name]) for name in same}


async def test_a_payment_s_and_a_withdrawal_s_line_has_what_their_details_have(
    busy: Merchant,
) -> None:
    for file, one in ((PAYMENTS, "/api/v1/payments"), (WITHDRAWALS, "/api/v1/payments/withdraw")):
        for row in (await file.get(busy)).csv:
            detail = (await busy.keys.send("GET", f"{one}/{row['id']}")).json
            left_out = {"message", "attempts", "fx", "refunds", "refundedAmount"}
            assert set(row) >= set(detail) - left_out
            for name in set(detail) - left_out - {"metadata"}:
                assert row[name] == shown(detail[name])
    (failed,) = [row for row in (await WITHDRAWALS.get(busy)).csv if row["externalId"] == "fails"]
    assert failed["metadata"] == '{"=a": 1}'
    assert failed["failureReason"]


async def test_a_transfer_s_line_has_both_sides_and_the_whole_rate(busy: Merchant) -> None:
    row = (await TRANSFERS.get(busy)).csv[0]
    detail = (await busy.token.send("GET", f"/api/wallets/transfer/{row['id']}")).json

    for side in ("source", "destination"):
        transaction = detail[f"{side}Transaction"]
        for name in ("reference", "country", "amount", "currency"):
            assert row[f"{side}{name.capitalize()}"] == str(transaction[name])
    assert row["exchangeRate"] == str(detail["exchangeRate"])
    assert (row["rate"], row["rateSource"]) == (detail["fx"]["rate"], detail["fx"]["source"])


async def test_the_text_of_strangers_is_never_a_formula(busy: Merchant) -> None:
    for file in FILES:
        rows = (await file.get(busy)).csv

        told = {row["description"] for row in rows}
        assert {f"'{text}" for text in NASTY[:5]} <= told
        assert set(NASTY[5:]) <= told
        for row in rows:
            for name, cell in row.items():
                assert not cell.startswith(("=", "+", "@", "\t", "\r", "\n")), name
                # A number below zero is a number.
                assert not cell.startswith("-") or float(cell) < 0, name


async def test_a_file_is_narrowed_as_its_list_is(busy: Merchant) -> None:
    for file in FILES:
        queries: list[dict[str, str]] = [
            {"externalId": NASTY[5]},
            {"externalId": "nobody's"},
            {"from": "2026-06-24"},
            {"to": "2026-06-23"},
            {"from": "2026-06-24", "to": "2026-06-24T10:00:00Z"},
        ]
        if file is not MOVEMENTS:
            queries.append({"country": "CIV"})
        if file in (PAYMENTS, WITHDRAWALS):
            queries += [{"status": "COMPLETED"}, {"provider": "MTN_MOMO_CMR"}]
        if file is MOVEMENTS:
            queries += [{"type": "PAYMENT"}, {"type": "WITHDRAWAL_RESERVED"}]
        for query in queries:
            rows = (await file.get(busy, **query)).csv
            assert [row["id"] for row in rows] == [
                row["id"] for row in await file.listed(busy, **query)
            ], query


async def test_an_empty_file_has_the_names_of_its_columns(busy: Merchant) -> None:
    for file in FILES:
        answer = await file.get(busy, **{"from": "2030-01-01"})

        assert (answer.status, answer.csv) == (200, [])
        assert answer.raw.startswith(b"id,")
        assert answer.raw.count(b"\r\n") == 1
        assert "-from-20300101T000000Z" in answer.headers["content-disposition"]


async def test_the_mark_for_excel_is_there_when_it_is_asked_for(busy: Merchant) -> None:
    for file in FILES:
        plain, marked = await file.get(busy), await file.get(busy, bom="true")

        assert marked.raw == BYTE_ORDER_MARK + plain.raw
        assert not plain.raw.startswith(BYTE_ORDER_MARK)


async def test_what_cannot_be_is_refused_in_json_before_anything_is_sent(busy: Merchant) -> None:
    for file in FILES:
        queries: list[dict[str, object]] = [
            {"cursor": "x"},
            {"limit": 5},
            {"from": "yesterday"},
            {"from": "2026-06-25", "to": "2026-06-01"},
            {"bom": "perhaps"},
        ]
        for query in queries:
            answer = await file.get(busy, **query)
            assert (answer.status, answer["code"]) == (400, "invalid_parameter"), query


@pytest.mark.usefixtures("small_pages")
@each_file
async def test_what_is_made_while_a_file_is_read_comes_not_into_it_and_takes_nothing_out(
    busy: Merchant, house: House, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [row["id"] for row in await file.listed(busy)]
    busy_with_it = False
    search, lines = house.database.search, house.database.read

    def between(original: Callable[..., Any]) -> Callable[..., Any]:
        async def read_and_then_others_work(sql: str, *arguments: object) -> Any:
            rows = await original(sql, *arguments)
            nonlocal busy_with_it
            if not busy_with_it:
                busy_with_it = True
                await busy.collect(500)
                await busy.transfer(amount=100)
                await busy.withdraw(amount=100)
                busy_with_it = False
            return rows

        return read_and_then_others_work

    monkeypatch.setattr(house.database, "search", between(search))
    monkeypatch.setattr(house.database, "read", between(lines))
    answer = await file.get(busy)
    monkeypatch.undo()

    assert [row["id"] for row in answer.csv] == before
    assert len((await file.get(busy)).csv) > len(before)


@pytest.fixture
async def one_connection(house: House, settings: Any, clock: ManualClock) -> AsyncIterator[House]:
    """A second process of the house, whose pool has a single connection."""
    async with opened(settings, clock, pool_size=1) as other:
        yield other


@pytest.mark.usefixtures("small_pages")
@each_file
async def test_a_reader_who_stops_reading_holds_no_connection(
    busy: Merchant, one_connection: House, file: File
) -> None:
    stopped, goes_on = asyncio.Event(), asyncio.Event()
    there = await Merchant.join(one_connection, "Acme", "second")
    slow = file.browser(busy)
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) == 3:
            stopped.set()
            await goes_on.wait()

    reading = asyncio.ensure_future(ask(slow, there.api, file.path, send))
    await stopped.wait()
    # The only connection is free: others are answered, and nothing is open in the database.
    assert await there.wallets() == {}
    assert await open_transactions(one_connection) == 0
    goes_on.set()
    await reading
    body = b"".join(message.get("body", b"") for message in sent)
    assert body == (await file.get(busy)).raw


async def ask(browser: Browser, api: Any, path: str, send: Callable[[dict[str, Any]], Any]) -> None:
    """A request for a file whose answer goes wherever `send` takes it."""
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    await api(
        {
            "type": "http",
            "method": "GET",
            "path": f"{path}/export",
            "query_string": b"",
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in browser.headers.items()
            ],
            "client": ("127.0.0.1", 1),
        },
        receive,
        send,
    )


async def open_transactions(house: House) -> int:
    """How many sessions of our database are in a transaction, or hold a snapshot of one."""
    connection = await asyncpg.connect(house.settings.database_url)
    try:
        count: int = await connection.fetchval(
            """
            select count(*) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
                and (xact_start is not null or backend_xmin is not null)
            """
        )
        return count
    finally:
        await connection.close()
