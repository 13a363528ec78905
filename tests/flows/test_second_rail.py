"""What one rail has refused for a reason of its own goes on at the next one: promises 4 and 5.

Two references of one operation must never be alive at once, so it takes a definite refusal of a
reference that is dead. Everything else ends, or waits, where it is.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import CLOSED, DELAYED, OPERATIONAL, Cancelling, Condition
from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.contradictions.model import What
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.limits import Limits
from kpay.core.money import Money
from kpay.database.embedded import as_program
from kpay.instructions import next_rails
from tests.books import journal, operation_of
from tests.client import Answer, Merchant
from tests.hosted import PAYS, init
from tests.hosted import Visitor as Payer
from tests.people import Office
from tests.rails import Said
from tests.soundness import assert_sound
from tests.two_rails import DOWN, WRONG_NUMBER, CallingRail, TwoRails, told
from tests.visitors import Visitor, words

HELD = {"CMR": (85_000, 10_000)}
PAID = {"CMR": (85_000, 0)}
GIVEN_BACK = {"CMR": (95_000, 0)}


async def paid_out(funded: Merchant, rails: TwoRails) -> Answer:
    """A payout of 10,000 gross with an externalId, after the worker came by."""
    made = await funded.withdraw(amount=10_000, externalId="payout-1")
    assert made.status == 201, made.raw
    await rails.works()
    return made


async def at(funded: Merchant, made: Answer) -> list[tuple[str, str, str | None]]:
    """Each attempt: at which rail, what it was, and what came of it."""
    attempts = (await funded.payout(made))["attempts"]
    return [(one["connector"], one["action"], one["outcome"]) for one in attempts]


async def test_a_payout_goes_on_at_the_second_rail_as_the_same_one_under_another_reference(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN], [Accepted()])
    with capture_logs() as logs:
        made = await paid_out(funded, rails)

    now = await funded.payout(made)
    (here,), (there,) = told(rails.first), told(rails.second)
    assert (now["status"], now["externalId"], now["failureReason"]) == (
        "PROCESSING",
        "payout-1",
        None,
    )
    assert await funded.wallets() == HELD
    assert here.reference != there.reference
    assert now["providerReference"] == str(there.reference)
    assert (here.amount, here.phone_number) == (there.amount, there.phone_number)
    (line,) = [line for line in logs if line["event"] == "goes_on_at_next_rail"]
    assert (line["connector"], line["next_connector"]) == ("first", "second")

    await rails.works(seconds=5)
    ended = await funded.payout(made)
    assert ended["status"] == "COMPLETED"
    assert await at(funded, made) == [
        ("first", "submit", "refused"),
        ("second", "submit", "accepted"),
        ("second", "check", "paid"),
    ]
    assert [one["sent"]["reference"] for one in ended["attempts"]] == [
        str(here.reference),
        str(there.reference),
        str(there.reference),
    ]
    assert ended["attempts"][0]["answer"] == {"by": "the rail", "failureCode": DOWN.code}
    assert await funded.wallets() == PAID
    assert (await journal(house, made["id"])).count("payout_completed") == 1
    again = await funded.withdraw(amount=10_000, externalId="payout-1")
    assert again.status == 409
    await assert_sound(database_url)


OTHERWISE: dict[str, Outcome] = {
    "a wrong number": WRONG_NUMBER,
    "a reason that nobody knows": Refused("UNSPECIFIED_FAILURE"),
    "cancelled there": Refused("MANUALLY_CANCELLED", cancelled=True, own_trouble=True),
}


@pytest.mark.parametrize("reason", OTHERWISE)
async def test_another_reason_ends_it_as_always(
    funded: Merchant, house: House, clock: ManualClock, reason: str
) -> None:
    rails = TwoRails.serve(house, clock, [OTHERWISE[reason]])
    made = await paid_out(funded, rails)

    assert (await funded.payout(made))["status"] == "FAILED"
    assert rails.second.asked == []
    assert await funded.wallets() == GIVEN_BACK


@pytest.mark.parametrize(
    "said", [Unknown("HTTP 500"), TimeoutError(), Accepted(), NotFound()], ids=repr
)
async def test_what_is_not_refused_stays_where_it_is_however_long_it_takes(
    funded: Merchant, house: House, clock: ManualClock, said: Said
) -> None:
    """A rail that has never seen it may get it yet: after a quarter of an hour it has failed."""
    rails = TwoRails.serve(house, clock, [])
    rails.first.otherwise = said
    await paid_out(funded, rails)
    for _ in range(8):
        await rails.works(minutes=15)

    assert rails.second.asked == []
    assert {one.reference for _, one in rails.first.asked} == {told(rails.first)[0].reference}


async def test_what_is_refused_after_its_deadline_goes_nowhere_else(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [Accepted()])
    rails.first.otherwise = Accepted()
    made = await funded.withdraw(amount=10_000, queueMinutes=5)
    await rails.works()
    rails.first.otherwise = DOWN
    await rails.works(minutes=6)

    ended = await funded.payout(made)
    assert (ended["status"], ended["failureReason"]) == ("FAILED", DOWN.code)
    assert rails.second.asked == []
    assert await funded.wallets() == GIVEN_BACK


async def test_what_was_handed_over_twice_and_refused_at_the_door_goes_nowhere_else(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    """The first copy of it may arrive when the rail is up again, and be taken."""
    rails = TwoRails.serve(house, clock, [Unknown("timeout"), NotFound(), DOWN])
    made = await paid_out(funded, rails)
    for _ in range(3):
        await rails.works(minutes=1)

    ended = await funded.payout(made)
    assert (ended["status"], ended["failureReason"]) == ("FAILED", DOWN.code)
    assert [verb for verb, _ in rails.first.asked] == ["submit", "check", "submit"]
    assert rails.second.asked == []


async def test_what_a_rail_has_on_record_as_failed_goes_on_however_often_it_was_handed_over(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [Unknown("timeout"), NotFound(), Unknown("timeout"), DOWN])
    made = await paid_out(funded, rails)
    for _ in range(4):
        await rails.works(minutes=1)

    assert (await funded.payout(made))["status"] == "COMPLETED"
    assert len(told(rails.second)) == 1
    await assert_sound(database_url)


async def test_each_rail_is_tried_once_and_the_last_one_s_reason_is_told(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    empty = Refused("OUT_OF_FUNDS", own_trouble=True)
    rails = TwoRails.serve(house, clock, [DOWN], [empty])
    made = await paid_out(funded, rails)

    ended = await funded.payout(made)
    assert (ended["status"], ended["failureReason"]) == ("FAILED", "OUT_OF_FUNDS")
    assert await at(funded, made) == [
        ("first", "submit", "refused"),
        ("second", "submit", "refused"),
    ]
    assert await funded.wallets() == GIVEN_BACK
    again = await funded.withdraw(amount=10_000, externalId="payout-1")
    assert again.status == 201
    await assert_sound(database_url)


async def test_a_worker_that_dies_in_between_leaves_it_at_one_rail(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN], [NotFound()])
    made = await funded.withdraw(amount=10_000)
    await house.payouts.work(10)
    # Claimed for the second rail, and never handed over.
    await house.rails.claim(OperationType.PAYOUT, 10)
    for _ in range(3):
        await rails.works(minutes=1)

    assert [verb for verb, _ in rails.second.asked] == ["check", "submit"]
    assert len({one.reference for _, one in rails.second.asked}) == 1
    assert len(told(rails.first)) == 1
    assert (await funded.payout(made))["status"] == "COMPLETED"
    await assert_sound(database_url)


async def test_what_is_recorded_again_goes_on_once(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    """The connection was lost after the commit, so the answer is recorded a second time."""
    rails = TwoRails.serve(house, clock, [])
    made = await funded.withdraw(amount=10_000)
    (claim,) = await house.rails.claim(OperationType.PAYOUT, 10)
    agreed = (await house.payouts.get(claim.book, claim.id)).agreed
    for _ in range(2):
        await house.payouts.record(claim, agreed, DOWN)
    await rails.works()

    assert (await funded.payout(made))["status"] == "COMPLETED"
    assert len(told(rails.second)) == 1
    assert await house.database.fetchval("select count(*) from earlier_rails") == 1
    await assert_sound(database_url)


async def test_what_was_begun_with_it_while_it_was_looked_at_keeps_it_from_going_on(
    funded: Merchant, house: House, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cancelling was asked for after the rules had said that it may."""
    rails = TwoRails.serve(house, clock, [Accepted()])
    cancels = Cancels(Accepted())
    cancels.name = "first"
    house.routing.serve(
        Environment.TEST,
        {"first": cancels, "second": rails.second},
        {"*": ("first", "second")},
    )
    made = await paid_out(funded, rails)
    clock.advance(minutes=1)
    (claim,) = await house.rails.claim(OperationType.PAYOUT, 10)
    asked = await funded.keys.send("POST", f"/api/v1/payments/withdraw/{made['id']}/cancel")
    assert asked.status == 202, asked.raw
    monkeypatch.setattr(next_rails, "may_go_on", lambda *_: True)
    agreed = (await house.payouts.get(claim.book, claim.id)).agreed
    await house.payouts.record(claim, agreed, DOWN)
    await rails.works()

    assert (await funded.payout(made))["status"] == "FAILED"
    assert rails.second.asked == []
    assert await funded.wallets() == GIVEN_BACK


class Cancels(CallingRail):
    async def cancel(self, _instruction: Instruction) -> Cancelling:
        return Cancelling()


# A rail that refused it and has paid it all the same.


async def the_one(house: House) -> Any:
    (found,) = await house.contradictions.list(open_only=False)
    return found


async def test_the_rail_before_is_asked_once_more_and_what_it_paid_is_held_for_an_operator(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, Paid({"id": "42"})])
    made = await paid_out(funded, rails)
    assert (await funded.payout(made))["status"] == "COMPLETED"
    await rails.works(minutes=14)
    assert [verb for verb, _ in rails.first.asked] == ["submit"]

    await rails.works(minutes=1)
    found = await the_one(house)
    assert (found.what, found.status, found.connector) == (
        What.PAID_AFTER_REFUSED,
        "COMPLETED",
        "first",
    )
    assert found.reference == told(rails.first)[0].reference
    assert found.told == told(rails.first)[0].amount
    assert found.evidence == {"id": "42"}
    assert (await at(funded, made))[-1] == ("first", "check", "paid")
    assert await funded.wallets() == PAID

    # It has said all that there is to say.
    await rails.works(hours=2)
    assert [verb for verb, _ in rails.first.asked] == ["submit", "check"]
    await assert_sound(database_url)


async def test_the_rail_before_is_believed_while_the_next_one_has_it_still(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    """Its answer ends nothing, and the second rail's counts as it would without it."""
    rails = TwoRails.serve(house, clock, [DOWN, Paid()])
    rails.second.otherwise = Accepted()
    made = await paid_out(funded, rails)
    await rails.works(minutes=15)

    assert (await the_one(house)).status == "PROCESSING"
    assert (await funded.payout(made))["status"] == "PROCESSING"
    assert await funded.wallets() == HELD
    rails.second.otherwise = Paid()
    await rails.works(minutes=15)
    assert (await funded.payout(made))["status"] == "COMPLETED"
    await assert_sound(database_url)


async def test_a_rail_that_has_it_under_way_all_the_same_rings_and_is_asked_until_it_says(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, Accepted(), Unknown("timeout"), Refused("NO")])
    await paid_out(funded, rails)
    with capture_logs() as logs:
        for _ in range(6):
            await rails.works(minutes=15)

    assert [verb for verb, _ in rails.first.asked] == ["submit", "check", "check", "check"]
    (alarm,) = [line for line in logs if line["event"] == "rail_alarm"]
    assert alarm["reference"] == str(told(rails.first)[0].reference)
    assert await house.contradictions.list(open_only=False) == []


async def test_a_late_callback_about_the_first_reference_has_that_rail_asked_again(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, NotFound(), Paid()])
    await paid_out(funded, rails)
    await rails.works(hours=1)
    first = told(rails.first)[0].reference
    assert await house.contradictions.list() == []

    await rails.calls_back(rails.first, first)
    await rails.works(minutes=14)
    assert await house.contradictions.list() == []
    await rails.works(minutes=1)
    assert (await the_one(house)).reference == first
    # Word for word the same again asks for nothing.
    await rails.calls_back(rails.first, first)
    await rails.works(hours=1)
    assert [verb for verb, _ in rails.first.asked] == ["submit", "check", "check"]
    await assert_sound(database_url)


async def test_a_callback_about_the_first_reference_hastens_what_it_is_asked_anyway(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, NotFound()])
    await paid_out(funded, rails)
    await rails.calls_back(rails.first, told(rails.first)[0].reference)
    await rails.works(minutes=1)

    assert [verb for verb, _ in rails.first.asked] == ["submit", "check"]
    await rails.works(hours=1)
    assert [verb for verb, _ in rails.first.asked] == ["submit", "check"]


async def test_another_rail_s_callback_about_it_counts_for_nothing(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, NotFound()])
    await paid_out(funded, rails)
    await rails.works(hours=1)

    await rails.calls_back(rails.second, told(rails.first)[0].reference)
    await rails.works(hours=1)
    assert [verb for verb, _ in rails.first.asked] == ["submit", "check"]


async def test_an_answer_that_was_on_its_way_when_it_went_on_is_of_the_first_reference(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    """A worker that was stopped in its call hears paid, when others were told that it failed."""
    begun, released = asyncio.Event(), asyncio.Event()

    async def stuck(_instruction: Instruction) -> Outcome:
        begun.set()
        await released.wait()
        return Paid({"id": "42"})

    rails = TwoRails.serve(house, clock, [stuck, DOWN], [Accepted()])
    made = await funded.withdraw(amount=10_000)
    worker = asyncio.create_task(house.payouts.work(10))
    await begun.wait()
    await rails.works(minutes=1)
    assert len(told(rails.second)) == 1
    released.set()
    await worker

    assert (await the_one(house)).what is What.PAID_AFTER_REFUSED
    assert (await funded.payout(made))["status"] == "PROCESSING"
    await rails.works(minutes=1)
    assert (await funded.payout(made))["status"] == "COMPLETED"
    assert (await journal(house, made["id"])).count("payout_completed") == 1
    await assert_sound(database_url)


# Who is asked for money, and who gets it back.


async def test_a_payment_goes_on_while_its_payer_waits(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN])
    made = await merchant.pay(amount=10_000)
    await rails.works()

    paid = await merchant.payment(made)
    assert (paid["status"], paid["providerReference"]) == (
        "COMPLETED",
        str(told(rails.second)[0].reference),
    )
    assert await merchant.wallets() == {"CMR": (9_500, 0)}
    await assert_sound(database_url)


async def test_a_payer_who_was_asked_a_while_ago_is_asked_by_nobody_else(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [Unknown("timeout")])
    made = await merchant.pay(amount=10_000)
    await rails.works()
    rails.first.otherwise = DOWN
    await rails.works(minutes=6)

    assert (await merchant.payment(made))["status"] == "FAILED"
    assert rails.second.asked == []


async def test_a_refund_is_for_the_rail_that_took_the_deposit_and_for_no_other(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN], [Paid(), DOWN])
    more = await merchant.pay(amount=10_000)
    await rails.works()
    await merchant.collect(10_000)
    assert (await merchant.payment(more))["status"] == "COMPLETED"

    refund = await merchant.refund(await merchant.payment(more))
    assert refund.status == 201, refund.raw
    await rails.works()
    ended = await merchant.refunded(refund)
    # The first rail is open, and knows nothing of it; that the second has trouble ends it.
    assert (ended["status"], ended["failureReason"]) == ("FAILED", DOWN.code)
    assert [one["connector"] for one in ended["attempts"]] == ["second"]
    deposit = told(rails.second)[0].reference
    assert told(rails.second)[1].deposit_reference == deposit
    await assert_sound(database_url)


async def test_a_refund_of_what_a_rail_has_taken_that_is_gone_is_refused(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN])
    made = await merchant.pay(amount=10_000)
    await rails.works()
    await merchant.collect(10_000)
    house.routing.serve(Environment.TEST, {"first": rails.first}, {"*": "first"})

    refused = await merchant.refund(await merchant.payment(made))
    assert (refused.status, refused["code"]) == (400, "provider_closed")


async def test_a_choice_on_a_page_goes_on_and_is_asked_for_anew_when_no_rail_takes_it(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, DOWN], [Refused("PAYER_LIMIT_REACHED")])
    made = await init(merchant)
    visitor = Payer.at(merchant, made)
    await visitor.choose("MTN_MOMO_CMR", PAYS)
    await rails.works()
    assert await visitor.state() == "choosing"

    # Another choice begins at the first rail, and has both of them before it.
    await visitor.choose("MTN_MOMO_CMR", PAYS)
    await rails.works()
    assert await visitor.state() == "completed"
    assert [len(told(rails.first)), len(told(rails.second))] == [2, 2]
    asked = {one.reference for rail in (rails.first, rails.second) for one in told(rail)}
    assert len(asked) == 4
    await assert_sound(database_url)


async def test_what_the_merchant_wants_to_have_cancelled_goes_nowhere_else(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [])
    cancels = Cancels(Accepted(), DOWN)
    cancels.name = "first"
    house.routing.serve(
        Environment.TEST,
        {"first": cancels, "second": rails.second},
        {"*": ("first", "second")},
    )
    made = await paid_out(funded, rails)
    asked = await funded.keys.send("POST", f"/api/v1/payments/withdraw/{made['id']}/cancel")
    assert asked.status == 202, asked.raw
    await rails.works()

    assert (await funded.payout(made))["status"] == "FAILED"
    assert rails.second.asked == []


# Where new business begins.


def condition(status: str, **terms: Any) -> list[Condition]:
    """On which terms a rail works for payouts to MTN in Cameroon, and everything else freely."""
    return [
        Condition("MTN_MOMO_CMR", OperationType.PAYOUT, "XAF", status, **terms),
        Condition("MTN_MOMO_CMR", OperationType.DEPOSIT, "XAF", OPERATIONAL),
    ]


@pytest.mark.parametrize(
    ("first", "second", "begins"),
    [
        (OPERATIONAL, OPERATIONAL, "first"),
        (CLOSED, OPERATIONAL, "second"),
        (DELAYED, OPERATIONAL, "second"),
        (CLOSED, DELAYED, "second"),
        (DELAYED, DELAYED, "first"),
        (DELAYED, CLOSED, "first"),
    ],
)
async def test_a_new_payout_begins_at_the_first_rail_that_is_open(
    funded: Merchant, house: House, clock: ManualClock, first: str, second: str, begins: str
) -> None:
    rails = TwoRails.serve(house, clock, [])
    house.routing.learn(Environment.TEST, "first", condition(first))
    house.routing.learn(Environment.TEST, "second", condition(second))
    made = await paid_out(funded, rails)

    assert await at(funded, made) == [(begins, "submit", "paid")]


async def test_what_is_closed_at_every_rail_is_refused_and_open_again_as_soon_as_one_is(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rails = TwoRails.serve(house, clock, [])
    for name in ("first", "second"):
        house.routing.learn(Environment.TEST, name, condition(CLOSED))
    refused = await funded.withdraw(amount=10_000)
    assert refused["code"] == "provider_closed"

    house.routing.learn(Environment.TEST, "second", condition(OPERATIONAL))
    made = await paid_out(funded, rails)
    assert await at(funded, made) == [("second", "submit", "paid")]


TERMS: dict[str, list[Condition]] = {
    "closed": condition(CLOSED),
    "an amount that is too small for it": condition(
        OPERATIONAL, limits=Limits(Money(10_000_000, "XAF"), Money(20_000_000, "XAF"))
    ),
}


@pytest.mark.parametrize("terms", TERMS)
async def test_a_rail_that_cannot_carry_it_out_is_passed_over(
    funded: Merchant, house: House, clock: ManualClock, terms: str
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN])
    house.routing.learn(Environment.TEST, "second", TERMS[terms])
    made = await paid_out(funded, rails)

    assert (await funded.payout(made))["status"] == "FAILED"
    assert rails.second.asked == []


# What people see of it.


async def test_the_page_of_a_payout_says_which_rail_each_attempt_was_at(
    funded: Merchant, house: House, clock: ManualClock, office: Office
) -> None:
    rails = TwoRails.serve(house, clock, [DOWN, Paid()], [Accepted()])
    made = await paid_out(funded, rails)
    await rails.works(seconds=5)
    await rails.works(minutes=15)
    await office.hire("awa")
    awa = await Visitor.signed_in(funded.api, office, "awa")
    where = f"/dashboard/app/{funded.application_id}/test/transactions/{made['id']}"

    told = words(await awa.get(where))

    place = 0
    for step in (
        "Handed to MTN Cameroon, by the connector first",
        "It says no, for certain.",
        "Handed to MTN Cameroon, by the connector second",
        "Asked MTN Cameroon what became of it, by the connector second",
        "It says: paid.",
        "Completed",
        "Asked MTN Cameroon what became of it, by the connector first",
        "It had refused it, and says now: paid.",
    ):
        place = told.find(step, place)
        assert place >= 0, step


async def test_where_one_rail_has_had_it_no_connector_is_named_in_its_steps(
    funded: Merchant, house: House, clock: ManualClock, office: Office
) -> None:
    made = await paid_out(funded, TwoRails.serve(house, clock, []))
    await office.hire("awa")
    awa = await Visitor.signed_in(funded.api, office, "awa")
    where = f"/dashboard/app/{funded.application_id}/test/transactions/{made['id']}"

    told = words(await awa.get(where))
    assert "Handed to MTN" in told
    assert "Cameroon, by the connector" not in told


# The database holds it too.


async def test_the_database_takes_no_second_reference_while_the_first_may_be_alive(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rails = TwoRails.serve(house, clock, [Unknown("timeout"), NotFound(), DOWN])
    rails.first.otherwise = Accepted()
    made = await paid_out(funded, rails)
    operation = operation_of(made["id"])
    connection = await asyncpg.connect(as_program(database_url))
    try:
        for change in (
            "update instructions set connector = 'second' where id = $1",
            "update instructions set reference = gen_random_uuid() where id = $1",
            # Another reference and its rail, as a step that goes on would have it.
            "update instructions set connector = 'second', reference = gen_random_uuid(),"
            " next_action = 'submit', earlier_attempts = attempts where id = $1",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
                await connection.execute(change, operation)
            assert refused.value.constraint_name == "instructions_one_reference"
    finally:
        await connection.close()


async def test_what_an_earlier_rail_had_stays_on_record(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    await paid_out(funded, TwoRails.serve(house, clock, [DOWN]))
    connection = await asyncpg.connect(as_program(database_url))
    try:
        for change in CHANGES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
    finally:
        await connection.close()
    # Nor does whoever owns the table change it by mistake.
    owner = await asyncpg.connect(database_url)
    try:
        for change in CHANGES:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await owner.execute(change)
    finally:
        await owner.close()


CHANGES = ("update earlier_rails set reference = gen_random_uuid()", "delete from earlier_rails")
