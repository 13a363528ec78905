"""Withdrawals on the hosted page: the money is held at once, and its beneficiary says where to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.app import House
from kpay.connectors.model import Paid, Refused
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.books import journal, lines
from tests.client import Merchant
from tests.hosted import CANCEL, RETURN, Visitor, to_confirm, withdraw, words
from tests.houses import opened, pinned
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

PAID, UNKNOWN_THERE = "2250503456789", "2250503456089"


async def confirm(payer: Visitor, provider: str, number: str) -> dict[str, str]:
    """Pick and confirm what is shown. Returns what was confirmed."""
    shown = await payer.choose(provider, number)
    assert shown.status == 200, words(shown)
    fields = to_confirm(shown)
    assert (await payer.post("/choose", **fields)).status == 303
    return fields


async def test_the_amount_is_held_at_once_and_nothing_is_known_of_where_it_goes(
    funded: Merchant, database_url: str
) -> None:
    made = await withdraw(funded, externalId="W-1", description="Salary")

    assert made.status == 201
    body = made.json
    assert body["gatewayUrl"].startswith("http://localhost:8080/gateway/gw_")
    assert (body["status"], body["mode"]) == ("PENDING", "GATEWAY")
    assert (body["amount"], body["feeAmount"], body["netAmount"]) == (50_000, 2_500, 47_500)
    assert body["expiresAt"] == "2026-06-23T10:30:00.000Z"
    for field in ("provider", "country", "phoneNumber", "providerReference"):
        assert body[field] is None
    assert "payoutAmount" not in body
    assert await funded.wallets() == {"CMR": (45_000, 50_000)}
    assert (await funded.payout(made))["fx"] is None
    await assert_sound(database_url)


@pytest.mark.parametrize(
    ("fields", "status", "code", "says"),
    [
        ({"provider": "MTN_MOMO_CMR"}, 400, "invalid_body", "left out"),
        ({"phoneNumber": "237653456789"}, 400, "invalid_body", "left out"),
        ({"returnUrl": None}, 400, "invalid_body", "provider, phoneNumber"),
        ({"returnUrl": "nowhere"}, 400, "invalid_address", "https://"),
        ({"sourceCountry": "XXX"}, 400, "unsupported_country", "sourceCountry"),
        ({"sourceCountry": "SEN"}, 404, "no_wallet", "SEN"),
        ({"amount": 95_001}, 422, "withdrawal_exceeds_balance", "CMR"),
        ({"amount": 99}, 400, "amount_out_of_bounds", "100"),
    ],
)
async def test_what_cannot_be_hosted_is_refused_and_holds_nothing(
    funded: Merchant, fields: dict[str, object], status: int, code: str, says: str
) -> None:
    refused = await withdraw(funded, **fields)

    assert (refused.status, refused["code"]) == (status, code)
    assert says in refused["message"]
    assert await funded.wallets() == {"CMR": (95_000, 0)}


async def test_the_wallet_need_not_be_named_where_there_is_one(
    funded: Merchant, merchant: Merchant
) -> None:
    assert (await withdraw(funded, sourceCountry=None, amount=1_000))["sourceCountry"] == "CMR"

    await funded.collect(10_000, "SEN")
    refused = await withdraw(funded, sourceCountry=None, amount=1_000)

    assert (refused.status, refused["code"]) == (400, "invalid_body")
    assert "CMR, SEN" in refused["message"]


async def test_an_external_id_is_used_once(funded: Merchant) -> None:
    first = await withdraw(funded, externalId="W-1", amount=1_000)
    again = await withdraw(funded, externalId="W-1", amount=1_000)

    assert (again.status, again["existingId"]) == (409, first["id"])
    assert await funded.wallets() == {"CMR": (94_000, 1_000)}


async def test_a_beneficiary_sees_what_arrives_confirms_it_and_is_paid(
    funded: Merchant, house: House, settings: Settings, database_url: str
) -> None:
    made = await withdraw(funded)
    payer = Visitor.at(funded, made)
    assert "You receive XAF 47,500 from shop" in words(await payer.look())

    shown = await payer.choose("MTN_MOMO_CIV", "0503456789")
    page = words(shown)
    assert "You receive XOF 48,227 from shop" in page
    assert "+2250503456789 MTN MoMo" in page
    assert "1 XAF = 1.0153 XOF" in page
    # Nothing is taken before it is confirmed.
    assert (await funded.payout(made))["provider"] is None
    assert (await payer.post("/choose", **to_confirm(shown))).status == 303
    assert "MTN MoMo is sending XOF 48,227 to +2250503456789." in words(await payer.look())
    await house.worker.run_until_idle()

    payout = (await funded.payout(made)).json
    assert (payout["status"], payout["country"]) == ("COMPLETED", "CIV")
    assert (payout["payoutCurrency"], str(payout["payoutAmount"])) == ("XOF", "48226.75")
    assert payout["fx"]["rate"] == "1.0153"
    assert "XOF 48,227 was sent to you by shop." in words(await payer.look())
    assert await funded.wallets() == {"CMR": (45_000, 0)}
    assert await journal(house, made["id"]) == lines(
        """
        payout_requested
          reserved:CMR                +50,000.00 XAF
          wallet:CMR                  -50,000.00 XAF
        payout_completed
          fees:XAF                     +2,500.00 XAF
          fx:XAF                      +47,500.00 XAF
          fx:XOF                      -48,226.75 XOF
          provider:MTN_MOMO_CIV       +48,227.00 XOF
          reserved:CMR                -50,000.00 XAF
          rounding:XOF                     -0.25 XOF
        """
    )
    await assert_sound(database_url)


async def test_in_the_wallet_s_own_currency_there_is_no_exchange_to_show(
    funded: Merchant, house: House, database_url: str
) -> None:
    made = await withdraw(funded)
    payer = Visitor.at(funded, made, "fr")

    page = words(await payer.choose("AIRTEL_GAB", "24174345678"))
    assert "Vous recevez 47 500 XAF de shop" in page
    assert "Taux de change" not in page
    await confirm(payer, "AIRTEL_GAB", "24174345678")
    await house.worker.run_until_idle()

    payout = (await funded.payout(made)).json
    assert (payout["status"], payout["fx"]) == ("COMPLETED", None)
    assert "payoutAmount" not in payout
    await assert_sound(database_url)


async def test_what_is_confirmed_is_what_was_shown_even_when_the_rate_has_moved(
    settings: Settings, clock: ManualClock, tmp_path: Path, database_url: str
) -> None:
    rates = tmp_path / "rates.json"
    sources = pinned(rates, {"XAF/XOF": "1.01"})
    two_hours = timedelta(hours=2)
    async with opened(settings, clock, fx_sources=sources, gateway_life=two_hours) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        made = await withdraw(merchant)
        payer = Visitor.at(merchant, made)
        first = await payer.choose("MTN_MOMO_CIV", PAID)
        assert "XOF 47,975" in words(first)
        pinned(rates, {"XAF/XOF": "1.02"})
        clock.advance(hours=1, seconds=1)

        again = await payer.post("/choose", **to_confirm(first))
        assert "The exchange rate has changed: please look again." in words(again)
        assert "XOF 48,450" in words(again)
        assert await payer.state() == "choosing"
        assert (await payer.post("/choose", **to_confirm(again))).status == 303
        await house.worker.run_until_idle()

        assert str((await merchant.payout(made))["payoutAmount"]) == "48450"
    await assert_sound(database_url)


async def test_after_a_refusal_the_hold_stays_and_another_choice_is_priced_anew(
    funded: Merchant, house: House, database_url: str
) -> None:
    made = await withdraw(funded)
    payer = Visitor.at(funded, made)
    await confirm(payer, "MTN_MOMO_CIV", UNKNOWN_THERE)
    await house.worker.run_until_idle()

    page = words(await payer.look())
    assert "This number has no MTN MoMo account. Nothing was sent." in page
    assert await funded.wallets() == {"CMR": (45_000, 50_000)}
    await assert_sound(database_url)

    await confirm(payer, "MPESA_KEN", "254703456789")
    await house.worker.run_until_idle()

    payout = (await funded.payout(made)).json
    assert (payout["status"], payout["payoutCurrency"]) == ("COMPLETED", "KES")
    assert [(row["sent"]["provider"], row["outcome"]) for row in payout["attempts"]] == [
        ("MTN_MOMO_CIV", "refused"),
        ("MPESA_KEN", "paid"),
    ]
    assert len({row["sent"]["reference"] for row in payout["attempts"]}) == 2
    assert await funded.wallets() == {"CMR": (45_000, 0)}
    rows = await house.database.fetch("select number, payout_currency from choices order by number")
    assert [tuple(row) for row in rows] == [(1, "XOF"), (2, "KES")]
    await assert_sound(database_url)


@pytest.mark.parametrize("end", ["beneficiary", "merchant", "expiry"])
async def test_whoever_ends_it_before_it_was_sent_the_whole_hold_is_given_back(
    funded: Merchant, house: House, clock: ManualClock, database_url: str, end: str
) -> None:
    made = await withdraw(funded, cancelUrl=CANCEL)
    payer = Visitor.at(funded, made)
    if end == "beneficiary":
        assert (await payer.cancel()).status == 303
    elif end == "merchant":
        path = f"/api/v1/payments/withdraw/{made['id']}/cancel"
        assert (await funded.keys.send("POST", path))["status"] == "CANCELLED"
    else:
        clock.advance(minutes=30)
        await house.worker.run_until_idle()

    payout = (await funded.payout(made)).json
    expected = ("FAILED", "EXPIRED") if end == "expiry" else ("CANCELLED", None)
    assert (payout["status"], payout["failureReason"]) == expected
    assert await funded.wallets() == {"CMR": (95_000, 0)}
    # Nothing brings it back.
    assert (await payer.choose("MTN_MOMO_CMR", "237653456789")).status == 303
    await house.worker.run_until_idle()
    assert await funded.wallets() == {"CMR": (95_000, 0)}
    await assert_sound(database_url)


async def test_confirming_twice_pays_once(
    funded: Merchant, house: House, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    made = await withdraw(funded)
    payer = Visitor.at(funded, made)
    fields = to_confirm(await payer.choose("MTN_MOMO_CIV", PAID))

    await asyncio.gather(*(payer.post("/choose", **fields) for _ in range(5)))
    await house.worker.run_until_idle()

    assert rail.verbs == ["submit"]
    assert await funded.wallets() == {"CMR": (45_000, 0)}
    await assert_sound(database_url)


async def test_confirming_cancelling_and_running_out_at_once_end_in_one_of_them(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    ahead = ManualClock(clock.now())
    ahead.advance(minutes=30)
    async with opened(house.settings, ahead) as other:
        for number in range(6):
            made = await withdraw(funded, amount=1_000, externalId=f"W-{number}")
            payer = Visitor.at(funded, made)
            fields = to_confirm(await payer.choose("MTN_MOMO_CMR", "237653456789"))
            before = len(rail.asked)
            await asyncio.gather(
                payer.post("/choose", **fields), payer.cancel(), other.payouts.expire(100)
            )
            await house.worker.run_until_idle()
            status = (await funded.payout(made))["status"]
            sent = len(rail.asked) - before
            assert (status, sent) in {("COMPLETED", 1), ("CANCELLED", 0), ("FAILED", 0)}
    await assert_sound(database_url)


async def test_a_late_answer_about_an_earlier_choice_never_ends_the_next(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    answered, asked = asyncio.Event(), asyncio.Event()

    async def slow(_instruction: object) -> Paid:
        asked.set()
        await answered.wait()
        return Paid()

    ScriptedRail(slow, Refused("RECIPIENT_NOT_FOUND")).serve(house)
    made = await withdraw(funded)
    payer = Visitor.at(funded, made)
    await confirm(payer, "MTN_MOMO_CIV", PAID)
    frozen = asyncio.create_task(house.payouts.work(10))
    await asked.wait()
    clock.advance(seconds=61)
    await house.payouts.work(10)
    await confirm(payer, "MTN_MOMO_CMR", "237653456789")

    answered.set()
    await frozen

    assert await payer.state() == "waiting"
    assert await funded.wallets() == {"CMR": (45_000, 50_000)}
    await house.worker.run_until_idle()
    assert (await funded.payout(made))["provider"] == "MTN_MOMO_CMR"
    assert await funded.wallets() == {"CMR": (45_000, 0)}
    await assert_sound(database_url)


async def test_what_is_worth_too_little_there_is_said_beside_the_operator(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    sources = pinned(tmp_path / "rates.json", {"XAF/XOF": "0.001"})
    async with opened(settings, clock, fx_sources=sources) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        payer = Visitor.at(merchant, await withdraw(merchant, amount=100))

        too_small = await payer.choose("MTN_MOMO_CIV", PAID)
        no_rate = await payer.choose("MPESA_KEN", "254703456789")

    assert too_small.status == no_rate.status == 422
    assert "This amount is too small to be sent there" in words(too_small)
    assert "There is no exchange rate for this country right now." in words(no_rate)


async def test_a_withdrawal_without_external_id_is_signed_with_an_empty_one(
    funded: Merchant,
) -> None:
    made = await withdraw(funded)
    payer = Visitor.at(funded, made)
    await payer.cancel()

    location = (await payer.look("/return")).headers["location"]

    assert location.startswith(f"{RETURN}?")
    query = dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))
    message = f"CANCELLED|{made['reference']}||{query['ts']}"
    secret = funded.new.gateway_secret.encode()
    assert query["externalId"] == ""
    assert query["sig"] == hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()
