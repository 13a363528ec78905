"""The page's own examples, word for word: what it sends is sent, what it answers is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.books import journal, lines
from tests.client import Answer, Merchant
from tests.houses import opened, pinned

PAYOUT_FIELDS = ("payoutCurrency", "payoutAmount", "exchangeRate")


@pytest.fixture
async def funded(house: House) -> Merchant:
    """The page's merchant: exactly 100,000 XAF in the Cameroon wallet."""
    return await collected(house, CMR=100_000)


async def collected(house: House, **amounts: int) -> Merchant:
    """A merchant who pays nothing to collect, so that wallets hold these amounts to the franc."""
    merchant = await Merchant.join(house)
    await house.office.configure(merchant.new.application.id, payment_fee_bps=0)
    for country, amount in amounts.items():
        await merchant.collect(amount, country)
    return merchant


def expect(answer: Answer, page: Mapping[str, Any]) -> None:
    """The page's response: every field it shows, with these values. More fields are welcome."""
    assert answer.status == 201, answer.raw
    assert {name: answer.json.get(name) for name in page} == page


def expect_transfer(
    answer: Answer, *, sent: tuple[int, str, str], received: tuple[int, str, str], **rest: object
) -> None:
    """A transfer's response on the page: its two sides are (amount, currency, country)."""
    first, second = answer["sourceTransaction"], answer["destinationTransaction"]
    suffix = first["reference"].removeprefix("TRF-OUT-")
    assert re.fullmatch("[0-9A-Z]{6}", suffix), first["reference"]
    assert str(UUID(first["id"])) != str(UUID(second["id"]))
    sides = {
        f"{side}Transaction": {
            "id": found["id"],
            "reference": f"TRF-{word}-{suffix}",
            "type": f"WALLET_TRANSFER_{word}",
            "amount": amount,
            "currency": currency,
            "country": country,
        }
        for side, word, found, (amount, currency, country) in (
            ("source", "OUT", first, sent),
            ("destination", "IN", second, received),
        )
    }
    expect(answer, {"id": first["id"], **sides, **rest})


async def test_transfer_in_the_same_currency_answers_as_on_the_page(funded: Merchant) -> None:
    me = await funded.keys.send("GET", "/api/v1/payments/me")

    answer = await funded.token.send(
        "POST",
        "/api/wallets/transfer",
        {
            "applicationId": me["application"]["id"],
            "sourceCountry": "CMR",
            "destinationCountry": "GAB",
            "amount": 50000,
            "description": "Fund transfer CMR to GAB",
            "externalId": "TRF-2026-001",
        },
    )

    expect_transfer(
        answer,
        sent=(50000, "XAF", "CMR"),
        received=(50000, "XAF", "GAB"),
        exchangeRate=1,
        description="Fund transfer CMR to GAB",
        externalId="TRF-2026-001",
        createdAt="2026-06-23T10:00:00.000Z",
    )
    assert await funded.wallets() == {"CMR": (50_000, 0), "GAB": (50_000, 0)}
    assert await journal(funded.house, answer["id"]) == lines("""
        transfer
          wallet:CMR                  -50,000.00 XAF
          wallet:GAB                  +50,000.00 XAF
    """)


async def test_transfer_across_currencies_answers_as_on_the_page(
    funded: Merchant, clock: ManualClock
) -> None:
    clock.advance(minutes=5)

    answer = await funded.token.send(
        "POST",
        "/api/wallets/transfer",
        {
            "applicationId": funded.application_id,
            "sourceCountry": "CMR",
            "destinationCountry": "SEN",
            "amount": 100000,
            "description": "Supply Senegal wallet",
            "externalId": "TRF-2026-002",
        },
    )

    expect_transfer(
        answer,
        sent=(100000, "XAF", "CMR"),
        received=(101530, "XOF", "SEN"),
        exchangeRate=Decimal("1.0153"),
        description="Supply Senegal wallet",
        externalId="TRF-2026-002",
        createdAt="2026-06-23T10:05:00.000Z",
    )
    assert b'"exchangeRate":1.0153' in answer.raw
    assert await funded.wallets() == {"CMR": (0, 0), "SEN": (101_530, 0)}
    assert await journal(funded.house, answer["id"]) == lines("""
        transfer
          fx:XAF                     +100,000.00 XAF
          fx:XOF                     -101,530.00 XOF
          wallet:CMR                 -100,000.00 XAF
          wallet:SEN                 +101,530.00 XOF
    """)


async def test_transfer_needs_neither_description_nor_external_id(funded: Merchant) -> None:
    answer = await funded.transfer(amount=100, destinationCountry="GAB")

    expect(answer, {"description": None, "externalId": None, "exchangeRate": 1})


async def test_payout_in_the_same_currency_answers_as_on_the_page(
    funded: Merchant, house: House
) -> None:
    answer = await funded.keys.send(
        "POST",
        "/api/v1/payments/withdraw",
        {
            "amount": 10000,
            "provider": "ORANGE_GAB",
            "phoneNumber": "237653456789",
            "sourceCountry": "CMR",
            "externalId": "PAYOUT-CROSS-001",
            "description": "Supplier payment Gabon",
        },
    )

    expect(
        answer,
        {
            "status": "PENDING",
            "amount": 10000,
            "netAmount": 9500,
            "feeAmount": 500,
            "currency": "XAF",
            "isTest": True,
            "message": "Withdrawal request received. Processing via Mobile Money.",
        },
    )
    assert re.fullmatch("wdr_[0-9a-z]+", answer["id"])
    assert re.fullmatch("KPAY-WD-20260623-[0-9A-Z]{6}", answer["reference"])
    assert not set(PAYOUT_FIELDS) & set(answer.json)
    # Scenario 1: the beneficiary receives 9,500 XAF on Orange Gabon; 10,000 left the wallet.
    assert await sent_amount(funded, answer) == "9500"
    assert await funded.wallets() == {"CMR": (90_000, 0)}


async def test_payout_across_currencies_answers_as_on_the_page(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    sources = pinned(tmp_path / "rates.json", {"XAF/XOF": "1.01498421052631578947"})
    clock.advance(days=3)
    async with opened(settings, clock, fx_sources=sources) as house:
        merchant = await collected(house, CMR=100_000)

        answer = await merchant.keys.send(
            "POST",
            "/api/v1/payments/withdraw",
            {
                "amount": 50000,
                "provider": "MTN_MOMO_CIV",
                "phoneNumber": "237653456789",
                "sourceCountry": "CMR",
                "externalId": "PAYOUT-CROSS-002",
                "description": "Supplier payment Côte d'Ivoire",
            },
        )

        expect(
            answer,
            {
                "status": "PENDING",
                "amount": 50000,
                "netAmount": 47500,
                "feeAmount": 2500,
                "currency": "XAF",
                "payoutCurrency": "XOF",
                "payoutAmount": Decimal("48211.75"),
                "exchangeRate": Decimal("1.015"),
                "isTest": True,
                "message": "Withdrawal request received. Processing via Mobile Money.",
            },
        )
        assert re.fullmatch("KPAY-WD-20260626-[0-9A-Z]{6}", answer["reference"])
        # The beneficiary receives ≈ 48 212 XOF on MTN Côte d'Ivoire.
        assert await sent_amount(merchant, answer) == "48212"
        assert await merchant.wallets() == {"CMR": (50_000, 0)}
        detail = await merchant.payout(answer)
        assert detail["description"] == "Supplier payment Côte d'Ivoire"
        assert detail["fx"] == {
            "rate": "1.01498421052631578947",
            "source": "file",
            "asOf": "2026-06-23T10:00:00.000Z",
            "marginBps": 0,
        }


async def sent_amount(merchant: Merchant, payout: Answer) -> str:
    """What the rail was told to pay, once the payout is complete."""
    await merchant.house.worker.run_until_idle()
    detail = await merchant.payout(payout)
    assert detail["status"] == "COMPLETED", detail.raw
    amount: str = detail["attempts"][0]["sent"]["amount"]
    return amount


@pytest.mark.parametrize(("provider", "country"), [("MTN_MOMO_CMR", "CMR"), ("ORANGE_GAB", "GAB")])
async def test_without_source_country_the_wallet_of_the_provider_is_debited(
    house: House, provider: str, country: str
) -> None:
    merchant = await collected(house, CMR=20_000, GAB=20_000)

    answer = await merchant.withdraw(amount=10_000, provider=provider)

    expect(answer, {"sourceCountry": country, "country": country})
    wallets = await merchant.wallets()
    assert wallets.pop(country) == (10_000, 10_000)
    assert list(wallets.values()) == [(20_000, 0)]


async def test_payout_that_names_the_country_of_its_provider_is_a_standard_payout(
    funded: Merchant,
) -> None:
    named = await funded.withdraw(amount=10_000, sourceCountry="CMR")
    standard = await funded.withdraw(amount=10_000)

    assert list(named.json) == list(standard.json)
    assert not set(PAYOUT_FIELDS) & set(named.json)


async def test_scenario_three_consolidates_two_countries_into_cameroon(house: House) -> None:
    merchant = await collected(house, GAB=30_000, COG=15_000)

    gabon = await merchant.transfer(sourceCountry="GAB", destinationCountry="CMR", amount=30000)
    congo = await merchant.transfer(sourceCountry="COG", destinationCountry="CMR", amount=15000)

    assert (gabon["exchangeRate"], congo["exchangeRate"]) == (1, 1)
    assert await merchant.wallets() == {"CMR": (45_000, 0), "COG": (0, 0), "GAB": (0, 0)}


async def test_transfer_first_then_payout_from_the_wallet_it_supplied(funded: Merchant) -> None:
    """The long way round that the page compares the direct payout with."""
    await funded.transfer(amount=50_000, destinationCountry="CIV")

    answer = await funded.withdraw(amount=10_000, provider="MTN_MOMO_CIV")

    expect(answer, {"currency": "XOF", "sourceCountry": "CIV", "netAmount": 9_500})
    assert await funded.wallets() == {"CMR": (50_000, 0), "CIV": (40_765, 10_000)}
