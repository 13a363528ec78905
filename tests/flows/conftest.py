"""What several files about payouts begin with."""

from __future__ import annotations

import pytest

from tests.client import Merchant


@pytest.fixture
async def funded(merchant: Merchant) -> Merchant:
    """A merchant with 95,000 XAF in Cameroon: 100,000 collected, less 5 %."""
    await merchant.collect(100_000)
    return merchant
