"""No secret, token, key or telephone number is ever in a log line, whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from kpay import metrics
from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.core.book import Environment
from kpay.database.embedded import EmbeddedServer
from kpay.settings import Settings
from tests.client import PAYERS, Browser, Merchant
from tests.logs import logged
from tests.rails import ScriptedRail
from tests.route_table import route_table

OPEN_NUMBER = "237653456129"


@pytest.fixture
def lines() -> Iterator[list[str]]:
    with logged() as said:
        yield said


async def everything_that_a_merchant_does(merchant: Merchant) -> set[str]:
    """Every operation, to each of its ends. Returns the telephone numbers that were used."""
    house = merchant.house
    phones = {phone for _, phone in PAYERS.values()}
    # Every end is told to a URL where nobody listens, which is paused before long.
    nobody = {"url": "http://127.0.0.1:9/"}
    await merchant.keys.send("PUT", "/api/v1/payments/webhooks/generic", nobody)
    for country in PAYERS:
        await merchant.collect(10_000, country)
    for operation, number in house.catalogue.test_numbers:
        send = merchant.pay if operation is OperationType.DEPOSIT else merchant.withdraw
        await send(phoneNumber=number, amount=200)
        phones.add(number)
    await house.worker.run_until_idle()
    for destination in PAYERS:
        await merchant.transfer(destinationCountry=destination, amount=150)
    paid = await merchant.pay(phoneNumber=OPEN_NUMBER)
    called_back = await merchant.withdraw(phoneNumber=OPEN_NUMBER)
    await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{called_back['id']}/cancel")
    await house.worker.run_until_idle()
    finish = {"outcome": "FAILED", "failureCode": "NO_ANSWER"}
    await merchant.keys.send("POST", f"/api/v1/payments/{paid['id']}/sandbox/finish", finish)
    return phones | {OPEN_NUMBER}


async def everything_that_goes_wrong(merchant: Merchant, rail: ScriptedRail) -> None:
    """Each kind of refusal, a rail that names a subscriber in its error, and defects of ours."""
    house, pair = merchant.house, merchant.new.test
    phone = PAYERS["CMR"][1]
    carrying = {"description": pair.secret_key, "metadata": {"phone": phone}}
    for route in route_table():
        for headers in (
            {},
            {"X-API-Key": pair.api_key, "X-Secret-Key": pair.secret_key + "a"},
            {"X-API-Key": pair.secret_key, "X-Secret-Key": pair.secret_key},
            {"Authorization": f"{merchant.token.headers['Authorization']}a"},
            {**merchant.keys.headers, **merchant.token.headers},
        ):
            path = re.sub(r"{\w+}", pair.secret_key, route.path)
            browser = Browser(merchant.api, headers).elsewhere()
            query = {"surprise": pair.secret_key}
            await browser.send(route.method, path, carrying, query=query)
            await browser.send("DELETE", path, raw=pair.secret_key.encode())
    rail.script.extend(
        [ConnectionError(f"no such subscriber: {phone}"), ValueError({"msisdn": f"+{phone}"})]
    )
    await merchant.withdraw(phoneNumber=phone)
    await house.worker.run_until_idle()
    await a_defect(merchant, RuntimeError(f"secret {pair.secret_key} of {phone}"))
    await a_defect(merchant, await a_refused_row(house, phone))
    await a_defect(merchant, await a_refused_row(house, pair.secret_key))


async def a_defect(merchant: Merchant, problem: Exception) -> None:
    """Something of ours goes wrong with a request's own values in the message."""

    async def broken(*_values: object) -> None:
        raise problem

    database: Any = merchant.house.database
    database.fetch = broken
    try:
        answer = await merchant.keys.send("GET", "/api/v1/payments/balance")
    finally:
        del database.fetch
    assert answer.status == 500
    assert str(problem) not in answer.raw.decode()


async def a_refused_row(house: House, name: str) -> Exception:
    """PostgreSQL's own error, whose detail is the whole row."""
    with pytest.raises(asyncpg.NotNullViolationError) as caught:
        await house.database.execute("insert into companies (id, name) values (null, $1)", name)
    assert name in str(caught.value)
    return caught.value


async def test_no_secret_token_key_or_phone_number_is_in_a_log_line(
    merchant: Merchant, lines: list[str], settings: Settings, server: EmbeddedServer
) -> None:
    postgres_log = server._places.home / "postgres" / "server.log"
    logged_before = postgres_log.stat().st_size
    rail = ScriptedRail()
    phones = await everything_that_a_merchant_does(merchant)
    live = await merchant.live()
    rail.serve(merchant.house, Environment.TEST)
    await everything_that_goes_wrong(merchant, rail)
    await merchant.house.office.rotate_token_key()
    await merchant.renew_token()
    new, secret = merchant.new, str(settings.secret)
    secrets = {
        new.test.api_key,
        new.test.secret_key,
        *live.keys.headers.values(),
        *(each.token.headers["Authorization"].partition(" ")[2] for each in (merchant, live)),
        new.webhook_secret,
        new.gateway_secret,
        secret,
    }

    told = "\n".join(
        [*lines, metrics.exposition().decode(), await since(postgres_log, logged_before)]
    )

    assert {text for text in secrets | phones if text in told} == set()
    # And what an operator needs is there: what went wrong, in which request.
    for event in (
        "refused",
        "rail_call_unknown",
        "request_failed",
        "no such subscriber: 237***89",
        "webhook_endpoint_paused",
    ):
        assert event in told, event
    assert any('"event": "request_failed"' in line and "req_" in line for line in lines)


async def since(log: Path, start: int) -> str:
    """What PostgreSQL wrote into its own log, with our refused rows' errors in it."""
    for _ in range(500):
        text = (await asyncio.to_thread(log.read_bytes))[start:].decode(errors="replace")
        if "null value in column" in text:
            return text
        await asyncio.sleep(0.01)
    raise AssertionError("PostgreSQL did not log the error within five seconds")
