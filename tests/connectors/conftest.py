"""A house whose production is served by pawaPay, and a merchant with money there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.connectors.door import PUBLIC_URL, Door
from tests.connectors.pawapay_rail import PawapayRail, pawapay_rail
from tests.houses import opened


@pytest.fixture
async def rail() -> AsyncIterator[PawapayRail]:
    async with pawapay_rail() as made:
        yield made


@pytest.fixture
async def live_house(
    settings: Settings, clock: ManualClock, rail: PawapayRail
) -> AsyncIterator[House]:
    """Configured as an operator would, but for the address."""
    variables = {"KPAY_PAWAPAY_TOKEN": "a-token", "KPAY_PAWAPAY_URL": rail.url}
    async with opened(
        settings,
        clock,
        rails={"*": "pawapay"},
        rail_variables=variables,
        public_url=PUBLIC_URL,
    ) as house:
        yield house


@pytest.fixture
async def live(live_house: House, rail: PawapayRail, clock: ManualClock) -> Merchant:
    """A merchant in production whose Cameroon wallet holds 95,000, collected through the rail."""
    merchant = await (await Merchant.join(live_house)).live()
    made = await merchant.pay(amount=100_000, phoneNumber="237650000000")
    assert made.status == 201, made.raw
    await live_house.worker.run_until_idle()
    rail.decide(rail.only, "COMPLETED", amount="100000.0000")
    clock.advance(seconds=3)
    await live_house.worker.run_until_idle()
    rail.operations.clear()
    return merchant


@pytest.fixture
async def door(live: Merchant, rail: PawapayRail, clock: ManualClock) -> Door:
    return Door(live, rail, clock)


@pytest.fixture
async def made(live: Merchant, door: Door) -> Answer:
    """A payout that pawaPay has and has not decided."""
    answer = await live.withdraw(phoneNumber="237650000000")
    await door.works()
    return answer
