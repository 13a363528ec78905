"""A payout with a deadline at a rail whose operator is delayed: both sides agree how it ended."""

from __future__ import annotations

from kpay.core.clock import ManualClock
from kpay.rail_simulator.books import Status
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.connectors.test_cancelling import DELAYED, NUMBER, asked_for
from tests.connectors.test_conditions import available, configured, learn
from tests.connectors.test_pawapay_by_simulator import Pair, ended, paired
from tests.people import Office, people_of
from tests.visitors import Visitor, words

# The operator is delayed from the first minute on, for two hours.
MINUTES_OF_DELAY = 119


async def waiting(pair: Pair, minutes: int) -> Answer:
    """A payout that is enqueued at the rail, and may wait there for so long."""
    await pair.pass_seconds(60)
    made = await pair.merchant.withdraw(amount=1_000, phoneNumber=NUMBER, queueMinutes=minutes)
    assert made.status == 201, made.raw
    await pair.works()
    assert pair.truth(made["providerReference"]) is Status.ENQUEUED
    return made


async def test_what_waits_for_longer_than_it_may_is_cancelled_at_the_rail_and_given_back(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        before = (await pair.merchant.wallets())["CMR"]
        made = await waiting(pair, 30)
        await pair.pass_seconds(29 * 60)
        assert asked_for(pair) == 0
        assert (await pair.merchant.payout(made))["status"] == "PROCESSING"

        await pair.pass_seconds(60)

        payout = await pair.merchant.payout(made)
        assert (payout["status"], payout["failureReason"]) == ("FAILED", "DEADLINE_PASSED")
        assert pair.truth(made["providerReference"]) is Status.FAILED
        assert (await pair.merchant.wallets())["CMR"] == before
        assert asked_for(pair) == 1
        # The rail goes on without it, and it is not paid when the operator is back.
        await pair.pass_seconds(7_200)
        assert pair.truth(made["providerReference"]) is Status.FAILED
        assert list(pair.simulator.rail.books.unsound()) == []


async def test_what_is_paid_before_its_deadline_is_left_alone(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        made = await waiting(pair, MINUTES_OF_DELAY + 60)

        await pair.pass_seconds(3_600)
        (payout,) = await ended(pair, [made])

        assert payout["status"] == "COMPLETED"
        await pair.pass_seconds(3_600)
        assert asked_for(pair) == 0


async def test_what_the_operator_pays_in_the_moment_of_its_deadline_is_paid(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        made = await waiting(pair, MINUTES_OF_DELAY)
        # The operator is back as the time is over, and here nobody has heard of it yet.
        await pair.simulator.agenda.advance(clock, MINUTES_OF_DELAY * 60)
        await pair.works()

        cancels = [one for one in await pair.merchant.attempts(made) if one[0] == "cancel"]
        (payout,) = await ended(pair, [made])
        assert payout["status"] == "COMPLETED"
        assert set(cancels) <= {("cancel", "declined")}
        assert list(pair.simulator.rail.books.unsound()) == []


async def test_a_payout_that_is_not_to_wait_is_refused_while_its_operator_is_delayed(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    rail.configured = configured(PAYOUT={})
    rail.available = available(PAYOUT="DELAYED")
    await learn(live, rail, clock)

    refused = await live.withdraw(phoneNumber=NUMBER, ifDelayed="REFUSE")
    assert (refused.status, refused["code"]) == (400, "provider_closed")
    assert "MTN_MOMO_CMR is delayed in production" in refused["message"]
    assert (await live.wallets())["CMR"] == (95_000, 0)
    assert (await live.withdraw(phoneNumber=NUMBER)).status == 201

    rail.available = available(PAYOUT="OPERATIONAL")
    await learn(live, rail, clock)
    assert (await live.withdraw(phoneNumber=NUMBER, ifDelayed="REFUSE")).status == 201


async def test_without_an_answer_the_rail_is_asked_again_and_the_money_stays_held(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    made = await live.withdraw(phoneNumber=NUMBER, queueMinutes=10)
    await live.house.worker.run_until_idle()
    rail.decide(rail.only, "ENQUEUED")
    rail.instead["/v2/payouts/fail-enqueued/"] = says({}, 500)
    clock.advance(minutes=10)
    await live.house.worker.run_until_idle()
    clock.advance(minutes=2)
    await live.house.worker.run_until_idle()

    cancels = [one for one in await live.attempts(made) if one[0] == "cancel"]
    assert cancels == [("cancel", "unknown")] * 2
    assert (await live.payout(made))["status"] == "PROCESSING"
    assert (await live.wallets())["CMR"] == (94_000, 1_000)


async def test_the_dashboard_tells_that_its_time_is_over(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        made = await waiting(pair, 30)
        office = Office(pair.house, people_of(pair.house), clock)
        await office.hire("awa")
        awa = await Visitor.signed_in(pair.merchant.api, office, "awa")
        await office.set_up(await office.of(awa.token or ""))
        # Behind https the browser keeps the session under a name that only its host can set.
        awa.headers["Cookie"], awa.token = f"__Host-kpay={awa.token}", None
        address = f"/dashboard/app/{pair.merchant.application_id}/live/transactions/{made['id']}"
        told = words(await awa.get(address))
        assert "Its time to wait for the operator" in told
        assert "what is not paid by then is cancelled, if it still can be" in told

        await pair.pass_seconds(30 * 60)

        told = words(await awa.get(address))
        assert "Its time to wait was over. It cancels it, and will say when that is done." in told
        assert "its time to wait for the operator was over" in told
