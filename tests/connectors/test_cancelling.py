"""A payout that waits at pawaPay for its operator is cancelled there: asked, and never guessed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from kpay.app import House
from kpay.connectors.model import Refused
from kpay.core.clock import ManualClock
from kpay.instructions.model import Action, Claim, Hosted, step_after
from kpay.rail_simulator.books import Status
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import NOW, hangs_up, in_json, instruction, says
from tests.connectors.test_pawapay_by_simulator import Pair, ended, paired
from tests.people import Office, people_of
from tests.visitors import Visitor, words

DELAYED = """
[[operators]]
provider = "MTN_MOMO_CMR"
status = "DELAYED"
after = 60
[[operators]]
provider = "MTN_MOMO_CMR"
status = "OPERATIONAL"
after = 7200
"""
NUMBER = "237650000001"


async def waiting(pair: Pair) -> Answer:
    """A payout that is enqueued at the rail, because its operator is delayed."""
    await pair.pass_seconds(60)
    made = await pair.merchant.withdraw(amount=1_000, phoneNumber=NUMBER)
    assert made.status == 201, made.raw
    await pair.works()
    assert pair.truth(made["providerReference"]) is Status.ENQUEUED
    return made


async def cancel(keys: Browser, made: Answer, **headers: str) -> Answer:
    path = f"/api/v1/payments/withdraw/{made['id']}/cancel"
    return await keys.send("POST", path, headers=headers)


def asked_for(pair: Pair) -> int:
    """How often the rail was asked to cancel something."""
    return sum("/fail-enqueued/" in one["path"] for one in pair.simulator.rail.received)


async def test_what_is_enqueued_is_cancelled_when_the_rail_says_so_and_not_before(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        before = (await pair.merchant.wallets())["CMR"]
        made = await waiting(pair)
        held = (await pair.merchant.wallets())["CMR"]

        answer = await cancel(pair.merchant.keys, made)

        assert (answer.status, answer["status"]) == (202, "PROCESSING"), answer.raw
        assert answer["message"] == (
            "The operator was asked to cancel this withdrawal: if it still can, it ends FAILED and "
            "the whole amount is back in the wallet."
        )
        assert (await pair.merchant.attempts(made))[-1] == ("cancel", "accepted")
        assert (await pair.merchant.wallets())["CMR"] == held

        await pair.works()

        payout = await pair.merchant.payout(made)
        assert (payout["status"], payout["failureReason"]) == ("FAILED", "MANUALLY_CANCELLED")
        assert pair.truth(made["providerReference"]) is Status.FAILED
        assert (await pair.merchant.wallets())["CMR"] == before
        again = await cancel(pair.merchant.keys, made)
        assert (again.status, again["code"]) == (409, "not_cancellable")
        # The rail goes on without it, and it is not paid when the operator is back.
        await pair.pass_seconds(7_200)
        assert pair.truth(made["providerReference"]) is Status.FAILED
        assert list(pair.simulator.rail.books.unsound()) == []


async def test_asked_again_at_once_it_is_answered_alike_and_the_rail_is_left_alone(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        made = await waiting(pair)
        keyed = {"idempotency-key": "one"}

        first = await cancel(pair.merchant.keys, made, **keyed)
        replayed = await cancel(pair.merchant.keys, made, **keyed)
        other = await cancel(pair.merchant.keys, made)

        assert [one.status for one in (first, replayed, other)] == [202, 202, 202]
        assert replayed.raw == first.raw
        assert asked_for(pair) == 1


async def test_what_the_operator_is_paying_already_is_paid(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, "") as pair:
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber=NUMBER)
        await pair.works()
        assert (await pair.merchant.payout(made))["status"] == "PROCESSING"

        answer = await cancel(pair.merchant.keys, made)

        assert (answer.status, answer["code"]) == (409, "not_cancellable")
        last = (await pair.merchant.payout(made))["attempts"][-1]
        assert (last["action"], last["outcome"]) == ("cancel", "declined")
        assert last["answer"]["failureCode"] == "INVALID_STATE"
        (payout,) = await ended(pair, [made])
        assert payout["status"] == "COMPLETED"


async def test_what_goes_on_before_the_merchant_asks_is_paid(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        made = await waiting(pair)
        # The operator is back; here nobody has heard of it yet.
        await pair.simulator.agenda.advance(clock, 7_140)

        assert (await cancel(pair.merchant.keys, made)).status == 409
        (payout,) = await ended(pair, [made])
        assert payout["status"] == "COMPLETED"


async def test_a_refund_that_waits_is_cancelled_alike(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        payment = await pair.merchant.pay(amount=10_000, phoneNumber="237650000000")
        await pair.works()
        await pair.pass_seconds(60)
        before = (await pair.merchant.wallets())["CMR"]
        made = await pair.merchant.refund(payment)
        await pair.works()

        path = f"/api/v1/payments/refunds/{made['id']}/cancel"
        answer = await pair.merchant.keys.send("POST", path)

        assert (answer.status, answer["status"]) == (202, "PROCESSING"), answer.raw
        await pair.works()
        refund = await pair.merchant.refunded(made)
        assert (refund["status"], refund["failureReason"]) == ("FAILED", "MANUALLY_CANCELLED")
        assert (await pair.merchant.wallets())["CMR"] == before


async def test_on_the_dashboard_it_is_asked_for_and_the_timeline_tells(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, DELAYED) as pair:
        made = await waiting(pair)
        office = Office(pair.house, people_of(pair.house), clock)
        await office.hire("awa")
        awa = await Visitor.signed_in(pair.merchant.api, office, "awa")
        await office.set_up(await office.of(awa.token or ""))
        # Behind https the browser keeps the session under a name that only its host can set.
        awa.headers["Cookie"], awa.token = f"__Host-kpay={awa.token}", None
        application = f"/dashboard/app/{pair.merchant.application_id}"
        address = f"{application}/live/transactions/{made['id']}"
        asked = words(await awa.get(address, ask="cancel"))
        assert "can cancel it only as long as it waits there" in asked

        answer = await awa.post(f"{address}/cancel")

        assert answer.headers["location"] == f"{address}?done=asked#main"
        told = words(await awa.get(address, done="asked"))
        assert "The operator was asked to cancel it." in told
        assert "It cancels it, and will say when that is done." in told
        await pair.works()
        told = words(await awa.get(address))
        assert "it was cancelled where it waited for the operator" in told
        assert "Cancel it" not in told


async def at_the_rail(live: Merchant, rail: PawapayRail) -> Answer:
    """A payout that is enqueued at a rail which does as it is told."""
    made = await live.withdraw(phoneNumber=NUMBER)
    await live.house.worker.run_until_idle()
    rail.decide(rail.only, "ENQUEUED")
    return made


async def test_no_answer_is_unknown_and_the_status_alone_tells(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    made = await at_the_rail(live, rail)
    rail.instead["/v2/payouts/fail-enqueued/"] = hangs_up

    answer = await cancel(live.keys, made)

    assert (answer.status, answer["status"]) == (202, "PROCESSING")
    assert (await live.attempts(made))[-1] == ("cancel", "unknown")
    # It was paid meanwhile: that it was asked to cancel it says nothing against that.
    rail.decide(rail.only, "COMPLETED")
    clock.advance(seconds=60)
    await live.house.worker.run_until_idle()
    assert (await live.payout(made))["status"] == "COMPLETED"


async def test_after_a_minute_without_news_the_rail_is_asked_once_more(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    made = await at_the_rail(live, rail)
    rail.instead["/v2/payouts/fail-enqueued/"] = says({}, 500)
    assert (await cancel(live.keys, made)).status == 202
    assert (await cancel(live.keys, made)).status == 202
    clock.advance(seconds=61)

    assert (await cancel(live.keys, made)).status == 202

    asked = [one for one in await live.attempts(made) if one[0] == "cancel"]
    assert asked == [("cancel", "unknown")] * 2


async def test_the_intent_is_on_record_before_the_rail_is_asked(
    live: Merchant, rail: PawapayRail
) -> None:
    made = await at_the_rail(live, rail)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def holds_back(_request: Any) -> Any:
        arrived.set()
        await go_on.wait()
        return in_json({"payoutId": rail.only, "status": "ACCEPTED"})

    rail.instead["/v2/payouts/fail-enqueued/"] = holds_back
    asking = asyncio.create_task(cancel(live.keys, made))
    await arrived.wait()

    assert (await live.attempts(made))[-1] == ("cancel", None)
    # Nothing is locked meanwhile: another request is answered at once, and asks nobody.
    assert (await cancel(live.keys, made)).status == 202
    go_on.set()
    assert (await asking).status == 202
    assert (await live.attempts(made))[-1] == ("cancel", "accepted")


async def test_an_answer_that_was_on_its_way_does_not_end_it_late(
    live_house: House, live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    """A status that was asked before and says FAILED after: the end, whatever was asked between."""
    made = await at_the_rail(live, rail)
    rail.instead["/v2/payouts/fail-enqueued/"] = says({"payoutId": rail.only, "status": "ACCEPTED"})
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def holds_back(_request: Any) -> Any:
        arrived.set()
        await go_on.wait()
        reason = {"failureCode": "MANUALLY_CANCELLED", "failureMessage": ""}
        failed = {**rail.operations[rail.only], "status": "FAILED", "failureReason": reason}
        return in_json({"status": "FOUND", "data": failed})

    rail.instead[f"/v2/payouts/{rail.only}"] = holds_back
    clock.advance(seconds=3)
    working = asyncio.create_task(live_house.worker.run_until_idle())
    await arrived.wait()
    assert (await cancel(live.keys, made)).status == 202
    go_on.set()
    await working

    payout = await live.payout(made)
    assert (payout["status"], payout["failureReason"]) == ("FAILED", "MANUALLY_CANCELLED")
    assert (await live.wallets())["CMR"] == (95_000, 0)


async def test_a_key_whose_answer_was_lost_is_answered_from_what_was_asked(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    """The process died before it kept its answer, and the end came before it was asked again."""
    made = await at_the_rail(live, rail)
    path = "/v2/payouts/fail-enqueued/"
    rail.instead[path] = says({"payoutId": rail.only, "status": "ACCEPTED"})
    keyed = {"idempotency-key": "one"}
    assert (await cancel(live.keys, made, **keyed)).status == 202
    await live.house.database.execute("update idempotency_keys set status = null, body = null")
    reason = {"failureCode": "MANUALLY_CANCELLED", "failureMessage": ""}
    rail.decide(rail.only, "FAILED", failureReason=reason)
    clock.advance(seconds=31)
    await live.house.worker.run_until_idle()
    rail.instead[path] = says({}, 500)

    answer = await cancel(live.keys, made, **keyed)

    assert (answer.status, answer["status"]) == (202, "FAILED"), answer.raw
    assert [one for one, _ in await live.attempts(made)].count("cancel") == 1


async def test_what_another_rail_has_or_none_is_refused_as_ever(
    live: Merchant, rail: PawapayRail
) -> None:
    made = await live.withdraw(phoneNumber=NUMBER)

    assert (await cancel(live.keys, made))["status"] == "CANCELLED"
    assert rail.operations == {}


def test_what_was_cancelled_at_the_rail_does_not_go_back_to_its_page() -> None:
    told = instruction()
    claim = Claim(UUID(int=2), 2, Action.CHECK, told, "pawapay")
    hosted = Hosted(NOW + timedelta(minutes=10), choice=1)

    for cancelled, status in ((False, "PENDING"), (True, "FAILED")):
        outcome = Refused("MANUALLY_CANCELLED", cancelled=cancelled)
        assert step_after(claim, outcome, NOW, hosted).status == status
