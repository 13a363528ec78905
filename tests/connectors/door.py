"""Where rails call back, as whoever sends callbacks meets it, the rail or not."""

from __future__ import annotations

from kpay.core.clock import ManualClock
from tests.client import Browser, Merchant
from tests.connectors.pawapay_rail import PawapayRail

PUBLIC_URL = "https://pay.example.com"
PATH = "/callbacks/pawapay"
URL = PUBLIC_URL + PATH


class Door:
    """Sends callbacks to a house, and has it work."""

    def __init__(self, live: Merchant, rail: PawapayRail, clock: ManualClock) -> None:
        self.live = live
        self.rail = rail
        self.clock = clock
        self.browser = Browser(live.api)

    async def calls(self, reference: str, status: str, **changes: object) -> int:
        headers, body = self.rail.callback(reference, status, URL, self.clock.now())
        sent = {**headers, **{str(name): str(text) for name, text in changes.items()}}
        return (await self.browser.send("POST", PATH, raw=body, headers=sent)).status

    async def works(self) -> None:
        await self.live.house.worker.run_until_idle()

    async def passes(self, **time: int) -> None:
        """Time passes, and what has come due is done."""
        self.clock.advance(**time)
        await self.works()

    async def kept(self) -> int:
        counted = await self.live.house.database.fetchval("select count(*) from rail_callbacks")
        return int(counted)
