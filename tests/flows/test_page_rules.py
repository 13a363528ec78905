"""The page's sentences about countries, currencies, rates and operators."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from itertools import permutations
from pathlib import Path

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import PAYERS, Merchant
from tests.houses import opened, pinned

ZONES = {"CEMAC": ("CMR", "GAB", "COG"), "UEMOA": ("SEN", "CIV", "BEN")}
RATE = "/api/v1/payments/exchange-rate"


@pytest.mark.parametrize(
    ("country", "currency"),
    [
        ("CMR", "XAF"),
        ("GAB", "XAF"),
        ("COG", "XAF"),
        ("SEN", "XOF"),
        ("CIV", "XOF"),
        ("BEN", "XOF"),
        ("KEN", "KES"),
        ("COD", "CDF"),
        ("UGA", "UGX"),
        ("RWA", "RWF"),
    ],
)
async def test_each_supported_country_is_collected_in_and_paid_out_from(
    merchant: Merchant, country: str, currency: str
) -> None:
    payment = await merchant.collect(10_000, country)
    provider, phone = PAYERS[country]
    payout = await merchant.withdraw(amount=1_000, provider=provider, phoneNumber=phone)

    assert (payment["country"], payment["currency"]) == (country, currency)
    assert (payout.status, payout["currency"]) == (201, currency)
    balance = await merchant.keys.send("GET", "/api/v1/payments/balance")
    assert [(row["country"], row["currency"]) for row in balance.json] == [(country, currency)]
    assert await merchant.wallets() == {country: (8_500, 1_000)}


async def test_payments_of_two_countries_feed_two_wallets_even_in_one_currency(
    merchant: Merchant,
) -> None:
    for country, amount in (("CMR", 1_000), ("GAB", 2_000), ("SEN", 3_000), ("CIV", 4_000)):
        await merchant.collect(amount, country)

    assert await merchant.wallets() == {
        "CMR": (950, 0),
        "GAB": (1_900, 0),
        "SEN": (2_850, 0),
        "CIV": (3_800, 0),
    }


async def test_within_a_zone_every_transfer_is_one_to_one(merchant: Merchant) -> None:
    for zone in ZONES.values():
        for country in zone:
            await merchant.collect(10_000, country)
        for source, destination in permutations(zone, 2):
            answer = await merchant.transfer(
                sourceCountry=source, destinationCountry=destination, amount=1_000.5
            )
            received = answer["destinationTransaction"]
            assert (answer["exchangeRate"], received["amount"]) == (1, Decimal("1000.5"))
            assert b'"exchangeRate":1,' in answer.raw


async def test_across_zones_the_amount_is_converted_at_the_rate_that_is_on_record(
    merchant: Merchant,
) -> None:
    await merchant.collect(200_000)

    for country in ("SEN", "GHA", "KEN", "COD", "UGA", "RWA", "ZMB", "SLE"):
        answer = await merchant.transfer(destinationCountry=country, amount=12_345)

        rate, received = Decimal(answer["fx"]["rate"]), answer["destinationTransaction"]
        assert received["amount"] == rounded(12_345 * rate, "0.01")
        assert answer["exchangeRate"] == rounded(rate, "0.0001")
        assert (await merchant.wallets())[country] == (received["amount"], 0)
        pair = {"from": "XAF", "to": received["currency"]}
        assert (await merchant.keys.send("GET", RATE, query=pair))["rate"] == rate


def rounded(value: Decimal, step: str) -> Decimal:
    return value.quantize(Decimal(step), rounding=ROUND_HALF_UP)


async def test_the_rate_is_kept_for_one_hour_and_then_fetched_again(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    file = tmp_path / "rates.json"
    sources = pinned(file, {"XAF/XOF": "1.0153"})
    async with opened(settings, clock, fx_sources=sources) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        assert (await merchant.transfer())["exchangeRate"] == Decimal("1.0153")

        pinned(file, {"XAF/XOF": "1.02"})
        clock.advance(minutes=29, seconds=59)
        assert (await merchant.transfer())["exchangeRate"] == Decimal("1.0153")
        clock.advance(minutes=30, seconds=1)
        await merchant.renew_token()
        assert (await merchant.transfer())["exchangeRate"] == Decimal("1.02")


async def test_the_rate_of_an_operation_is_fixed_when_it_is_accepted(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    """Promise 7: what the market does afterwards changes neither the record nor what is paid."""
    file = tmp_path / "rates.json"
    sources = pinned(file, {"XAF/XOF": "1.0153"})
    async with opened(settings, clock, fx_sources=sources) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        transfer = await merchant.transfer(amount=10_000)
        payout = await merchant.withdraw(
            amount=10_000, provider="MTN_MOMO_CIV", sourceCountry="CMR"
        )

        pinned(file, {"XAF/XOF": "1.2"})
        clock.advance(hours=2)
        await merchant.renew_token()
        now = await merchant.keys.send("GET", RATE, query={"from": "XAF", "to": "XOF"})
        assert now["rate"] == Decimal("1.2")
        await house.worker.run_until_idle()

        shown = await merchant.token.send("GET", f"/api/wallets/transfer/{transfer['id']}")
        assert shown.json == transfer.json
        detail = await merchant.payout(payout)
        assert (detail["status"], detail["payoutAmount"]) == ("COMPLETED", Decimal("9645.35"))
        assert (detail["exchangeRate"], detail["fx"]["rate"]) == (Decimal("1.0153"), "1.0153")
        assert detail["attempts"][0]["sent"]["amount"] == "9645"


async def test_the_rate_can_be_looked_up_and_is_what_the_transfer_then_gets(
    merchant: Merchant,
) -> None:
    await merchant.collect(10_000)

    quoted = await merchant.keys.send("GET", RATE, query={"from": "XAF", "to": "XOF"})
    transfer = await merchant.transfer()

    assert (quoted["from"], quoted["to"]) == ("XAF", "XOF")
    assert quoted["rate"] == transfer["exchangeRate"] == Decimal("1.0153")


@pytest.mark.parametrize("country", ["CIV", "SEN"])
async def test_wave_is_suspended_and_says_so_while_its_neighbours_work(
    merchant: Merchant, country: str
) -> None:
    await merchant.collect(10_000, country)
    _, phone = PAYERS[country]
    open_here = {"CIV": ("MTN_MOMO_CIV", "ORANGE_CIV"), "SEN": ("FREE_SEN", "ORANGE_SEN")}[country]

    for wave in (
        await merchant.pay(country, provider=f"WAVE_{country}"),
        await merchant.withdraw(provider=f"WAVE_{country}", phoneNumber=phone),
    ):
        assert (wave.status, wave["code"]) == (400, "provider_suspended")
        assert "suspended" in wave["message"]
        assert all(other in wave["message"] for other in open_here)

    for provider in open_here:
        assert (await merchant.pay(country, provider=provider)).status == 201
        assert (await merchant.withdraw(provider=provider, phoneNumber=phone)).status == 201


async def test_the_balance_can_be_checked_with_keys_and_with_a_token(house: House) -> None:
    merchant = await Merchant.join(house)
    await merchant.collect(10_000)
    await merchant.withdraw(amount=4_000)

    balance = await merchant.keys.send("GET", "/api/v1/payments/balance")
    overview = await merchant.token.send("GET", "/api/wallets/overview")

    assert balance.json == overview["wallets"]
    assert balance.json == [
        {
            "country": "CMR",
            "currency": "XAF",
            "balance": 9_500,
            "reservedBalance": 4_000,
            "availableBalance": 5_500,
        }
    ]


async def test_a_repeated_transfer_or_payout_moves_money_once(merchant: Merchant) -> None:
    """The page's first practice: after a lost answer the second call is a conflict, not a copy."""
    await merchant.collect(10_000)

    for again in (merchant.transfer, merchant.withdraw):
        first = await again(externalId="once", amount=4_000)
        second = await again(externalId="once", amount=4_000)
        assert (first.status, second.status) == (201, 409)
        assert second["existingId"] == first["id"]

    assert await merchant.wallets() == {"CMR": (1_500, 4_000), "SEN": (Decimal("4061.2"), 0)}
