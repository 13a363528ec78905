"""The wallets' page: what they held over time, and what went between countries."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from unittest.mock import patch

import pytest

from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.wallets import store
from tests.client import Answer, Merchant
from tests.people import Office, people_of
from tests.visitors import Visitor, words


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    return Office(house, house.people, clock)


@pytest.fixture
async def merchant(house: House, office: Office) -> Merchant:
    made = await Merchant.join(house)
    await office.hire("awa")
    return made


def book_of(merchant: Merchant) -> Book:
    return Book(merchant.new.application.id, Environment.TEST)


async def wallets_page(merchant: Merchant, office: Office, **query: str) -> Answer:
    visitor = await Visitor.signed_in(merchant.api, office, "awa")
    answer = await visitor.get(f"/dashboard/app/{merchant.application_id}/test/wallets", **query)
    assert answer.status == 200
    return answer


def table(answer: Answer) -> list[list[str]]:
    """The rows of the table of flows."""
    body = answer.raw.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [
            unescape(re.sub(r"<[^>]+>", "", cell)).strip().replace("\u00a0", " ")
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        ]
        for row in body.split("</tr>")[:-1]
    ]


async def test_a_balance_over_time_is_what_a_statement_of_then_closes_with(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    begun = clock.now()
    await merchant.collect(50_000)
    for hours, amount in ((7, 1_000), (1, 2_000), (20, 3_000), (50, 500)):
        clock.advance(hours=hours)
        await merchant.renew_token()
        assert (await merchant.transfer(amount=amount)).status == 201
        made = await merchant.withdraw(amount=amount, phoneNumber="237653456129")
        assert made.status == 201
        if amount == 2_000:
            await house.worker.run_until_idle()
            book = book_of(merchant)
            await house.finish_in_sandbox(book.application_id, made["id"], None)
            await house.worker.run_until_idle()
    moments = [begun + timedelta(hours=hours) for hours in (0, 1, 7, 8, 9, 28, 29, 79, 100)]

    held = await house.statements.balances(book_of(merchant), ["CMR", "SEN"], moments)

    for country in ("CMR", "SEN"):
        closings = [
            (await house.statements.open(book_of(merchant), country, None, moment)).closing.balance
            for moment in moments
        ]
        assert held[country] == closings
    # Nothing is of before there was anything, and what is reserved is still held.
    assert held["CMR"][:2] == [0, 4_750_000]
    assert held["CMR"][-1] == 4_750_000 - 650_000 - 200_000


async def test_a_country_without_a_wallet_and_no_moment_at_all_have_no_balances(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    book = book_of(merchant)
    assert await house.statements.balances(book, ["GAB"], [clock.now()]) == {"GAB": [0]}
    assert await house.statements.balances(book, ["GAB"], []) == {"GAB": []}


async def test_the_curve_is_told_in_words_for_the_period_that_was_asked_for(
    merchant: Merchant, office: Office, clock: ManualClock
) -> None:
    await merchant.collect(100_000)
    clock.advance(days=20)
    await merchant.renew_token()
    await merchant.transfer(amount=60_000, destinationCountry="GAB")
    clock.advance(days=2)
    told = unescape((await wallets_page(merchant, office)).raw.decode()).replace("\u00a0", " ")
    assert (
        "Total from 16 June 2026 to 15 July 2026: 0 XAF at the beginning, 35,000 XAF at the end, "
        "0 XAF at the least, 95,000 XAF at the most."
    ) in told
    week = unescape((await wallets_page(merchant, office, days="7")).raw.decode())
    assert "Total from 8 July 2026 to 15 July 2026: 95,000\u00a0XAF at the beginning" in week


async def test_flows_add_up_what_crossed_a_border_and_arrived(
    merchant: Merchant, office: Office, house: House
) -> None:
    await merchant.collect(400_000)
    for _ in range(2):
        await merchant.transfer(amount=10_000)
    await merchant.transfer(amount=100_000, destinationCountry="GAB")
    # Paid within the country, refused, and still under way: none of them crossed a border.
    await merchant.withdraw(amount=5_000)
    await merchant.withdraw(
        amount=6_000, provider="MTN_MOMO_CIV", phoneNumber="237653456089", sourceCountry="CMR"
    )
    await merchant.withdraw(amount=20_000, provider="FREE_SEN", sourceCountry="CMR")
    await house.worker.run_until_idle()
    await merchant.withdraw(amount=7_000, provider="MTN_MOMO_CIV", sourceCountry="CMR")

    page = await wallets_page(merchant, office)

    assert table(page) == [
        ["Cameroon", "Gabon", "1", "0", "100,000 XAF", "100,000 XAF"],
        ["Cameroon", "Senegal", "2", "1", "40,000 XAF", "39,596.70 XOF"],
    ]
    wide, narrow = page.raw.decode().split('<svg class="flow')[1:]
    titles = re.findall(r'<path class="band"[^>]*><title>([^<]+)', wide)
    assert titles == re.findall(r'<path class="band"[^>]*><title>([^<]+)', narrow)
    assert [unescape(title).replace("\u00a0", " ") for title in titles] == [
        "Cameroon to Gabon: 100,000 XAF",
        "Cameroon to Senegal: 40,000 XAF",
    ]


async def test_flows_are_of_the_period_and_of_this_application_alone(
    merchant: Merchant, office: Office, house: House, clock: ManualClock
) -> None:
    await merchant.collect(100_000)
    other = await Merchant.join(house, name="other", api=merchant.api)
    await other.collect(100_000)
    await other.transfer(amount=9_000)
    await merchant.transfer(amount=10_000)
    clock.advance(days=20)
    await merchant.renew_token()
    await merchant.transfer(amount=1_000)

    assert table(await wallets_page(merchant, office))[0][4] == "11,000 XAF"
    assert table(await wallets_page(merchant, office, days="7"))[0][4] == "1,000 XAF"
    clock.advance(days=31)
    assert "Nothing went from one country to another." in words(
        await wallets_page(merchant, office)
    )


async def test_of_too_many_the_newest_are_looked_at_and_the_page_says_so(
    merchant: Merchant, office: Office, clock: ManualClock
) -> None:
    await merchant.collect(100_000)
    for amount in (1_000, 2_000, 3_000):
        await merchant.transfer(amount=amount)
        clock.advance(seconds=1)
    whole = words(await wallets_page(merchant, office))
    with patch.object(store, "MOST_OF_CROSSINGS", 2):
        page = await wallets_page(merchant, office)
    assert table(page)[0][4] == "5,000 XAF"
    assert "Only the newest operations of the period are counted" in words(page)
    assert "Only the newest" not in whole
