"""What several files about payouts, or about people, begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.people.flow import People
from tests.client import Merchant
from tests.people import Office, people_of


@pytest.fixture
async def funded(merchant: Merchant) -> Merchant:
    """A merchant with 95,000 XAF in Cameroon: 100,000 collected, less 5 %."""
    await merchant.collect(100_000)
    return merchant


@pytest.fixture
def people(house: House) -> Iterator[People]:
    """The house's people, whose passwords are hashed cheaply."""
    made = people_of(house)
    yield made
    made.close()


@pytest.fixture
def office(house: House, people: People, clock: ManualClock) -> Office:
    """Who hires people and has them sign in."""
    return Office(house, people, clock)
