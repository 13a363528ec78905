"""Our side: a home of its own, 40 merchants with money in three countries, and a server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from tests.system.program import START_SECONDS, free_port, wait_for

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


@dataclass(frozen=True)
class Merchant:
    """An application with its keys and, once a server runs, a token."""

    application_id: str
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: object = None
    ) -> Any:
        asked = urllib.request.Request(
            self.url + path,
            method=method,
            headers={"Content-Type": "application/json", **headers},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=1):
                return True
        except OSError:
            return False

    def bearer(self, merchant: Merchant) -> dict[str, str]:
        answer = self.request("POST", "/api/v1/payments/token", merchant.keys, {})
        return {"Authorization": f"Bearer {answer['accessToken']}"}


async def make_merchants(settings: Settings) -> list[Merchant]:
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
    return [
        Merchant(
            one["application"]["id"],
            {"X-API-Key": one["test"]["apiKey"], "X-Secret-Key": one["test"]["secretKey"]},
        )
        for one in made
    ]


@contextmanager
def running(settings: Settings, command: str, workers: int) -> Iterator[Server]:
    """`kpay serve` or `kpay api`, ready, until the end."""
    port = free_port()
    words = [command, "--port", str(port), "--workers", str(workers)]
    with _process(settings, *words) as process:
        server = Server(f"http://127.0.0.1:{port}", process)
        wait_for(server.is_ready, START_SECONDS)
        yield server


@contextmanager
def driving(settings: Settings, count: int) -> Iterator[None]:
    """So many `kpay worker` processes, until the end."""
    if count == 0:
        yield
        return
    with _process(settings, "worker"), driving(settings, count - 1):
        yield


def fund(server: Server, merchants: list[Merchant]) -> None:
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
                server.request("POST", "/api/v1/payments/init", merchant.keys, body)


async def still_open(url: str) -> int:
    """How many payments and payouts have not ended."""
    connection = await asyncpg.connect(url)
    try:
        count: int = await connection.fetchval(
            "select count(*) from instructions where ended_at is null"
        )
        return count
    finally:
        await connection.close()


def wait_until_all_ended(url: str) -> None:
    while asyncio.run(still_open(url)):
        time.sleep(0.1)


def verify(settings: Settings) -> None:
    """Check every promise over all that was posted; raises if one is broken."""
    command = [sys.executable, "-m", "kpay", "verify", "--json"]
    done = subprocess.run(
        command, env=_environment(settings), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"kpay verify found something: {done.stdout}{done.stderr}")


def transfers(server: Server, merchants: list[Merchant], one: str, other: str) -> list[Request]:
    """Requests in both directions, so that no wallet runs dry."""
    made = []
    for merchant in merchants:
        headers = {**server.bearer(merchant), "Content-Type": "application/json"}
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


def payouts(merchants: list[Merchant]) -> list[Request]:
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


@contextmanager
def _process(settings: Settings, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kpay", *words],
        env=_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "KPAY_HOME": str(settings.home),
        "KPAY_DATABASE_URL": settings.database_url or "",
        "KPAY_SANDBOX_DELAY": "0",
        "KPAY_LOG_LEVEL": "warning",
    }
