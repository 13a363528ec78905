"""Our side: a home of its own, 40 merchants with money in three countries, and a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import asyncpg
from tests.system.program import Program, Server, key_headers

from bench.wrk import Request
from kpay.access.show import shown_application
from kpay.app import House
from kpay.settings import Settings

APPLICATIONS = 40
_PAYERS = (
    ("MTN_MOMO_CMR", "237653456789"),
    ("AIRTEL_GAB", "24174345678"),
    ("FREE_SEN", "221763456789"),
)
_COLLECTED_EACH = 10_000_000
_TIMES = 4
_VERIFY_SECONDS = 3600
# Requests a minute.
_UNREACHED = 10_000_000


@dataclass(frozen=True)
class Merchant:
    """An application with its keys."""

    application_id: str
    keys: Mapping[str, str]


def program(settings: Settings) -> Program:
    """The program on the database under test, with a sandbox that does not wait."""
    return Program(
        settings.home,
        {
            "KPAY_DATABASE_URL": settings.database_url or "",
            "KPAY_SANDBOX_DELAY": "0",
            "KPAY_LOG_LEVEL": "warning",
            # Every request is counted, as in an installation of somebody's own, and none refused.
            "KPAY_RATE_LIMIT": str(_UNREACHED),
        },
    )


def ready_merchants(settings: Settings) -> list[Merchant]:
    """Merchants with money, on a database that is ready."""
    merchants = asyncio.run(_make_merchants(settings))
    with program(settings).serving() as server:
        _fund(server, merchants)
        wait_until_all_ended(settings.database_url or "")
    return merchants


async def _make_merchants(settings: Settings) -> list[Merchant]:
    """Applications of one company, with keys for the sandbox."""
    house = House(settings)
    await house.open()
    try:
        made = [
            shown_application(await house.office.create_application("Benchmark", f"shop {number}"))
            for number in range(APPLICATIONS)
        ]
    finally:
        await house.close()
    return [Merchant(one["application"]["id"], key_headers(one["test"])) for one in made]


@contextmanager
def driving(ours: Program, count: int) -> Iterator[None]:
    """So many `kpay worker` processes, until the end."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(ours.working())
        yield


def _fund(server: Server, merchants: list[Merchant]) -> None:
    """Give every merchant money in three countries, through the API."""
    for merchant in merchants:
        for provider, phone in _PAYERS:
            for number in range(_TIMES):
                body = {
                    "amount": _COLLECTED_EACH,
                    "provider": provider,
                    "phoneNumber": phone,
                    "externalId": f"fund-{provider}-{number}",
                }
                status, answer = server.request(
                    "POST", "/api/v1/payments/init", body, merchant.keys
                )
                if status != HTTPStatus.CREATED:
                    raise RuntimeError(f"a payment was refused: {answer}")


async def still_open(url: str) -> int:
    """How many payments and payouts have not ended, or not been told to who wants to hear."""
    connection = await asyncpg.connect(url)
    try:
        count: int = await connection.fetchval(
            """
            select (select count(*) from instructions where ended_at is null)
                + (select count(*) from deliveries where due_at is not null)
            """
        )
        return count
    finally:
        await connection.close()


def wait_until_all_ended(url: str) -> None:
    while asyncio.run(still_open(url)):
        time.sleep(0.1)


def listen(server: Server, merchants: Sequence[Merchant], url: str | None) -> None:
    """Have every merchant's webhooks sent to a URL, or to none."""
    for merchant in merchants:
        status, answer = server.request(
            "DELETE" if url is None else "PUT",
            "/api/v1/payments/webhooks/generic",
            None if url is None else {"url": url},
            merchant.keys,
        )
        if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise RuntimeError(f"a URL for webhooks was refused: {answer}")


def verify(ours: Program) -> None:
    """Check every promise over all that was posted; raises if one is broken."""
    done = ours.run("verify", "--json", seconds=_VERIFY_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"kpay verify found something: {done.stdout}{done.stderr}")


def transfers(server: Server, merchants: list[Merchant], one: str, other: str) -> list[Request]:
    """Requests in both directions, so that no wallet runs dry."""
    made = []
    for merchant in merchants:
        _, answer = server.request("POST", "/api/v1/payments/token", {}, merchant.keys)
        headers = {
            "Authorization": f"Bearer {answer['accessToken']}",
            "Content-Type": "application/json",
        }
        for source, destination in ((one, other), (other, one)):
            body = {
                "applicationId": merchant.application_id,
                "sourceCountry": source,
                "destinationCountry": destination,
                "amount": 100,
                "externalId": "@",
            }
            made.append(Request("POST", "/api/wallets/transfer", headers, body))
    return made


def payouts(merchants: Sequence[Merchant]) -> list[Request]:
    body = {
        "amount": 100,
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456789",
        "externalId": "@",
    }
    return [
        Request(
            "POST",
            "/api/v1/payments/withdraw",
            {**merchant.keys, "Content-Type": "application/json"},
            body,
        )
        for merchant in merchants
    ]


def balances(merchants: list[Merchant]) -> list[Request]:
    return [
        Request("GET", "/api/v1/payments/balance", dict(merchant.keys)) for merchant in merchants
    ]
