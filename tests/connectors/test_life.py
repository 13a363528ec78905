"""Money through pawaPay, from a merchant's request to the end that the rail told."""

from __future__ import annotations

import pytest

from kpay import metrics
from kpay.app import House
from kpay.connectors.model import Paid, Refused
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.ids import parse_public_id
from kpay.payments.model import PREFIX
from tests.client import Answer, Merchant
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.rails import ScriptedRail


async def withdraw(live: Merchant) -> Answer:
    made = await live.withdraw(phoneNumber="237650000000")
    assert made.status == 201, made.raw
    await live.house.worker.run_until_idle()
    return made


async def test_a_payment_and_a_payout_go_live_by_configuration_alone(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    assert await live.wallets() == {"CMR": (95_000, 0)}

    made = await withdraw(live)
    assert rail.operations[rail.only]["amount"] == "950"
    assert (await live.payout(made))["status"] == "PROCESSING"
    assert await live.wallets() == {"CMR": (94_000, 1_000)}

    rail.decide(rail.only, "COMPLETED", amount="950.00")
    clock.advance(seconds=3)
    await live.house.worker.run_until_idle()

    ended = await live.payout(made)
    assert (ended["status"], ended["providerReference"]) == ("COMPLETED", rail.only)
    assert await live.wallets() == {"CMR": (94_000, 0)}
    assert {attempt["connector"] for attempt in ended["attempts"]} == {"pawapay"}
    assert await live.attempts(made) == [("submit", "accepted"), ("check", "paid")]


async def test_a_refund_names_the_deposit_that_it_gives_back(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    listed = await live.keys.send("GET", "/api/v1/payments")
    payment = await live.keys.send("GET", f"/api/v1/payments/{listed['data'][0]['id']}")
    # Its fee is not returned, so the wallet needs a little more than the payment brought.
    more = await live.pay(amount=10_000, phoneNumber="237650000000")
    await live.house.worker.run_until_idle()
    rail.decide(rail.only, "COMPLETED")
    clock.advance(seconds=3)
    await live.house.worker.run_until_idle()
    assert (await live.payment(more))["status"] == "COMPLETED"
    rail.operations.clear()

    made = await live.refund(payment)
    assert made.status == 201, made.raw
    await live.house.worker.run_until_idle()
    told = rail.operations[rail.only]
    assert (told["depositId"], told["amount"]) == (payment["providerReference"], "100000")

    rail.decide(rail.only, "COMPLETED")
    clock.advance(seconds=3)
    await live.house.worker.run_until_idle()
    assert (await live.refunded(made))["status"] == "COMPLETED"


async def test_what_pawapay_cannot_pay_gives_the_hold_back(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    made = await withdraw(live)
    rail.decide(rail.only, "FAILED", failureReason={"failureCode": "RECIPIENT_NOT_FOUND"})
    clock.advance(seconds=3)
    await live.house.worker.run_until_idle()

    ended = await live.payout(made)
    assert (ended["status"], ended["failureReason"]) == ("FAILED", "RECIPIENT_NOT_FOUND")
    assert await live.wallets() == {"CMR": (95_000, 0)}


async def test_trouble_on_the_way_fails_nothing_and_is_handed_over_once(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    rail.instead["/v2/payouts"] = says({"error": "down"}, 503)
    made = await withdraw(live)
    for _ in range(4):
        clock.advance(minutes=1)
        await live.house.worker.run_until_idle()
    assert (await live.payout(made))["status"] == "PROCESSING"
    assert await live.wallets() == {"CMR": (94_000, 1_000)}

    # It has never seen it: it is handed over again, under the same reference.
    rail.instead.clear()
    for _ in range(3):
        clock.advance(minutes=2)
        await live.house.worker.run_until_idle()
    assert rail.only == (await live.payout(made))["providerReference"]


async def test_another_amount_than_was_agreed_ends_nothing_and_rings_an_alarm(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    counter = metrics.rail_alarms.labels("pawapay")
    before = counter._value.get()
    made = await withdraw(live)
    rail.decide(rail.only, "COMPLETED", amount="9500")
    clock.advance(seconds=3)
    await live.house.worker.run_until_idle()

    now = await live.payout(made)
    assert now["status"] == "PROCESSING"
    assert now["attempts"][-1]["answer"]["why"] == "paid, and not what was agreed"
    assert now["attempts"][-1]["answer"]["answer"]["data"]["amount"] == "9500"
    assert counter._value.get() == before + 1


async def test_an_account_that_has_run_empty_fails_the_payout_and_rings_an_alarm(
    live: Merchant, rail: PawapayRail
) -> None:
    counter = metrics.rail_alarms.labels("pawapay")
    before = counter._value.get()
    reason = {"failureCode": "PAWAPAY_WALLET_OUT_OF_FUNDS", "failureMessage": "No funds."}
    rail.instead["/v2/payouts"] = says({"status": "REJECTED", "failureReason": reason})
    made = await withdraw(live)

    ended = await live.payout(made)
    assert (ended["status"], ended["failureReason"]) == ("FAILED", "PAWAPAY_WALLET_OUT_OF_FUNDS")
    assert await live.wallets() == {"CMR": (95_000, 0)}
    assert counter._value.get() == before + 1


async def test_what_one_rail_has_is_asked_of_no_other_rail(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    house = live.house
    made = await withdraw(live)
    pawapay = house.routing.named(Environment.PRODUCTION, "pawapay")
    assert pawapay is not None
    other = ScriptedRail(otherwise=Paid())
    house.routing.serve(
        Environment.PRODUCTION, {"pawapay": pawapay, other.name: other}, {"*": other.name}
    )

    clock.advance(seconds=3)
    await house.worker.run_until_idle()
    assert (await live.payout(made))["status"] == "PROCESSING"
    assert other.asked == []

    # What begins now goes to the other one, and to it alone.
    later = await withdraw(live)
    assert (await live.payout(later))["status"] == "COMPLETED"
    assert len(rail.operations) == 1
    assert [verb for verb, _ in other.asked] == ["submit"]


async def test_what_a_rail_has_waits_while_that_rail_is_out_of_service(
    live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    house = live.house
    made = await withdraw(live)
    pawapay = house.routing.named(Environment.PRODUCTION, "pawapay")
    assert pawapay is not None
    rail.decide(rail.only, "COMPLETED", amount="950")
    other = ScriptedRail()
    house.routing.serve(Environment.PRODUCTION, {other.name: other}, {"*": other.name})

    clock.advance(minutes=20)
    await house.worker.run_until_idle()
    assert (await live.payout(made))["status"] == "PROCESSING"
    assert (await live.attempts(made))[-1] == ("check", "unknown")

    house.routing.serve(Environment.PRODUCTION, {"pawapay": pawapay}, {"*": "pawapay"})
    clock.advance(minutes=20)
    await house.worker.run_until_idle()
    assert (await live.payout(made))["status"] == "COMPLETED"


async def test_where_no_rail_serves_nothing_is_lost_and_nothing_raised(
    live_house: House, live: Merchant, rail: PawapayRail, clock: ManualClock
) -> None:
    made = await live.withdraw(phoneNumber="237650000000")
    pawapay = live_house.routing.named(Environment.PRODUCTION, "pawapay")
    assert pawapay is not None
    live_house.routing.serve(Environment.PRODUCTION, {}, {})
    await live_house.worker.run_until_idle()
    (attempt,) = (await live.payout(made))["attempts"]
    assert (attempt["connector"], attempt["outcome"]) == ("none", "unknown")

    live_house.routing.serve(Environment.PRODUCTION, {"pawapay": pawapay}, {"*": "pawapay"})
    for _ in range(3):
        clock.advance(minutes=1)
        await live_house.worker.run_until_idle()
    assert rail.only == (await live.payout(made))["providerReference"]


async def test_another_choice_on_a_page_may_go_to_another_rail(
    merchant: Merchant, house: House
) -> None:
    first, second = ScriptedRail(otherwise=Refused("PAYER_LIMIT_REACHED")), ScriptedRail()
    second.name = "second"
    house.routing.serve(
        Environment.TEST,
        {first.name: first, second.name: second},
        {"MTN_MOMO_CMR": first.name, "ORANGE_CMR": second.name},
    )
    made = await merchant.keys.send(
        "POST",
        "/api/v1/payments/init",
        {"amount": 1000, "externalId": "order-1", "returnUrl": "https://shop.example.com/back"},
    )
    identifier = parse_public_id(PREFIX, made["id"])
    assert identifier is not None
    book = Book(merchant.new.application.id, Environment.TEST)
    payments, terms = house.payments, merchant.new.application.terms

    for provider, number in (("MTN_MOMO_CMR", "237653456789"), ("ORANGE_CMR", "237653456789")):
        payment = (await payments.get(book, identifier)).agreed
        choice = payments.read_choice(payment, terms, provider=provider, phone_number=number)
        assert await payments.choose(payment, choice)
        await house.worker.run_until_idle()

    paid = await merchant.payment(made)
    assert paid["status"] == "COMPLETED"
    assert [attempt["connector"] for attempt in paid["attempts"]] == ["scripted", "second"]
    assert [len(first.asked), len(second.asked)] == [1, 1]


@pytest.mark.parametrize("phone", ["237653456789", "+237 650 000 000"])
async def test_in_production_any_mobile_number_of_the_country_is_taken(
    live: Merchant, phone: str
) -> None:
    assert (await live.withdraw(phoneNumber=phone)).status == 201
