"""A statement of pawaPay: ordered, asked about until it is made, and read from its file."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
from aiohttp import web

from kpay.connectors.opening import RAILS
from kpay.connectors.pawapay import statements
from kpay.connectors.pawapay.connector import PawapayConnector
from kpay.connectors.statements import Line, NotReady, RailWallet, TellsStatements, TicketLost
from kpay.connectors.variables import Variables
from kpay.connectors.wire import NoAnswer
from kpay.rail_simulator.statements import COLUMNS
from tests.connectors.support import hangs_up, place, rail_server, says, says_half
from tests.receivers import Receiver, Said

DAY = date(2026, 6, 23)
CMR = RailWallet("CMR", "XAF")
TICKET = "f4401bd2-1568-4140-bf2d-eb77d2b2b639"
ACCEPTED = {"statementId": TICKET, "status": "ACCEPTED", "created": "2026-06-24T01:00:00Z"}
ROW = "TYPE,COMPLETED,XAF,100,0,100,,,,,2026-06-23T10:00:00Z,"
TABLE = f"{','.join(COLUMNS)}\r\n,{ROW.replace('TYPE', 'TOPUP')}\r\n".encode()


@asynccontextmanager
async def opened(*script: Said) -> AsyncIterator[tuple[PawapayConnector, Receiver]]:
    async with rail_server(*script) as server:
        prefix = "KPAY_PAWAPAY_"
        given = {f"{prefix}URL": server.url, f"{prefix}TOKEN": "a-token"}
        connector: Any = RAILS["pawapay"](Variables(given, prefix), place())
        try:
            yield connector, server
        finally:
            await connector.close()


def made(status: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    wallet = {"country": "CMR", "currency": "XAF"}
    data = {"statementId": TICKET, "status": status, "wallet": wallet}
    return {"status": "FOUND", "data": {**data, **more}}


def at(path: str, status: str = "COMPLETED") -> Said:
    """Says that the statement is at a path of its own host."""

    async def answer(request: web.Request) -> web.StreamResponse:
        url = f"{request.url.origin()}{path}"
        return web.json_response(made(status, downloadUrl=url))

    return answer


def file(body: bytes, **headers: str) -> web.Response:
    return web.Response(body=body, headers=headers)


async def read(connector: PawapayConnector, wallet: RailWallet = CMR) -> list[Line]:
    return [line async for line in connector.read_statement(wallet, DAY, TICKET)]


async def test_a_day_of_a_wallet_is_ordered() -> None:
    async with opened(says(ACCEPTED), says(ACCEPTED)) as (connector, server):
        assert isinstance(connector, TellsStatements)
        assert await connector.order_statement(CMR, DAY) == TICKET
        await connector.order_statement(RailWallet("ZMB", "ZMW", "MTN_MOMO_ZMB"), DAY)

        first, second = (json.loads(heard.raw) for heard in server.heard)
        assert server.heard[0].path == "/v2/statements"
        assert first == {
            "wallet": {"country": "CMR", "currency": "XAF"},
            "callbackUrl": "https://pay.example.com/callbacks/test/pawapay",
            "startDate": "2026-06-23T00:00:00Z",
            "endDate": "2026-06-24T00:00:00Z",
            "compressed": True,
        }
        assert second["wallet"] == {
            "country": "ZMB",
            "currency": "ZMW",
            "provider": "MTN_MOMO_ZMB",
        }


REJECTED = {"status": "REJECTED", "failureReason": {"failureCode": "WALLET_NOT_FOUND"}}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (says({**ACCEPTED, **REJECTED}), "200 WALLET_NOT_FOUND"),
        (says(REJECTED, 400), "400 WALLET_NOT_FOUND"),
        (says({**ACCEPTED, "statementId": "../payouts"}), "200"),
        (says("<html>"), "200"),
        (says(ACCEPTED, 502), "502"),
        (hangs_up, "ServerDisconnectedError"),
    ],
)
async def test_an_order_that_is_not_taken_is_no_answer(said: Said, words: str) -> None:
    async with opened(said) as (connector, _):
        with pytest.raises(NoAnswer, match=f"{words}$"):
            await connector.order_statement(CMR, DAY)


@pytest.mark.parametrize("packed", [True, False])
async def test_what_is_made_is_read_and_our_token_stays_here(packed: bool) -> None:
    body = gzip.compress(TABLE) if packed else TABLE
    async with opened(at("/files/a%2Fb.csv?sig=1%2B"), file(body)) as (connector, server):
        (line,) = await read(connector)

        assert (line.word, line.amount.minor) == ("TOPUP", 10_000)
        asked, fetched = server.heard
        assert asked.path == f"/v2/statements/{TICKET}"
        assert asked.headers["Authorization"] == "Bearer a-token"
        assert fetched.path == "/files/a/b.csv"
        assert "Authorization" not in fetched.headers


async def test_a_file_that_the_wire_packs_once_more_is_read_once() -> None:
    body = file(gzip.compress(TABLE), **{"Content-Encoding": "gzip"})
    async with opened(at("/a.csv"), body) as (connector, _):
        assert len(await read(connector)) == 1


@pytest.mark.parametrize("status", ["PROCESSING", "ACCEPTED", "ENQUEUED"])
async def test_while_it_is_made_it_is_not_ready(status: str) -> None:
    async with opened(says(made(status))) as (connector, _):
        with pytest.raises(NotReady):
            await read(connector)


@pytest.mark.parametrize(
    "script",
    [
        [says(made("FAILED", failureReason={"failureCode": "UNKNOWN_ERROR"}))],
        [says({"status": "NOT_FOUND"})],
        [at("/a.csv"), 403],
        [at("/a.csv"), 404],
        [at("/a.csv"), 410],
    ],
)
async def test_what_will_never_come_is_ordered_anew(script: list[Said]) -> None:
    async with opened(*script) as (connector, _):
        with pytest.raises(TicketLost):
            await read(connector)


OTHER = {"country": "GAB", "currency": "XAF"}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([says(made(), 500)], "asked about: 500"),
        ([says("<html>")], "asked about: 200"),
        ([says(made("REVOKED"))], "cannot be understood"),
        ([says(made())], "cannot be understood"),
        ([says(made(wallet=OTHER, downloadUrl="/"))], "another one"),
        ([says(made(statementId=TICKET[::-1], downloadUrl="/"))], "another one"),
        ([at("/a.csv"), 500], "500 came"),
        ([at("/a.csv"), web.Response(status=302, headers={"Location": "/b.csv"})], "302 came"),
        ([at("/a.csv"), hangs_up, hangs_up], "ServerDisconnectedError"),
        ([at("/a.csv"), says_half], "ClientPayloadError"),
        ([at("/a.csv"), file(b"")], "empty"),
        ([at("/a.csv"), file(b"<html>\n")], "needs one column"),
        ([at("/a.csv"), file(TABLE + b"a,b\n")], "row 3"),
        ([at("/a.csv"), file(gzip.compress(TABLE)[:-4])], "breaks off"),
    ],
)
async def test_what_cannot_be_read_is_no_answer(script: list[Said], words: str) -> None:
    async with opened(*script) as (connector, _):
        with pytest.raises(NoAnswer, match=words):
            await read(connector)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/a.csv",
        "http://elsewhere.example:{port}/a.csv",
        "https://127.0.0.1:{port}/a.csv",
        "http://127.0.0.1:1/a.csv",
        "http://127.0.0.1/a.csv",
        "http://127.0.0.1.evil.example:{port}/a.csv",
        "http://evil127.0.0.1:{port}/a.csv",
        "http://somebody@127.0.0.1:{port}/a.csv",
        "//127.0.0.1:{port}/a.csv",
        "file:///etc/passwd",
        "http://[::1/a.csv",
        "http://127.0.0.1:99999/a.csv",
        "",
    ],
)
async def test_a_file_is_fetched_from_nowhere_else(url: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(made(downloadUrl=url.replace("{port}", str(request.url.port))))

    async with opened(answer) as (connector, server):
        with pytest.raises(NoAnswer, match="somewhere else"):
            await read(connector)
        assert len(server.heard) == 1


async def test_a_file_without_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_LARGEST_FILE", len(TABLE) - 1)
    async with opened(at("/a.csv"), file(TABLE)) as (connector, _):
        with pytest.raises(NoAnswer, match="more than"):
            await read(connector)
    monkeypatch.setattr(statements, "_LARGEST_FILE", len(TABLE))
    monkeypatch.setattr(statements, "_LARGEST_TABLE", len(TABLE) - 1)
    async with opened(at("/a.csv"), file(gzip.compress(TABLE))) as (connector, _):
        with pytest.raises(NoAnswer, match="bytes in it"):
            await read(connector)
