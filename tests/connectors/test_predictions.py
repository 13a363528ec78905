"""Whose a number is: the rail tells within tight bounds, else our own catalogue does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from kpay.app import House
from kpay.connectors.capabilities import Predicted
from kpay.connectors.predicting import KEPT, MOST_AT_ONCE, MOST_KEPT, SILENT_FOR, Predictions
from kpay.connectors.wire import NoAnswer
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Refusal
from kpay.rail_simulator.scenario import read_scenario
from kpay.rail_simulator.server import Options, Simulator, serving
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import Saying, in_json, says
from tests.houses import opened
from tests.rails import ScriptedRail

PATH = "/v2/predict-provider"
# By its prefix MTN's; a number that was ported is not.
MTN_S = "237650000001"
PORTED = {"country": "CMR", "provider": "ORANGE_CMR", "phoneNumber": MTN_S}
NOBODY_S = {"failureReason": {"failureCode": "INVALID_PARAMETER", "failureMessage": "no"}}


async def predict(merchant: Merchant, number: str) -> Answer:
    return await merchant.keys.send(
        "POST", "/api/v1/payments/predict-provider", {"phoneNumber": number}
    )


def counted(asked: list[Any], body: dict[str, Any], status: int = 200) -> Saying:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        return in_json(body, status)

    return answer


async def test_the_rail_is_asked_and_what_it_tells_holds_for_an_hour(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    asked: list[Any] = []
    rail.instead[PATH] = counted(asked, PORTED)
    for typed in (MTN_S, "+237 650 000 001"):
        answer = await predict(live, typed)
        assert (answer.status, answer.json) == (201, PORTED)
    assert asked == [{"phoneNumber": MTN_S}]

    clock.advance(hours=1)
    assert (await predict(live, MTN_S))["provider"] == "ORANGE_CMR"
    assert len(asked) == 2


async def test_the_number_is_answered_as_the_rail_writes_it(
    live: Merchant, rail: PawapayRail
) -> None:
    told = {"country": "BEN", "provider": "MTN_MOMO_BEN", "phoneNumber": "2290151345789"}
    rail.instead[PATH] = says(told)
    assert (await predict(live, "22951345789")).json == told


@pytest.mark.parametrize("status", [200, 400])
async def test_what_the_rail_knows_to_be_nobody_s_number_is_refused(
    live: Merchant, rail: PawapayRail, status: int
) -> None:
    asked: list[Any] = []
    rail.instead[PATH] = counted(asked, NOBODY_S, status)
    for _ in range(2):
        answer = await predict(live, MTN_S)
        assert (answer.status, answer["code"]) == (400, "invalid_phone_number")
    assert len(asked) == 1


@pytest.mark.parametrize(
    "saying",
    [
        says({}, 500),
        says(NOBODY_S, 500),
        says("<html>", 502),
        says({"failureReason": {"failureCode": "AUTHENTICATION_ERROR"}}, 403),
        says({"provider": 7, "phoneNumber": MTN_S}),
        says({"provider": "MPESA_ZZZ", "phoneNumber": MTN_S}),
        says({"provider": "ORANGE_CMR", "phoneNumber": "<script>"}),
    ],
)
async def test_whatever_else_it_says_our_own_prefixes_answer(
    live: Merchant, rail: PawapayRail, saying: Saying
) -> None:
    rail.instead[PATH] = saying
    answer = await predict(live, MTN_S)
    assert (answer.status, answer.json) == (201, {**PORTED, "provider": "MTN_MOMO_CMR"})


async def test_one_that_gave_no_answer_is_not_asked_for_ten_seconds_and_no_number_is_logged(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    asked: list[Any] = []
    rail.instead[PATH] = counted(asked, {}, 503)
    with capture_logs() as logs:
        for number in (MTN_S, "237650000002", "237650000003"):
            assert (await predict(live, number))["provider"] == "MTN_MOMO_CMR"
    assert len(asked) == 1
    assert [line["event"] for line in logs].count("rail_prediction_not_told") == 1
    assert MTN_S not in str(logs)

    clock.advance(seconds=SILENT_FOR.seconds)
    rail.instead[PATH] = counted(asked, PORTED)
    assert (await predict(live, MTN_S))["provider"] == "ORANGE_CMR"


@pytest.mark.parametrize("number", ["", "text", "33612345678", "2376", "+237 <650>", "2" * 40])
async def test_what_can_be_no_number_is_not_sent_to_the_rail(
    live: Merchant, rail: PawapayRail, number: str
) -> None:
    asked: list[Any] = []
    rail.instead[PATH] = counted(asked, PORTED)
    answer = await predict(live, number)
    assert answer.status in (201, 400)
    assert asked == []


async def test_by_the_rail_simulator(settings: Settings, clock: ManualClock) -> None:
    options = Options(token="a-token", scenario=read_scenario(""))
    async with serving(Simulator(options, clock), "127.0.0.1", 0) as url:
        variables = {
            "KPAY_TEST_PAWAPAY_TOKEN": "a-token",
            "KPAY_TEST_PAWAPAY_URL": url,
            "KPAY_PAWAPAY_TOKEN": "a-token",
            "KPAY_PAWAPAY_URL": url,
        }
        rails = {"*": "pawapay"}
        async with opened(
            settings, clock, rails=rails, test_rails=rails, rail_variables=variables
        ) as house:
            test = await Merchant.join(house)
            live = await test.live()
            for merchant in (test, live):
                answer = await predict(merchant, "+237 653 456 789")
                assert (answer.status, answer["provider"]) == (201, "MTN_MOMO_CMR")
            nobody_s = await predict(live, "237110000001")
            assert (nobody_s.status, nobody_s["code"]) == (400, "invalid_phone_number")
            other = await predict(test, "237650000001")
            assert other["code"] == "not_a_test_number"
            # Benin's test numbers are no valid numbers.
            benin = await predict(test, "22951345789")
            assert (benin.status, benin["provider"]) == (201, "MTN_MOMO_BEN")


class Oracle(ScriptedRail):
    """A rail that tells whose a number is, when the test lets it."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.numbers: list[str] = []
        self.all_asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.fails = fails

    async def predict(self, phone_number: str) -> Predicted | None:
        self.numbers.append(phone_number)
        if len(self.numbers) == MOST_AT_ONCE:
            self.all_asked.set()
        await self.let_go.wait()
        if self.fails:
            raise NoAnswer("away")
        return Predicted("ORANGE_CMR", phone_number)


def predictions(house: House, oracle: ScriptedRail, clock: ManualClock) -> Predictions:
    oracle.serve(house, Environment.PRODUCTION)
    return Predictions(house.catalogue, house.routing, clock, within=0.05)


async def whose(asked: Predictions, number: str) -> str:
    return (await asked.predict(Environment.PRODUCTION, number))[0].code


async def test_no_more_than_some_are_asked_at_once_and_the_rest_does_not_wait(
    house: House, clock: ManualClock
) -> None:
    oracle = Oracle()
    oracle.let_go.clear()
    asked = predictions(house, oracle, clock)
    asked._within = 60
    waiting = [
        asyncio.create_task(whose(asked, f"23765000000{number}")) for number in range(MOST_AT_ONCE)
    ]
    await oracle.all_asked.wait()
    assert await whose(asked, "237650000009") == "MTN_MOMO_CMR"
    assert len(oracle.numbers) == MOST_AT_ONCE
    oracle.let_go.set()
    assert set(await asyncio.gather(*waiting)) == {"ORANGE_CMR"}
    assert await whose(asked, "237650000009") == "ORANGE_CMR"


async def test_one_that_is_silent_is_waited_for_within_bounds(
    house: House, clock: ManualClock
) -> None:
    oracle = Oracle()
    oracle.let_go.clear()
    asked = predictions(house, oracle, clock)
    assert await whose(asked, MTN_S) == "MTN_MOMO_CMR"
    assert await whose(asked, MTN_S) == "MTN_MOMO_CMR"
    assert oracle.numbers == [MTN_S]


async def test_only_so_many_are_remembered_those_that_were_asked_for_last(
    house: House, clock: ManualClock
) -> None:
    oracle = Oracle()
    asked = predictions(house, oracle, clock)
    numbers = [f"23765{number:07d}" for number in range(MOST_KEPT + 1)]
    for number in numbers[:-1]:
        await whose(asked, number)
    await whose(asked, numbers[0])
    await whose(asked, numbers[-1])
    assert len(oracle.numbers) == MOST_KEPT + 1
    await whose(asked, numbers[0])
    assert len(oracle.numbers) == MOST_KEPT + 1
    await whose(asked, numbers[1])
    assert oracle.numbers[-1] == numbers[1]
    clock.advance(seconds=int(KEPT.total_seconds()))
    await whose(asked, numbers[0])
    assert oracle.numbers[-1] == numbers[0]


async def test_a_rail_that_cannot_tell_leaves_it_to_the_catalogue_or_to_another(
    house: House, clock: ManualClock
) -> None:
    asked = predictions(house, ScriptedRail(), clock)
    assert await whose(asked, MTN_S) == "MTN_MOMO_CMR"
    with pytest.raises(Refusal):
        await whose(asked, "33612345678")

    first, second = ScriptedRail(), Oracle()
    second.name = "oracle"
    house.routing.serve(
        Environment.PRODUCTION,
        {first.name: first, second.name: second},
        {"MTN_MOMO_CMR": first.name, "*": second.name},
    )
    assert await whose(asked, MTN_S) == "ORANGE_CMR"


async def test_of_two_that_can_tell_whoever_serves_the_likely_operator_is_asked(
    house: House, clock: ManualClock
) -> None:
    first, second = Oracle(), Oracle()
    second.name = "second"
    house.routing.serve(
        Environment.PRODUCTION,
        {first.name: first, second.name: second},
        {"MTN_MOMO_CMR": second.name, "*": first.name},
    )
    asked = Predictions(house.catalogue, house.routing, clock)
    await whose(asked, MTN_S)
    await whose(asked, "237690000001")
    assert (first.numbers, second.numbers) == (["237690000001"], [MTN_S])
