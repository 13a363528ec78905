"""Payments on the hosted page: what a merchant asks for, what a payer does, what comes of it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.app import House
from kpay.connectors.model import Accepted, NotFound, Paid, Refused, Unknown
from kpay.core.clock import ManualClock
from kpay.instructions.model import CLAIM, MOST_CHOICES
from kpay.settings import Settings
from tests.books import journal, lines
from tests.client import Browser, Merchant
from tests.hosted import CANCEL, PAYS, REFUSES, RETURN, STAYS_OPEN, Visitor, init, words
from tests.houses import opened
from tests.logs import logged
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
    from kpay.core.book import Environment

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


# Twice, at once, too late.


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


# The way back.


def signed(merchant: Merchant, query: dict[str, str]) -> str:
    """The signature as docs/hosted-page.md has a merchant work it out."""
    message = f"{query['status']}|{query['reference']}|{query['externalId']}|{query['ts']}"
    secret = merchant.new.gateway_secret
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


async def test_a_payer_goes_back_with_a_query_that_the_merchant_can_believe(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    made = await init(merchant, externalId="ORDER|é&1=2#3", returnUrl=f"{RETURN}?cart=7#top")
    payer = Visitor.at(merchant, made)
    await payer.choose()
    await work(house)
    clock.advance(minutes=2)

    back = await payer.look("/return")

    assert back.status == 303
    parts = urlsplit(back.headers["location"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "shop.example.com", "/paid")
    assert parts.fragment == "top"
    query = dict(parse_qsl(parts.query))
    assert list(query) == ["cart", "status", "reference", "externalId", "ts", "sig"]
    assert query["cart"] == "7"
    assert query["status"] == "COMPLETED"
    assert query["reference"] == made["reference"]
    assert query["externalId"] == "ORDER|é&1=2#3"
    assert query["ts"] == str(int(clock.now().timestamp() * 1_000))
    assert query["sig"] == signed(merchant, query)


async def test_the_signature_is_made_at_the_moment_of_going_back(
    merchant: Merchant, clock: ManualClock
) -> None:
    made = await init(merchant, cancelUrl=CANCEL)
    payer = Visitor.at(merchant, made)
    await payer.cancel()
    first = (await payer.look("/return")).headers["location"]
    clock.advance(hours=2)
    second = (await payer.look("/return")).headers["location"]

    assert first.startswith(f"{CANCEL}&status=CANCELLED&")
    stamps = [int(dict(parse_qsl(urlsplit(each).query))["ts"]) for each in (first, second)]
    assert stamps[1] - stamps[0] == 2 * 3_600 * 1_000


async def test_without_a_cancel_url_every_end_goes_back_by_the_return_url(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    cancelled, expired = await init(merchant), await init(merchant, externalId="TWO")
    await Visitor.at(merchant, cancelled).cancel()
    clock.advance(minutes=30)
    await work(house)

    for made, status in ((cancelled, "CANCELLED"), (expired, "FAILED")):
        location = (await Visitor.at(merchant, made).look("/return")).headers["location"]
        assert location.startswith(f"{RETURN}?status={status}&")


# Who may open a page, and what it gives away.


async def test_a_token_opens_its_own_payment_and_what_is_no_token_opens_nothing(
    merchant: Merchant, house: House
) -> None:
    mine = await init(merchant, description="Mine")
    other = await Merchant.join(house, "Other", "market")
    theirs = await init(other, description="Theirs")

    assert "Theirs" in words(await Visitor.at(other, theirs).look())
    assert "Mine" not in words(await Visitor.at(other, theirs).look())

    token = mine["gatewayUrl"].rpartition("/")[2]
    browser = Browser(merchant.api)
    pages = set()
    for wrong in (
        "gw_" + "a" * 52,
        token[:-1] + ("a" if token[-1] != "a" else "q"),
        token.upper(),
        token + "a",
        token[:-1],
        token[3:],
        "",
        "gw_",
        "%00",
        "gw_\x00",
        "é",
        mine["id"],
    ):
        for verb in ("", "/status", "/return", "/choose", "/nothing"):
            answer = await browser.send("GET", f"/gateway/{wrong}{verb}")
            assert answer.status == 404, (wrong, verb)
            pages.add(words(answer))
    # A form that is sent to nothing finds nothing, and an address under a page that is none.
    assert (await browser.send("POST", f"/gateway/gw_{'a' * 52}/choose")).status == 404
    assert (await browser.send("GET", f"/gateway/{token}/nothing")).status == 404
    assert len(pages) == 1


async def test_the_sandbox_is_marked_and_shows_its_numbers(merchant: Merchant) -> None:
    page = words(await Visitor.at(merchant, await init(merchant)).look())

    assert page.startswith("Test: no real money moves")
    assert "237653456789 succeeds" in page
    assert "237653456039 fails: PAYMENT_NOT_APPROVED" in page


async def test_a_live_page_shows_no_test_numbers(merchant: Merchant, house: House) -> None:
    from kpay.core.book import Environment

    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await merchant.live()
    payer = Visitor.at(live, await init(live))

    page = words(await payer.look())

    assert "Test" not in page
    assert "237653456789" not in page
    # And reads numbers as they are in the country, not as the sandbox knows them.
    assert (await payer.choose("MTN_MOMO_CMR", "712345678")).status == 422
    assert (await payer.choose("MTN_MOMO_CMR", "6 71 23 45 67")).status == 303


async def test_pages_are_kept_by_nobody_framed_by_nobody_and_load_nothing(
    merchant: Merchant,
) -> None:
    payer = Visitor.at(merchant, await init(merchant))
    for answer in (await payer.look(), await payer.choose("", ""), await payer.look("/nothing")):
        headers = answer.headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    assert (await payer.look("/status")).headers["content-type"] == "application/json"


async def test_what_merchants_write_is_text_on_the_page(merchant: Merchant) -> None:
    made = await init(merchant, description='<script>alert(1)</script> & "more"')

    page = (await Visitor.at(merchant, made).look()).raw.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;more&#34;" in page


async def test_a_payer_reads_the_language_of_their_browser_or_the_one_they_choose(
    merchant: Merchant,
) -> None:
    made = await init(merchant)

    async def first_words(language: str, **query: str) -> str:
        return words(await Visitor.at(merchant, made, language).look(**query))

    assert "Vous payez 5 000 FCFA" in await first_words("fr-CM,fr;q=0.9,en;q=0.8")
    assert "You pay 5,000 FCFA" in await first_words("en-GB,en;q=0.9,fr;q=0.8")
    assert "You pay" in await first_words("de, en;q=0.5, fr;q=0.1")
    assert "Vous payez" in await first_words("sw")
    assert "Vous payez" in await first_words("en;q=0, *")
    assert "Vous payez" in await first_words("\x00;;q=x,,")
    assert "You pay" in await first_words("fr", lang="en")
    # The choice stays: forms and links carry it on.
    page = (await Visitor.at(merchant, made, "fr").look(lang="en")).raw.decode()
    assert "/choose?lang=en" in page
    assert "Vous payez" in await first_words("fr", lang="xx")


async def test_other_methods_and_other_forms_are_refused(merchant: Merchant) -> None:
    payer = Visitor.at(merchant, await init(merchant))

    for method, verb in (
        ("POST", ""),
        ("PUT", "/choose"),
        ("DELETE", "/cancel"),
        ("POST", "/status"),
    ):
        answer = await payer.browser.send(method, payer.path + verb)
        assert answer.status == 405, (method, verb)
        assert answer.headers["allow"]
    for raw in (b"\xff\xfe", b"&".join(b"a=%d" % number for number in range(50))):
        answer = await payer.browser.send("POST", payer.path + "/choose", raw=raw)
        assert answer.status == 400
    big = await payer.browser.send("POST", payer.path + "/choose", raw=b"number=" + b"1" * 70_000)
    assert big.status == 413
    assert (await payer.look()).status == 200


async def test_a_payer_is_told_to_wait_while_the_database_is_away(
    merchant: Merchant, house: House
) -> None:
    payer = Visitor.at(merchant, await init(merchant))
    await house.database.close()
    try:
        with pytest.raises(RuntimeError):
            await house.database.fetchval("select 1")
        answer = await payer.look()
    finally:
        await house.database.open()

    assert answer.status == 500
    assert "Nothing was lost" in words(answer)
