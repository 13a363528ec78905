"""pawaPay first and the rail of fifty lines second, over the wire: who pays what pawaPay refuses.

Both tell the truth of their own books. At the end each payout was paid at most once by the two of
them together, and is COMPLETED here when it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from kpay.app import House
from kpay.contradictions.model import What
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.rail_commands import read_rails
from kpay.rail_simulator.books import Status
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import rail_server, says
from tests.connectors.test_pawapay_by_simulator import Pair, ended, paired
from tests.connectors.tiny import TinyConnector
from tests.soundness import assert_sound

PHONE = "237650000000"
DOWN = says(
    {
        "status": "REJECTED",
        "failureReason": {"failureCode": "PROVIDER_TEMPORARILY_UNAVAILABLE"},
    }
)
TROUBLED = """
seed = 5
[[rules]]
operation = "DEPOSIT"
answer = "prompt"
[[rules]]
operation = "PAYOUT"
ends_after = [0, 90]
answer = { prompt = 4, slow = 1, timeout_before = 1, timeout_after = 1, error_before = 1, \
error_after = 1, gateway_error = 1, nonsense = 1 }
outcome = { completed = 3, RECIPIENT_NOT_FOUND = 1, rejected = 3, PAWAPAY_WALLET_OUT_OF_FUNDS = 3 }
status = { honest = 4, stale = 2, missing = 2, error = 2 }
"""


@dataclass
class TinyRail:
    """Pays whatever it is told to, and knows what."""

    paid: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        reference = request.path.removeprefix("/")
        if request.method == "PUT":
            _, amount, currency = (await request.text()).split(" ")
            self.paid.setdefault(reference, f"paid {amount} {currency}")
            return web.Response(text="taken")
        return web.Response(text=self.paid.get(reference, "what"))


@asynccontextmanager
async def second(house: House) -> AsyncIterator[TinyRail]:
    """The tiny rail in service behind pawaPay."""
    rail = TinyRail()
    pawapay = house.routing.named(Environment.PRODUCTION, "pawapay")
    assert pawapay is not None
    async with rail_server(otherwise=rail.answer) as server:
        tiny = TinyConnector(server.url, "a-token")
        house.routing.serve(
            Environment.PRODUCTION,
            {"pawapay": pawapay, "tiny": tiny},
            {"*": ("pawapay", "tiny")},
        )
        yield rail
        await tiny.close()


async def works(live: Merchant, clock: ManualClock, seconds: int = 0) -> None:
    clock.advance(seconds=seconds)
    await live.house.worker.run_until_idle()


async def test_what_pawapay_cannot_reach_at_present_is_paid_by_the_second_rail(
    live: Merchant, rail: PawapayRail, clock: ManualClock, database_url: str
) -> None:
    rail.instead["/v2/payouts"] = DOWN
    async with second(live.house) as tiny:
        made = await live.withdraw(phoneNumber=PHONE)
        await works(live, clock)
        await works(live, clock, 5)

        paid = await live.payout(made)
        assert (paid["status"], rail.operations) == ("COMPLETED", {})
        assert tiny.paid == {paid["providerReference"]: "paid 950 XAF"}
        assert [(one["connector"], one["outcome"]) for one in paid["attempts"]] == [
            ("pawapay", "refused"),
            ("tiny", "accepted"),
            ("tiny", "paid"),
        ]
        # pawaPay is to be asked about its own once more.
        opened = {row["rail"]: row["open"] for row in await read_rails(live.house)}
        assert (opened["pawapay"], opened["tiny"]) == (1, 0)
        await assert_sound(database_url)


async def test_what_pawapay_has_paid_after_all_is_held_when_its_callback_says_so(
    live: Merchant, rail: PawapayRail, clock: ManualClock, database_url: str
) -> None:
    async with second(live.house) as tiny:
        made = await live.withdraw(phoneNumber=PHONE)
        await works(live, clock)
        first = rail.only
        reason = {"failureReason": {"failureCode": "PAWAPAY_WALLET_OUT_OF_FUNDS"}}
        rail.decide(first, "FAILED", **reason)
        await works(live, clock, 5)
        assert list(tiny.paid) == [(await live.payout(made))["providerReference"]]
        await works(live, clock, 1_000)
        assert await live.house.contradictions.list() == []

        rail.decide(first, "COMPLETED")
        url = "https://pay.example.com/callbacks/pawapay"
        headers, body = rail.callback(first, "COMPLETED", url, clock.now())
        answer = await Browser(live.api).send(
            "POST", "/callbacks/pawapay", raw=body, headers=headers
        )
        assert answer.status == 200
        await works(live, clock, 15 * 60)

        (found,) = await live.house.contradictions.list()
        assert (found.what, str(found.reference)) == (What.PAID_AFTER_REFUSED, first)
        assert (await live.payout(made))["status"] == "COMPLETED"
        await assert_sound(database_url)


async def test_the_list_of_rails_says_which_one_stands_by(live: Merchant) -> None:
    async with second(live.house):
        listed = {row["rail"]: row for row in await read_rails(live.house)}

    assert "MTN_MOMO_CMR" in listed["pawapay"]["providers"]
    assert listed["pawapay"]["standsByFor"] == []
    assert listed["tiny"]["providers"] == []
    assert listed["tiny"]["standsByFor"] == listed["pawapay"]["providers"]


def truth(pair: Pair, tiny: TinyRail, payout: Answer) -> int:
    """How often a payout was paid by both rails together."""
    told = {one["sent"]["reference"] for one in payout["attempts"]}
    there = sum(pair.truth(reference) is Status.COMPLETED for reference in told)
    return there + len(told & set(tiny.paid))


@pytest.mark.parametrize("seconds_between", [0, 40])
async def test_with_a_first_rail_at_its_worst_each_payout_is_paid_at_most_once(
    settings: Settings, clock: ManualClock, database_url: str, seconds_between: int
) -> None:
    async with paired(settings, clock, TROUBLED) as pair, second(pair.house) as tiny:
        made = []
        for number in range(40):
            made.append(
                await pair.merchant.withdraw(
                    amount=1_000 + 10 * number, phoneNumber=f"23765000{number:04d}"
                )
            )
            if seconds_between and number % 10 == 0:
                await pair.pass_seconds(seconds_between)
        await pair.works()
        found = await ended(pair, made)

        times = [(payout["status"], truth(pair, tiny, payout)) for payout in found]
        assert {one for one in times if one[1] > 1} == set()
        assert all((status == "COMPLETED") is (paid == 1) for status, paid in times)
        assert len(tiny.paid) > 5
        assert list(pair.simulator.rail.books.unsound()) == []
        # And the rail before has nothing to add.
        await pair.pass_seconds(20 * 60)
        assert await pair.house.contradictions.list() == []
        await assert_sound(database_url)
