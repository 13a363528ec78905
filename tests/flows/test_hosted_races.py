"""The hosted page at once, twice and too late: one choice is taken, and counted for itself."""

from __future__ import annotations

import asyncio

import pytest

from kpay.app import House
from kpay.connectors.model import Accepted, NotFound, Paid, Refused, Unknown
from kpay.core.clock import ManualClock
from tests.client import Merchant
from tests.hosted import Visitor, init
from tests.houses import opened
from tests.logs import logged
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

REFUSED = Refused("PAYMENT_NOT_APPROVED")


async def work(house: House) -> None:
    await house.worker.run_until_idle()


async def test_a_double_click_asks_the_operator_once(
    merchant: Merchant, house: House, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    made = await init(merchant)
    payer = Visitor.at(merchant, made)

    answers = await asyncio.gather(*(payer.choose() for _ in range(6)))
    await work(house)

    assert {answer.status for answer in answers} == {303}
    assert rail.verbs == ["submit"]
    assert await merchant.wallets() == {"CMR": (4750, 0)}
    await assert_sound(database_url)


async def test_of_two_tabs_with_two_choices_one_is_taken(
    merchant: Merchant, house: House, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    made = await init(merchant)
    one, other = Visitor.at(merchant, made), Visitor.at(merchant, made)

    await asyncio.gather(one.choose("MTN_MOMO_CMR"), other.choose("ORANGE_CMR"))
    await work(house)

    assert len(rail.asked) == 1
    told = rail.asked[0][1]
    payment = (await merchant.payment(made)).json
    assert (payment["status"], payment["provider"]) == ("COMPLETED", told.provider)
    await assert_sound(database_url)


async def test_a_choice_and_a_cancellation_at_once_end_in_one_of_the_two(
    merchant: Merchant, house: House, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    for number in range(6):
        made = await init(merchant, externalId=f"ORDER-{number}")
        payer = Visitor.at(merchant, made)
        before = len(rail.asked)
        await asyncio.gather(payer.choose(), payer.cancel())
        await work(house)
        status = (await merchant.payment(made))["status"]
        assert (status, len(rail.asked) - before) in {("COMPLETED", 1), ("CANCELLED", 0)}
    await assert_sound(database_url)


async def test_the_last_choice_and_the_expiry_at_once_end_in_one_of_the_two(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    """A worker whose clock is ahead ends what a payer chooses at the same moment."""
    rail = ScriptedRail().serve(house)
    ahead = ManualClock(clock.now())
    ahead.advance(minutes=30)
    async with opened(house.settings, ahead) as other:
        for number in range(6):
            made = await init(merchant, externalId=f"ORDER-{number}")
            before = len(rail.asked)
            await asyncio.gather(Visitor.at(merchant, made).choose(), other.payments.expire(100))
            await work(house)
            status = (await merchant.payment(made))["status"]
            assert (status, len(rail.asked) - before) in {("COMPLETED", 1), ("FAILED", 0)}
    await assert_sound(database_url)


async def test_no_answer_is_no_refusal_and_does_not_lead_back_to_the_page(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Unknown("no answer"), NotFound(), Accepted()).serve(house)
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    await payer.choose()

    for _ in range(3):
        await house.worker.step()
        assert await payer.state() == "waiting"
        await payer.choose("ORANGE_CMR")
        clock.advance(seconds=10)

    assert {told.provider for _, told in rail.asked} == {"MTN_MOMO_CMR"}
    assert len({told.reference for _, told in rail.asked}) == 1


async def test_what_never_arrived_fails_and_does_not_lead_back_to_the_page(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    ScriptedRail(Unknown("no answer"), otherwise=NotFound()).serve(house)
    made = await init(merchant)
    await Visitor.at(merchant, made).choose()
    await house.worker.step()
    clock.advance(minutes=16)

    await house.worker.step()

    failed = (await merchant.payment(made)).json
    assert (failed["status"], failed["failureReason"]) == ("FAILED", "NOT_FOUND")
    await assert_sound(database_url)


@pytest.mark.parametrize("late", [Paid(), REFUSED, Unknown("late"), NotFound()])
async def test_what_is_learnt_late_of_an_earlier_choice_never_counts_for_the_next(
    merchant: Merchant,
    house: House,
    clock: ManualClock,
    database_url: str,
    late: Paid | Refused | Unknown | NotFound,
) -> None:
    answered, asked = asyncio.Event(), asyncio.Event()

    async def slow(_instruction: object) -> Paid | Refused | Unknown | NotFound:
        asked.set()
        await answered.wait()
        return late

    rail = ScriptedRail(slow, REFUSED, otherwise=Paid()).serve(house)
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    await payer.choose("MTN_MOMO_CMR")
    frozen = asyncio.create_task(house.payments.work(10))
    await asked.wait()
    # The claim runs out, somebody else asks and is refused, and the payer tries another way.
    clock.advance(seconds=61)
    await house.payments.work(10)
    assert await payer.state() == "choosing"
    await payer.choose("AIRTEL_GAB", "24174345678")

    with logged() as said:
        answered.set()
        await frozen

    assert any("answer_after_end" in line for line in said)
    assert await payer.state() == "waiting"
    assert await merchant.wallets() == {}
    await work(house)
    payment = (await merchant.payment(made)).json
    assert (payment["status"], payment["country"]) == ("COMPLETED", "GAB")
    assert [row["sent"]["provider"] for row in payment["attempts"]] == [
        "MTN_MOMO_CMR",
        "MTN_MOMO_CMR",
        "AIRTEL_GAB",
    ]
    assert payment["attempts"][0]["outcome"] is not None
    assert await merchant.wallets() == {"GAB": (4750, 0)}
    assert len(rail.asked) == 3
    await assert_sound(database_url)
