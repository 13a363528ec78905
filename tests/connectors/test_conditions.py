"""The terms that a rail tells override the catalogue's: what is open, limits, decimals."""

from __future__ import annotations

from typing import Any

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.connectors.door import PUBLIC_URL
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.houses import opened

PHONE = "237650000000"


def configured(
    provider: str = "MTN_MOMO_CMR", **operations: dict[str, Any]
) -> list[dict[str, Any]]:
    """What `active-conf` tells of one provider; `operations` by their types."""
    usual = {"minAmount": "100", "maxAmount": "1000000", "decimalsInAmount": "NONE"}
    return [
        {
            "country": "CMR",
            "prefix": "237",
            "providers": [
                {
                    "provider": provider,
                    "currencies": [
                        {
                            "currency": "XAF",
                            "operationTypes": {
                                name: {**usual, "status": "OPERATIONAL", **terms}
                                for name, terms in operations.items()
                            },
                        }
                    ],
                }
            ],
        }
    ]


def available(**statuses: str) -> list[dict[str, Any]]:
    """What `availability` tells of the same provider."""
    types = [{"operationType": name, "status": status} for name, status in statuses.items()]
    return [
        {"country": "CMR", "providers": [{"provider": "MTN_MOMO_CMR", "operationTypes": types}]}
    ]


async def learn(live: Merchant, rail: PawapayRail, clock: ManualClock) -> None:
    """A minute passes, and the rail is asked."""
    clock.advance(seconds=61)
    await live.house.worker.run_until_idle()


@pytest.fixture
async def agreed(live: Merchant, rail: PawapayRail, clock: ManualClock) -> Merchant:
    """Everything was agreed with MTN in Cameroon, and nothing with anybody else."""
    rail.configured = configured(DEPOSIT={}, PAYOUT={}, REFUND={})
    await learn(live, rail, clock)
    return live


async def states(live: Merchant, provider: str = "MTN_MOMO_CMR") -> dict[str, str]:
    answer = await live.keys.send("GET", "/api/v1/payments/availability")
    (found,) = [
        one
        for country in answer.json
        for one in country["providers"]
        if one["provider"] == provider
    ]
    return {one["operationType"]: one["status"] for one in found["operationTypes"]}


async def pays(live: Merchant, amount: object = 1000) -> Answer:
    return await live.pay(phoneNumber=PHONE, amount=amount)


async def withdraws(live: Merchant, amount: object = 1000) -> Answer:
    return await live.withdraw(phoneNumber=PHONE, amount=amount)


async def test_what_was_not_agreed_is_closed(agreed: Merchant) -> None:
    assert await states(agreed) == {"DEPOSIT": "OPERATIONAL", "PAYOUT": "OPERATIONAL"}
    assert await states(agreed, "ORANGE_CMR") == {"DEPOSIT": "CLOSED", "PAYOUT": "CLOSED"}

    refused = await agreed.withdraw(provider="ORANGE_CMR", phoneNumber="237690000000")
    assert (refused.status, refused["code"]) == (400, "provider_closed")
    assert (await withdraws(agreed)).status == 201


async def test_an_operator_that_is_delayed_takes_no_payment_and_keeps_payouts_for_later(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    rail.available = available(DEPOSIT="DELAYED", PAYOUT="DELAYED")
    await learn(agreed, rail, clock)

    refused = await pays(agreed)
    assert (refused.status, refused["code"]) == (400, "provider_closed")
    assert "MTN_MOMO_CMR is delayed" in refused["message"]
    assert (await withdraws(agreed)).status == 201
    assert await states(agreed) == {"DEPOSIT": "DELAYED", "PAYOUT": "DELAYED"}


async def test_an_operator_that_is_closed_takes_nothing_until_it_is_open_again(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    rail.available = available(DEPOSIT="CLOSED", PAYOUT="CLOSED")
    await learn(agreed, rail, clock)
    for refused in (await pays(agreed), await withdraws(agreed)):
        assert (refused.status, refused["code"]) == (400, "provider_closed")
        assert "is closed" in refused["message"]

    rail.available = available(DEPOSIT="OPERATIONAL", PAYOUT="OPERATIONAL")
    await learn(agreed, rail, clock)
    assert (await pays(agreed)).status == 201


async def test_a_refund_waits_for_an_operator_that_is_closed(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    listed = await agreed.keys.send("GET", "/api/v1/payments")
    payment = await agreed.keys.send("GET", f"/api/v1/payments/{listed['data'][0]['id']}")
    rail.available = available(REFUND="CLOSED")
    await learn(agreed, rail, clock)

    refused = await agreed.refund(payment)

    assert (refused.status, refused["code"]) == (400, "provider_closed")


async def test_the_limits_of_the_rail_hold_beside_our_own(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    limits = {"minAmount": "500", "maxAmount": "2000.00"}
    rail.configured = configured(DEPOSIT=limits, PAYOUT=limits)
    await learn(agreed, rail, clock)

    for amount in (499, 2001):
        refused = await pays(agreed, amount)
        assert (refused.status, refused["code"]) == (400, "amount_out_of_bounds")
    # What the operator would be told: 5 % less.
    for amount in (520, 2110):
        refused = await withdraws(agreed, amount)
        assert (refused.status, refused["code"]) == (400, "amount_out_of_bounds")
        assert "MTN_MOMO_CMR pays between 500 and 2,000 XAF" in refused["message"]
    assert (await pays(agreed, 500)).status == (await pays(agreed, 2000)).status == 201
    assert (await withdraws(agreed, 2105)).status == 201


async def test_the_older_names_of_limits_are_read(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    names = {"minTransactionLimit": "700", "maxTransactionLimit": "900"}
    terms = configured(DEPOSIT=names)
    for operation in terms[0]["providers"][0]["currencies"][0]["operationTypes"].values():
        del operation["minAmount"], operation["maxAmount"]
    rail.configured = terms
    await learn(agreed, rail, clock)

    assert (await pays(agreed, 699))["code"] == "amount_out_of_bounds"
    assert (await pays(agreed, 700)).status == 201


async def test_the_decimals_of_the_rail_override_the_catalogue_s(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    assert (await pays(agreed, 1000.5)).status == 400
    two = {"decimalsInAmount": "TWO_PLACES"}
    rail.configured = configured(DEPOSIT=two, PAYOUT=two)
    await learn(agreed, rail, clock)

    assert (await pays(agreed, 1000.5)).status == 201
    made = await withdraws(agreed, 1001)
    await agreed.house.worker.run_until_idle()
    sent = rail.operations[(await agreed.payout(made))["providerReference"]]
    assert sent["amount"] == "950.95"


async def test_a_provider_s_other_currencies_are_not_ours(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    dollars = configured(PAYOUT={"status": "CLOSED"})[0]["providers"][0]
    dollars["currencies"][0]["currency"] = "USD"
    rail.configured = [*configured(PAYOUT={}), {"country": "CMR", "providers": [dollars]}]
    await learn(agreed, rail, clock)

    assert (await states(agreed))["PAYOUT"] == "OPERATIONAL"


async def test_while_a_rail_does_not_answer_what_it_told_last_holds(
    agreed: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    for trouble in (says({}, 500), says("<html>"), says({"countries": []})):
        rail.instead["/v2/active-conf"] = trouble
        await learn(agreed, rail, clock)
        assert await states(agreed) == {"DEPOSIT": "OPERATIONAL", "PAYOUT": "OPERATIONAL"}
        assert await states(agreed, "ORANGE_CMR") == {"DEPOSIT": "CLOSED", "PAYOUT": "CLOSED"}


async def test_a_process_knows_at_its_start_what_another_has_learnt(
    agreed: Merchant, rail: PawapayRail, settings: Settings, clock: ManualClock
) -> None:
    variables = {"KPAY_PAWAPAY_TOKEN": "a-token", "KPAY_PAWAPAY_URL": "http://127.0.0.1:1"}
    async with opened(
        settings, clock, rails={"*": "pawapay"}, rail_variables=variables, public_url=PUBLIC_URL
    ) as other:
        merchant = await (await Merchant.join(other, "Other")).live()
        assert await states(merchant, "ORANGE_CMR") == {"DEPOSIT": "CLOSED", "PAYOUT": "CLOSED"}


async def test_a_rail_is_asked_once_a_minute_by_all_processes_together(
    agreed: Merchant, rail: PawapayRail, live_house: House, clock: ManualClock
) -> None:
    rail.configured = []
    clock.advance(seconds=50)
    assert await live_house.conditions.work(1) == 0
    rail.configured = configured(DEPOSIT={})
    clock.advance(seconds=11)
    assert await live_house.conditions.work(1) == 1
    assert await live_house.conditions.work(1) == 0
