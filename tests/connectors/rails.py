"""A rail simulator on loopback with a stepped clock, a merchant that calls it and hears from it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from kpay.catalogue.model import OperationType
from kpay.core.clock import ManualClock
from kpay.rail_simulator.scenario import read_scenario
from kpay.rail_simulator.server import Options, Simulator, serving
from tests.conftest import START
from tests.receivers import Receiver, Said, listening

TOKEN = "a token for tests"
FOLDER = {
    OperationType.DEPOSIT: ("deposits", "depositId", "payer"),
    OperationType.PAYOUT: ("payouts", "payoutId", "recipient"),
    OperationType.REFUND: ("refunds", "refundId", ""),
}


@dataclass(frozen=True)
class Merchant:
    """Calls a simulator and moves its clock. `heard` is its receiver of callbacks."""

    simulator: Simulator
    clock: ManualClock
    url: str
    session: aiohttp.ClientSession
    heard: Receiver

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
        raw = body if isinstance(body, bytes) else None
        json = None if isinstance(body, bytes) else body
        url = URL(f"{self.url}{path}", encoded=True)
        async with self.session.request(method, url, json=json, data=raw, headers=sent) as answer:
            if answer.content_type != "application/json":
                return answer.status, await answer.text()
            return answer.status, await answer.json()

    async def pay_out(self, identifier: str | None = None, **changed: Any) -> tuple[str, Any]:
        body = payout(identifier, **changed)
        return body["payoutId"], (await self.call("POST", "/v2/payouts", body))[1]

    async def status(self, identifier: str, folder: str = "payouts") -> Any:
        """The status, or NOT_FOUND."""
        _, said = await self.call("GET", f"/v2/{folder}/{identifier}")
        return said["data"]["status"] if said["status"] == "FOUND" else said["status"]

    async def pass_seconds(self, seconds: int) -> None:
        await self.simulator.agenda.advance(self.clock, seconds)

    def told(self) -> list[str]:
        """The statuses in the callbacks, in the order in which they came."""
        return [heard["status"] for heard in self.heard.heard]

    async def balance(self, country: str = "CMR") -> str:
        _, said = await self.call("GET", f"/v2/wallet-balances?country={country}")
        (row,) = said["balances"]
        return str(row["balance"])


def payout(identifier: str | None = None, **changed: Any) -> dict[str, Any]:
    """A payout of 1,000 XAF; `number` and `provider` change the recipient."""
    return {
        "payoutId": identifier or str(uuid.uuid4()),
        "amount": "1000",
        "currency": "XAF",
        "recipient": party(changed),
    } | changed


def deposit(identifier: str | None = None, **changed: Any) -> dict[str, Any]:
    return {
        "depositId": identifier or str(uuid.uuid4()),
        "amount": "1000",
        "currency": "XAF",
        "payer": party(changed),
    } | changed


def party(changed: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "MMO",
        "accountDetails": {
            "phoneNumber": changed.pop("number", "237653456789"),
            "provider": changed.pop("provider", "MTN_MOMO_CMR"),
        },
    }


@asynccontextmanager
async def rail(
    scenario: str = "", *script: Said, callbacks: bool = True, otherwise: Said = 200, **options: Any
) -> AsyncIterator[Merchant]:
    """A simulator with a scenario (TOML). `script` is what its callbacks are answered, in order."""
    clock = ManualClock(START)
    async with listening(*script, otherwise=otherwise) as heard, aiohttp.ClientSession() as session:
        made = Options(
            token=TOKEN,
            scenario=read_scenario(scenario),
            callback_url=heard.url if callbacks else None,
            **options,
        )
        simulator = Simulator(made, clock)
        async with serving(simulator, "127.0.0.1", 0) as url:
            yield Merchant(simulator, clock, url, session, heard)
