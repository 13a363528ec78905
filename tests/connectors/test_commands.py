"""`kpay rail`: what is in service, what is open there, and whether it lets us in."""

from __future__ import annotations

from typing import Any

from kpay.app import House
from kpay.rail_commands import ask_rails, read_rails
from tests.client import Merchant
from tests.connectors.conftest import PUBLIC_URL
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.connectors.test_conditions import configured


async def asked(house: House) -> Any:
    """What pawaPay answers."""
    (row,) = [row for row in await ask_rails(house) if row["rail"] == "pawapay"]
    return row


async def test_the_rails_are_listed_with_what_they_have_open(live: Merchant) -> None:
    await live.withdraw(phoneNumber="237650000000")
    await live.house.worker.run_until_idle()

    rows = {(row["environment"], row["rail"]): row for row in await read_rails(live.house)}

    pawapay = rows["PRODUCTION", "pawapay"]
    assert pawapay["open"] == 1
    assert pawapay["callbackUrl"] == f"{PUBLIC_URL}/callbacks/pawapay"
    assert pawapay["capabilities"] == ["conditions", "balances", "callbacks", "cancelling"]
    assert "MTN_MOMO_CMR" in pawapay["providers"]
    assert (rows["TEST", "sandbox"]["callbackUrl"], rows["TEST", "sandbox"]["open"]) == (None, 0)


async def test_a_rail_that_lets_us_in_tells_terms_and_balances(
    live_house: House, rail: PawapayRail
) -> None:
    rail.configured = configured(DEPOSIT={}, PAYOUT={})
    balances = [{"country": "CMR", "balance": "1000000.50", "currency": "XAF", "provider": ""}]
    rail.instead["/v2/wallet-balances"] = says({"balances": balances})

    told = await asked(live_house)

    assert (told["failed"], told["answers"]) == (False, "terms of 2 operations, 1 balances")
    assert told["balances"] == [{"country": "CMR", "balance": "1,000,000.50 XAF"}]


async def test_a_rail_that_does_not_let_us_in_is_told(live_house: House, rail: PawapayRail) -> None:
    rail.instead["/v2/active-conf"] = says({}, 401)

    told = await asked(live_house)

    assert (told["failed"], told["answers"]) == (True, "no: /v2/active-conf answered 401")


async def test_half_of_the_balances_are_none(live_house: House, rail: PawapayRail) -> None:
    rail.configured = configured(DEPOSIT={})
    rows = [{"country": "CMR", "balance": "1", "currency": "XAF"}, {"country": "GAB"}]
    rail.instead["/v2/wallet-balances"] = says({"balances": rows})

    assert (await asked(live_house))["failed"]
