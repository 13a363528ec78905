"""Payments on the hosted page: what a merchant asks for, what a payer does, what comes of it."""

from __future__ import annotations

import asyncio

import pytest

from kpay.app import House
from kpay.connectors.model import Refused
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.instructions.model import CLAIM, MOST_CHOICES
from kpay.settings import Settings
from tests.books import journal, lines
from tests.client import Merchant
from tests.hosted import CANCEL, PAYS, REFUSES, STAYS_OPEN, Visitor, init, words
from tests.houses import opened
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

REFUSED = Refused("PAYMENT_NOT_APPROVED")


async def work(house: House) -> None:
    await house.worker.run_until_idle()


# What a merchant asks for.


async def test_a_merchant_is_told_where_to_send_the_payer(merchant: Merchant) -> None:
    made = await init(merchant, description="Two bags", metadata={"cart": 7})

    assert made.status == 201
    body = made.json
    token = body.pop("gatewayUrl").removeprefix("http://localhost:8080/gateway/")
    assert token.startswith("gw_")
    assert len(token) == 3 + 52
    assert body.pop("id").startswith("pay_")
    assert body.pop("reference").startswith("KPAY-20260623-")
    assert body.pop("message")
    assert body == {
        "status": "PENDING",
        "mode": "GATEWAY",
        "amount": 5000,
        "currency": "XAF",
        "externalId": "ORDER-1",
        "isTest": True,
        "createdAt": "2026-06-23T10:00:00.000Z",
        "expiresAt": "2026-06-23T10:30:00.000Z",
        "provider": None,
        "country": None,
        "phoneNumber": None,
        "providerReference": None,
    }


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"provider": "MTN_MOMO_CMR"}, "invalid_body", "provider must be left out"),
        ({"phoneNumber": PAYS}, "invalid_body", "phoneNumber must be left out"),
        ({"returnUrl": None}, "invalid_body", "provider, phoneNumber"),
        ({"returnUrl": None, "cancelUrl": CANCEL}, "invalid_body", "provider"),
        ({"externalId": None}, "invalid_body", "externalId"),
        ({"currency": "USD"}, "unsupported_currency", "XAF"),
        ({"currency": "xaf"}, "unsupported_currency", "XAF"),
        ({"amount": 5000.555}, "invalid_amount", "2 decimals"),
        ({"amount": 5000.5, "currency": "XOF"}, "invalid_amount", "whole number"),
        ({"amount": 49}, "amount_out_of_bounds", "50"),
        ({"paymentMethod": "CARD"}, "method_not_configured", "MOBILE_MONEY"),
        ({"paymentMethod": "PAYPAL"}, "method_not_configured", "MOBILE_MONEY"),
        ({"returnUrl": "shop.example.com/paid"}, "invalid_address", "https://"),
        ({"returnUrl": "javascript:alert(1)"}, "invalid_address", "https://"),
        ({"returnUrl": "https:///paid"}, "invalid_address", "https://"),
        ({"returnUrl": "https://[::1"}, "invalid_address", "browser"),
        ({"returnUrl": "https://shop.example.com:port/"}, "invalid_address", "browser"),
        ({"returnUrl": "https://me:secret@shop.example.com/"}, "invalid_address", "password"),
        ({"returnUrl": "https://shop.example.com\\@evil.example/"}, "invalid_address", "backslash"),
        (
            {"returnUrl": "https://shop.example.com/a\r\nSet-Cookie: a=b"},
            "invalid_address",
            "ASCII",
        ),
        ({"returnUrl": "https://shop.example.com/é"}, "invalid_address", "percent-encode"),
        ({"returnUrl": "https://shop.example.com/" + "a" * 2_048}, "invalid_address", "2,048"),
        ({"cancelUrl": "ftp://shop.example.com/"}, "invalid_address", "cancelUrl"),
    ],
)
async def test_what_cannot_be_hosted_is_refused_and_says_what_to_change(
    merchant: Merchant, fields: dict[str, object], code: str, says: str
) -> None:
    refused = await init(merchant, **fields)

    assert (refused.status, refused["code"]) == (400, code)
    assert says in refused["message"]


async def test_in_production_a_payer_is_sent_back_by_https_only(
    merchant: Merchant, house: House
) -> None:
    # A rail of its own, since the sandbox serves no live provider.
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await merchant.live()

    refused = await init(live, returnUrl="http://shop.example.com/paid")

    assert (refused.status, refused["code"]) == (400, "invalid_address")
    assert (await init(live)).status == 201


async def test_mobile_money_may_be_named(merchant: Merchant) -> None:
    assert (await init(merchant, paymentMethod="MOBILE_MONEY")).status == 201


async def test_an_external_id_is_used_once_and_comes_free_with_the_page(
    merchant: Merchant, clock: ManualClock, house: House
) -> None:
    first = await init(merchant)
    again = await init(merchant)
    by_phone = await merchant.pay(externalId="ORDER-1")

    for refused in (again, by_phone):
        assert (refused.status, refused["existingId"]) == (409, first["id"])

    clock.advance(minutes=30)
    await work(house)
    assert (await init(merchant)).status == 201


async def test_of_many_at_once_with_one_external_id_one_is_accepted(merchant: Merchant) -> None:
    answers = await asyncio.gather(*(init(merchant) for _ in range(8)))

    made = [answer for answer in answers if answer.status == 201]
    assert len(made) == 1
    assert {answer["existingId"] for answer in answers if answer.status == 409} == {made[0]["id"]}


async def test_an_answer_that_was_lost_is_found_again_with_the_page_s_address(
    merchant: Merchant,
) -> None:
    made = await init(merchant)

    found = await merchant.keys.send("GET", "/api/v1/payments", query={"externalId": "ORDER-1"})

    assert found["data"][0]["gatewayUrl"] == made["gatewayUrl"]
    assert (await merchant.payment(made))["gatewayUrl"] == made["gatewayUrl"]


async def test_the_database_holds_no_token(merchant: Merchant, house: House) -> None:
    made = await init(merchant)
    token = made["gatewayUrl"].rpartition("/")[2]

    for table in ("gateways", "payments", "instructions"):
        rows = await house.database.fetch(f"select {table}::text as whole from {table}")  # noqa: S608
        assert not any(token[3:20] in row["whole"] for row in rows)


# What a payer does.


async def test_a_payer_chooses_and_pays_and_the_country_s_wallet_has_it(
    merchant: Merchant, house: House, database_url: str
) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    assert "You pay 5,000 FCFA to shop" in words(await payer.look())

    chosen = await payer.choose("AIRTEL_GAB", "24174345678")
    assert (chosen.status, await payer.state()) == (303, "waiting")
    await work(house)

    assert await payer.state() == "completed"
    payment = (await merchant.payment(made)).json
    assert (payment["status"], payment["country"], payment["provider"]) == (
        "COMPLETED",
        "GAB",
        "AIRTEL_GAB",
    )
    assert payment["phoneNumber"] == "24174345678"
    assert [row["sent"]["reference"] for row in payment["attempts"]] == [
        payment["providerReference"]
    ]
    assert await merchant.wallets() == {"GAB": (4750, 0)}
    assert await journal(house, made["id"]) == lines(
        """
        payment_completed
          fees:XAF                       +250.00 XAF
          provider:AIRTEL_GAB          -5,000.00 XAF
          wallet:GAB                   +4,750.00 XAF
        """
    )
    await assert_sound(database_url)


async def test_a_list_finds_it_by_what_was_chosen(merchant: Merchant, house: House) -> None:
    made = await init(merchant)
    await Visitor.at(merchant, made).choose("MTN_MOMO_CMR")

    for query, count in (
        ({"country": "CMR"}, 1),
        ({"provider": "MTN_MOMO_CMR"}, 1),
        ({"country": "GAB"}, 0),
    ):
        found = await merchant.keys.send("GET", "/api/v1/payments", query=query)
        assert len(found["data"]) == count


@pytest.mark.parametrize(
    "typed", ["653456789", "0653456789", "+237 653-45-67-89", "00237653456789", "(653) 45 67 89"]
)
async def test_a_number_may_be_typed_as_people_write_it(merchant: Merchant, typed: str) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)

    assert (await payer.choose(number=typed)).status == 303
    assert (await merchant.payment(made))["phoneNumber"] == "237653456789"


@pytest.mark.parametrize(
    ("provider", "number", "says"),
    [
        ("", PAYS, "Choose an operator."),
        ("MTN_MOMO_CMR", "", "Enter your mobile money number."),
        ("MTN_MOMO_CMR", "   ", "Enter your mobile money number."),
        ("MTN_MOMO_CMR", "650000000", "This is a test: use one of the test numbers"),
        ("NOBODY", PAYS, "Choose an operator."),
        ("\x00", PAYS, "Choose an operator."),
        ("MPESA_KEN", "254703456789", "cannot be used at the moment"),
        ("WAVE_SEN", PAYS, "cannot be used at the moment"),
    ],
)
async def test_what_is_wrong_with_a_choice_is_said_on_the_page_and_changes_nothing(
    merchant: Merchant, provider: str, number: str, says: str
) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)

    answer = await payer.choose(provider, number)

    assert answer.status == 422
    assert says in words(answer)
    assert await payer.state() == "choosing"


async def test_only_operators_that_the_application_may_use_and_that_take_the_amount_are_offered(
    merchant: Merchant, house: House
) -> None:
    whole, broken = await init(merchant), await init(merchant, externalId="TWO", amount=5000.5)
    assert "Cameroon MTN MoMo Orange Money Gabon" in words(await Visitor.at(merchant, whole).look())
    # Only one operator of the currency takes fractions of a franc.
    assert "MTN MoMo" not in words(await Visitor.at(merchant, broken).look())

    await house.office.configure(
        merchant.new.application.id, allowed_providers=["ORANGE_CMR", "MPESA_KEN"]
    )

    page = words(await Visitor.at(merchant, whole).look())
    assert "Orange Money" in page
    assert "MTN MoMo" not in page
    assert "Gabon" not in page
    assert (await Visitor.at(merchant, whole).choose("MTN_MOMO_CMR")).status == 422
    assert (await init(merchant, externalId="THREE", currency="XOF")).status == 400


async def test_after_a_refusal_the_payer_reads_why_and_tries_again(
    merchant: Merchant, house: House, database_url: str
) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    await payer.choose("MTN_MOMO_CMR", REFUSES)
    await work(house)

    page = words(await payer.look())
    assert "The request was not confirmed on the phone. Nothing was taken." in page
    refused = (await merchant.payment(made)).json
    assert (refused["status"], refused["failureReason"], refused["failedAt"]) == (
        "PENDING",
        None,
        None,
    )
    first_reference = refused["providerReference"]

    await payer.choose("ORANGE_CMR", PAYS)
    await work(house)

    paid = (await merchant.payment(made)).json
    assert (paid["status"], paid["provider"]) == ("COMPLETED", "ORANGE_CMR")
    assert paid["providerReference"] != first_reference
    assert [
        (row["number"], row["outcome"], row["sent"]["provider"]) for row in paid["attempts"]
    ] == [(1, "refused", "MTN_MOMO_CMR"), (2, "paid", "ORANGE_CMR")]
    events = (await merchant.keys.send("GET", "/api/v1/payments/events"))["data"]
    assert [event["event"] for event in events] == ["payment.completed"]
    assert await merchant.wallets() == {"CMR": (4750, 0)}
    await assert_sound(database_url)


async def test_a_page_can_be_tried_on_only_so_often(
    merchant: Merchant, house: House, database_url: str
) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)

    for number in range(1, MOST_CHOICES + 1):
        assert await payer.state() == "choosing", number
        await payer.choose(number=REFUSES)
        await work(house)

    failed = (await merchant.payment(made)).json
    assert (failed["status"], failed["failureReason"]) == ("FAILED", "PAYMENT_NOT_APPROVED")
    assert "Payment failed" in words(await payer.look())
    assert len(failed["attempts"]) == MOST_CHOICES
    await assert_sound(database_url)


async def test_what_a_payer_calls_off_is_cancelled(
    merchant: Merchant, house: House, database_url: str
) -> None:
    made = await init(merchant, cancelUrl=CANCEL)
    payer = Visitor.at(merchant, made)

    assert (await payer.cancel()).status == 303

    assert "Payment cancelled" in words(await payer.look())
    assert (await merchant.payment(made))["status"] == "CANCELLED"
    # What is over can be neither chosen nor called off again.
    assert (await payer.choose()).status == 303
    assert (await payer.cancel()).status == 303
    await work(house)
    assert (await merchant.payment(made))["status"] == "CANCELLED"
    await assert_sound(database_url)


async def test_a_page_that_is_left_alone_expires(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    made = await init(merchant)
    clock.advance(minutes=29, seconds=59)
    await work(house)
    assert (await merchant.payment(made))["status"] == "PENDING"

    clock.advance(seconds=1)
    await work(house)

    expired = (await merchant.payment(made)).json
    assert (expired["status"], expired["failureReason"]) == ("FAILED", "EXPIRED")
    assert expired["failedAt"] == "2026-06-23T10:30:00.000Z"
    assert "This page has expired" in words(await Visitor.at(merchant, made).look())
    await assert_sound(database_url)


async def test_a_page_that_ran_out_says_so_before_any_worker_came_by(
    merchant: Merchant, clock: ManualClock
) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    clock.advance(minutes=30)

    assert (await payer.choose()).status == 303

    assert "This page has expired" in words(await payer.look())
    assert (await merchant.payment(made))["failureReason"] == "EXPIRED"


async def test_who_chose_in_time_may_take_longer_to_confirm(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    await payer.choose(number=STAYS_OPEN)
    await work(house)
    clock.advance(hours=1)
    await work(house)
    assert await payer.state() == "waiting"

    finish = {"outcome": "FAILED", "failureCode": "PAYMENT_NOT_APPROVED"}
    await merchant.keys.send("POST", f"/api/v1/payments/{made['id']}/sandbox/finish", finish)
    await work(house)

    # Its time is over by then, so a refusal is the end.
    failed = (await merchant.payment(made)).json
    assert (failed["status"], failed["failureReason"]) == ("FAILED", "PAYMENT_NOT_APPROVED")
    await assert_sound(database_url)


async def test_settings_say_how_long_a_page_is_open(settings: Settings, clock: ManualClock) -> None:
    async with opened(settings, clock, gateway_life=CLAIM) as house:
        made = await init(await Merchant.join(house))

    assert made["expiresAt"] == "2026-06-23T10:01:00.000Z"
