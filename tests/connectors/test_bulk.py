"""Payouts that are due together go to pawaPay in one call, and each has its own attempt and end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kpay.core.clock import ManualClock
from kpay.rail_simulator.books import Status
from kpay.rail_simulator.misbehaviour import WORDS
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.connectors.test_pawapay_by_simulator import ended, paired


async def asked_for(live: Merchant, rail: PawapayRail, count: int) -> list[Answer]:
    """Payouts that wait for the worker; `calls` of the rail counts from here."""
    rail.calls.clear()
    made = [await live.withdraw(phoneNumber=f"23765000{n:04d}") for n in range(count)]
    assert {one.status for one in made} == {201}, [one.raw for one in made]
    return made


async def shown(live: Merchant, made: Sequence[Answer]) -> list[Answer]:
    return [await live.payout(one) for one in made]


async def test_what_is_due_together_goes_in_one_call_and_each_is_an_attempt_of_its_own(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    made = await asked_for(live, rail, 3)
    await live.house.worker.run_until_idle()

    assert rail.calls == [3]
    found = await shown(live, made)
    assert set(rail.operations) == {one["providerReference"] for one in found}
    for one in found:
        (attempt,) = one["attempts"]
        assert (attempt["action"], attempt["outcome"]) == ("submit", "accepted")
        assert attempt["sent"]["reference"] == one["providerReference"]
        assert attempt["answer"] == {
            "http": 200,
            "answer": {"payoutId": one["providerReference"], "status": "ACCEPTED"},
            "bulk": 3,
        }

    for reference in rail.operations:
        rail.decide(reference, "COMPLETED", amount="950")
    clock.advance(seconds=3)
    await live.house.worker.run_until_idle()
    assert {one["status"] for one in await shown(live, made)} == {"COMPLETED"}
    assert await live.wallets() == {"CMR": (92_000, 0)}


async def test_a_payout_alone_waits_for_no_other(live: Merchant, rail: PawapayRail) -> None:
    (made,) = await asked_for(live, rail, 1)
    await live.house.worker.step()

    (attempt,) = (await live.payout(made))["attempts"]
    assert "bulk" not in attempt["answer"]
    assert rail.calls == [1]


async def test_a_call_takes_twenty_at_most(live: Merchant, rail: PawapayRail) -> None:
    await asked_for(live, rail, 45)
    await live.house.worker.run_until_idle()

    assert sorted(rail.calls) == [5, 20, 20]
    assert len(rail.operations) == 45


async def test_payments_go_one_by_one(live: Merchant, rail: PawapayRail) -> None:
    rail.calls.clear()
    for _ in range(3):
        assert (await live.pay(amount=1_000, phoneNumber="237650000000")).status == 201
    await live.house.worker.run_until_idle()

    assert rail.calls == [1, 1, 1]


async def test_one_that_is_refused_fails_alone(live: Merchant, rail: PawapayRail) -> None:
    made = await asked_for(live, rail, 3)
    rail.refused[made[1]["providerReference"]] = "RECIPIENT_NOT_FOUND"
    await live.house.worker.run_until_idle()

    found = await shown(live, made)
    assert [one["status"] for one in found] == ["PROCESSING", "FAILED", "PROCESSING"]
    assert found[1]["failureReason"] == "RECIPIENT_NOT_FOUND"
    assert rail.calls == [3]
    assert await live.wallets() == {"CMR": (93_000, 2_000)}


@pytest.mark.parametrize(
    ("said", "status"),
    [({"error": "down"}, 503), ({"failureReason": {"failureCode": "INVALID_PARAMETER"}}, 400)],
    ids=["trouble", "one that it cannot read"],
)
async def test_what_was_not_taken_together_is_handed_over_again_each_alone(
    live: Merchant, rail: PawapayRail, clock: ManualClock, said: dict[str, object], status: int
) -> None:
    made = await asked_for(live, rail, 3)
    rail.instead["/v2/payouts/bulk"] = says(said, status)
    await live.house.worker.run_until_idle()
    for one in made:
        assert await live.attempts(one) == [("submit", "unknown")]
    assert await live.wallets() == {"CMR": (92_000, 3_000)}

    for _ in range(3):
        clock.advance(minutes=1)
        await live.house.worker.run_until_idle()

    assert rail.calls == [1, 1, 1]
    assert len(rail.operations) == 3
    for one in made:
        assert (await live.attempts(one))[:3] == [
            ("submit", "unknown"),
            ("check", "not_found"),
            ("submit", "accepted"),
        ]


async def test_what_is_no_longer_to_be_handed_over_is_left_out_of_the_call(
    live: Merchant, rail: PawapayRail
) -> None:
    made = await asked_for(live, rail, 3)
    called_back = f"/api/v1/payments/withdraw/{made[0]['id']}/cancel"
    assert (await live.keys.send("POST", called_back)).status == 200
    await live.house.worker.run_until_idle()

    assert rail.calls == [2]
    assert made[0]["providerReference"] not in rail.operations


@pytest.mark.parametrize("word", WORDS["bulk"])
async def test_however_a_call_is_carried_out_each_payout_ends_as_the_rail_has_it(
    settings: Settings, clock: ManualClock, word: str
) -> None:
    async with paired(settings, clock, f'[[rules]]\noperation = "PAYOUT"\nbulk = "{word}"') as pair:
        made = [
            await pair.merchant.withdraw(
                amount=1_000 + 10 * number, phoneNumber=f"23765000{number:04d}"
            )
            for number in range(25)
        ]
        await pair.works()
        paths = [request["path"] for request in pair.simulator.rail.received]
        assert paths.count("/v2/payouts/bulk") == 2

        found = await ended(pair, made)

        for payout in found:
            truth = pair.truth(payout["providerReference"])
            assert (payout["status"] == "COMPLETED") is (truth is Status.COMPLETED), payout.json
        paid = sum(one["status"] == "COMPLETED" for one in found)
        assert paid == (13 if word == "partial" else 25)
        assert list(pair.simulator.rail.books.unsound()) == []
