"""A payout from its request to its end: statuses, movements of money, cancelling, its evidence."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from kpay.app import House
from kpay.connectors.model import Accepted, Refused
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.books import journal, lines
from tests.client import Answer, Merchant
from tests.houses import opened, pinned
from tests.rails import ScriptedRail

PAGE_RATE = "1.01498421052631578947"


async def cancel(merchant: Merchant, payout: Answer) -> Answer:
    return await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{payout['id']}/cancel")


async def test_a_payout_across_currencies_moves_money_as_the_design_says(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    sources = pinned(tmp_path / "rates.json", {"XAF/XOF": PAGE_RATE})
    async with opened(settings, clock, fx_sources=sources) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        payout = await merchant.withdraw(
            amount=50_000, provider="MTN_MOMO_CIV", sourceCountry="CMR"
        )
        assert payout["status"] == "PENDING"
        assert "payout_completed" not in await journal(house, payout["id"])
        assert await merchant.wallets() == {"CMR": (45_000, 50_000)}

        await house.worker.run_until_idle()

        assert (await merchant.payout(payout))["status"] == "COMPLETED"
        assert await journal(house, payout["id"]) == lines("""
            payout_requested
              reserved:CMR                +50,000.00 XAF
              wallet:CMR                  -50,000.00 XAF
            payout_completed
              fees:XAF                     +2,500.00 XAF
              fx:XAF                      +47,500.00 XAF
              fx:XOF                      -48,211.75 XOF
              provider:MTN_MOMO_CIV       +48,212.00 XOF
              reserved:CMR                -50,000.00 XAF
              rounding:XOF                     -0.25 XOF
        """)
        assert await merchant.wallets() == {"CMR": (45_000, 0)}


async def test_a_payout_in_one_currency_posts_no_exchange_and_no_rounding(
    funded: Merchant, house: House
) -> None:
    payout = await funded.withdraw(amount=10_000, provider="ORANGE_GAB", sourceCountry="CMR")
    await house.worker.run_until_idle()

    assert await journal(house, payout["id"]) == lines("""
        payout_requested
          reserved:CMR                +10,000.00 XAF
          wallet:CMR                  -10,000.00 XAF
        payout_completed
          fees:XAF                       +500.00 XAF
          provider:ORANGE_GAB          +9,500.00 XAF
          reserved:CMR                -10,000.00 XAF
    """)


async def test_a_residue_of_rounding_within_one_currency_is_posted_too(
    funded: Merchant, house: House
) -> None:
    """MTN pays whole francs: a net of 950.47 is sent as 950, and 0.47 is kept on record."""
    payout = await funded.withdraw(amount=1_000.5)
    await house.worker.run_until_idle()

    detail = await funded.payout(payout)
    assert detail["attempts"][0]["sent"]["amount"] == "950"
    assert await journal(house, payout["id"]) == lines("""
        payout_requested
          reserved:CMR                 +1,000.50 XAF
          wallet:CMR                   -1,000.50 XAF
        payout_completed
          fees:XAF                        +50.03 XAF
          provider:MTN_MOMO_CMR          +950.00 XAF
          reserved:CMR                 -1,000.50 XAF
          rounding:XAF                     +0.47 XAF
    """)


async def test_an_operator_that_pays_hundredths_is_told_them(
    funded: Merchant, house: House
) -> None:
    payout = await funded.withdraw(amount=1_000.5, provider="AIRTEL_GAB", sourceCountry="CMR")
    await house.worker.run_until_idle()

    assert (await funded.payout(payout))["attempts"][0]["sent"]["amount"] == "950.47"
    assert "rounding" not in await journal(house, payout["id"])


async def test_a_failed_payout_gives_back_all_of_it_fee_included(
    funded: Merchant, house: House
) -> None:
    payout = await funded.withdraw(amount=50_000, phoneNumber="237653456089")
    assert await funded.wallets() == {"CMR": (45_000, 50_000)}

    await house.worker.run_until_idle()

    detail = await funded.payout(payout)
    assert (detail["status"], detail["failureReason"]) == ("FAILED", "RECIPIENT_NOT_FOUND")
    assert (detail["failedAt"], detail["completedAt"]) == ("2026-06-23T10:00:00.000Z", None)
    assert await funded.wallets() == {"CMR": (95_000, 0)}
    assert await journal(house, payout["id"]) == lines("""
        payout_requested
          reserved:CMR                +50,000.00 XAF
          wallet:CMR                  -50,000.00 XAF
        payout_released
          reserved:CMR                -50,000.00 XAF
          wallet:CMR                  +50,000.00 XAF
    """)


async def test_with_a_delay_it_is_accepted_first_and_paid_three_seconds_later(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, sandbox_delay=timedelta(seconds=3)) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        clock.advance(seconds=3)
        await house.worker.run_until_idle()

        payout = await merchant.withdraw(amount=10_000)
        await house.worker.run_until_idle()
        assert (await merchant.payout(payout))["status"] == "PROCESSING"
        assert await merchant.wallets() == {"CMR": (85_000, 10_000)}

        clock.advance(milliseconds=2_999)
        await house.worker.run_until_idle()
        assert (await merchant.payout(payout))["status"] == "PROCESSING"

        clock.advance(milliseconds=1)
        await house.worker.run_until_idle()
        detail = await merchant.payout(payout)
        assert (detail["status"], detail["completedAt"]) == (
            "COMPLETED",
            "2026-06-23T10:00:06.000Z",
        )
        assert await merchant.wallets() == {"CMR": (85_000, 0)}


async def test_a_pending_payout_can_be_cancelled_and_gives_all_back(
    funded: Merchant, house: House
) -> None:
    rail = ScriptedRail().serve(house)
    payout = await funded.withdraw(amount=50_000)

    answer = await cancel(funded, payout)

    assert (answer.status, answer["status"], answer["id"]) == (200, "CANCELLED", payout["id"])
    assert await funded.wallets() == {"CMR": (95_000, 0)}
    await house.worker.run_until_idle()
    detail = await funded.payout(payout)
    assert (detail["status"], detail["completedAt"], detail["failedAt"]) == (
        "CANCELLED",
        None,
        None,
    )
    assert (rail.asked, detail["attempts"]) == ([], [])


async def test_a_payout_that_was_sent_or_has_ended_cannot_be_cancelled(
    funded: Merchant, house: House
) -> None:
    for phone in ("237653456129", "237653456789", "237653456089"):
        payout = await funded.withdraw(phoneNumber=phone)
        await house.worker.run_until_idle()
        before = await funded.payout(payout)

        answer = await cancel(funded, payout)

        assert (answer.status, answer["code"]) == (409, "not_cancellable")
        assert (await funded.payout(payout)).json == before.json


async def test_a_payout_is_cancelled_only_once(funded: Merchant) -> None:
    payout = await funded.withdraw()

    assert (await cancel(funded, payout)).status == 200
    assert (await cancel(funded, payout)).status == 409
    assert await funded.wallets() == {"CMR": (95_000, 0)}


async def test_each_attempt_is_kept_with_what_was_sent_and_answered(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(
        Accepted({"status": "ACCEPTED"}),
        Accepted({"status": "ENQUEUED"}),
        Refused("RECIPIENT_LIMIT_REACHED", {"status": "FAILED"}),
    ).serve(house)
    payout = await funded.withdraw(amount=10_000, phoneNumber="237653456789")
    for _ in range(3):
        await house.worker.run_until_idle()
        clock.advance(seconds=10)

    detail = await funded.payout(payout)

    sent = {
        "reference": payout["providerReference"],
        "operationType": "PAYOUT",
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456789",
        "currency": "XAF",
        "amount": "9500",
    }
    refusal = {"status": "FAILED", "failureCode": "RECIPIENT_LIMIT_REACHED"}
    assert detail["attempts"] == [
        {
            "number": number,
            "action": action,
            "connector": "scripted",
            "sent": sent,
            "sentAt": f"2026-06-23T10:00:{seconds}.000Z",
            "outcome": outcome,
            "answer": answer,
            "answeredAt": f"2026-06-23T10:00:{seconds}.000Z",
        }
        for number, action, seconds, outcome, answer in (
            (1, "submit", "00", "accepted", {"status": "ACCEPTED"}),
            (2, "check", "10", "accepted", {"status": "ENQUEUED"}),
            (3, "check", "20", "refused", refusal),
        )
    ]
    assert str(UUID(payout["providerReference"])) == payout["providerReference"]
    assert {str(asked.reference) for _, asked in rail.asked} == {payout["providerReference"]}
    assert (detail["status"], detail["failureReason"]) == ("FAILED", "RECIPIENT_LIMIT_REACHED")


async def test_metadata_and_description_come_back_as_they_were_sent(funded: Merchant) -> None:
    own = {"invoice": {"lines": [1, 2.5, None, True]}, "nom": "Fournitures d'été ✓"}

    payout = await funded.withdraw(metadata=own, description="Loyer août")

    detail = await funded.payout(payout)
    assert (detail["metadata"], detail["description"]) == (own, "Loyer août")
