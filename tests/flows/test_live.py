"""What is new appears on pages that are looked at, whichever process made it, and on no others."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.people.model import IDLE_LIFE, Role
from kpay.settings import Settings
from kpay.transactions.model import parse
from kpay.transactions.news import News, Watch
from tests.client import Answer, Merchant
from tests.houses import opened
from tests.listening import listening
from tests.people import Office
from tests.visitors import Visitor

SOON = 0.02


@pytest.fixture
def house(house: House) -> House:
    house.news = News(house.database, every=SOON)
    return house


@pytest.fixture
async def awa(merchant: Merchant, office: Office) -> Visitor:
    await office.hire("awa")
    return await Visitor.signed_in(merchant.api, office, "awa")


def place(merchant: Merchant, *parts: str) -> str:
    return "/".join((f"/dashboard/app/{merchant.application_id}/test/transactions", *parts))


def news(answer: Answer) -> str:
    """The address that a page is told at."""
    found = re.search(r'data-live="([^"]+)"', answer.raw.decode())
    assert found is not None
    return found[1].replace("&amp;", "&")


async def ask(visitor: Visitor, address: str) -> Answer:
    """Ask for news as any page is asked for; only where they end at once."""
    parts = urlsplit(address)
    return await visitor.get(parts.path, **dict(parse_qsl(parts.query)))


async def up_to_date(merchant: Merchant, answer: Answer) -> bool:
    """Whether a page that was drawn just now has nothing to be told."""
    query = dict(parse_qsl(urlsplit(news(answer)).query))
    ids = [found[1] for name in query.get("of", "").split(",") if (found := parse(name))]
    book = Book(merchant.new.application.id, Environment.TEST)
    watch = Watch(book, tuple(ids), newest="newest" in query, whole="whole" in query)
    return await merchant.house.news.mark(watch) == query["seen"]


async def test_a_list_is_told_of_what_comes_and_of_each_new_state(
    merchant: Merchant, awa: Visitor
) -> None:
    async with listening(merchant.api, awa, news(await awa.get(place(merchant)))) as page:
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/event-stream")
        payment = await merchant.pay()
        await page.mark()

    drawn = await awa.get(place(merchant))
    assert await up_to_date(merchant, drawn)
    async with listening(merchant.api, awa, news(drawn)) as page:
        await merchant.house.worker.run_until_idle()
        await page.mark()
    assert (await merchant.payment(payment))["status"] == "COMPLETED"


@pytest.mark.parametrize("whole", [False, True], ids=["list", "one"])
async def test_what_happened_between_a_page_and_its_news_is_told_at_once(
    merchant: Merchant, awa: Visitor, whole: bool
) -> None:
    await merchant.collect(100_000)
    payout = await merchant.withdraw(amount=10_000)
    path = place(merchant, payout["id"]) if whole else place(merchant)
    before = await awa.get(path)
    assert await up_to_date(merchant, before)
    await merchant.house.worker.run_until_idle()
    async with listening(merchant.api, awa, news(before)) as page:
        await page.mark()
    assert await up_to_date(merchant, await awa.get(path))


async def test_who_comes_back_is_told_only_of_what_came_since(
    merchant: Merchant, awa: Visitor
) -> None:
    address = news(await awa.get(place(merchant)))
    await merchant.pay()
    async with listening(merchant.api, awa, address) as page:
        now = await page.mark()
    async with listening(merchant.api, awa, address, last_event=now) as page:
        await merchant.pay()
        assert await page.mark() != now
        assert page.quiet


async def test_a_change_that_another_process_made_is_told_on_this_one(
    merchant: Merchant, awa: Visitor, settings: Settings, clock: ManualClock
) -> None:
    payment = await merchant.pay()
    address = news(await awa.get(place(merchant, payment["id"])))
    async with (
        opened(settings, clock) as other,
        listening(merchant.api, awa, address) as page,
    ):
        await other.worker.run_until_idle()
        await page.mark()
    assert (await merchant.payment(payment))["status"] == "COMPLETED"


async def test_nothing_is_told_of_another_book(
    merchant: Merchant, awa: Visitor, office: Office
) -> None:
    rival = await Merchant.join(merchant.house, "Rival", "stall", api=merchant.api)
    payment = await rival.pay()
    own = news(await awa.get(place(merchant)))
    foreign = re.sub("of=[^&]*", f"of={payment['id']}", own) + "&whole=1"
    async with listening(merchant.api, awa, foreign) as page:
        await rival.house.worker.run_until_idle()
        assert (await rival.payment(payment))["status"] == "COMPLETED"
        await merchant.pay()
        await page.mark()
        assert page.quiet


async def test_one_question_is_asked_for_everybody_who_looks(
    merchant: Merchant, awa: Visitor
) -> None:
    address = news(await awa.get(place(merchant)))
    async with (
        listening(merchant.api, awa, address) as first,
        listening(merchant.api, awa, address) as second,
    ):
        await merchant.pay()
        assert await first.mark() == await second.mark()
        assert len(merchant.house.news._viewers) == 2
        [task] = [each for each in asyncio.all_tasks() if each.get_name() == "news"]
        assert task is merchant.house.news._looking


async def test_nobody_looks_and_nothing_is_asked(merchant: Merchant, awa: Visitor) -> None:
    async with listening(merchant.api, awa, news(await awa.get(place(merchant)))) as page:
        await merchant.pay()
        await page.mark()
    looking = merchant.house.news._looking
    assert looking is not None
    await looking
    assert looking.done()


async def test_an_answer_ends_by_itself_and_its_browser_comes_back(
    merchant: Merchant, awa: Visitor
) -> None:
    merchant.house.news._life = SOON
    async with listening(merchant.api, awa, news(await awa.get(place(merchant)))) as page:
        await page.ended.wait()
        assert page.status == 200
        assert page.quiet


@pytest.mark.parametrize("how", ["told", "closed"])
async def test_answers_end_when_their_process_is_to_end(
    merchant: Merchant, awa: Visitor, how: str
) -> None:
    house = merchant.house
    async with listening(merchant.api, awa, news(await awa.get(place(merchant)))) as page:
        await merchant.pay()
        await page.mark()
        if how == "told":
            house.news._ending = lambda: True
        else:
            await house.news.close()
        async with asyncio.timeout(5):
            await page.ended.wait()


@pytest.mark.parametrize("room", ["_most", "_most_of_book"])
async def test_no_more_pages_are_told_than_there_is_room_for(
    merchant: Merchant, awa: Visitor, room: str
) -> None:
    address = news(await awa.get(place(merchant)))
    setattr(merchant.house.news, room, 1)
    async with listening(merchant.api, awa, address):
        assert (await ask(awa, address)).status == 503
    assert merchant.house.news._viewers == set()


async def test_news_keep_no_session_alive(
    merchant: Merchant, awa: Visitor, clock: ManualClock
) -> None:
    merchant.house.news._life = 0
    address = news(await awa.get(place(merchant)))
    silent = replace(awa, headers={**awa.headers, "X-KPay-Live": "1"})
    for _ in range(6):
        clock.advance(seconds=int(IDLE_LIFE.total_seconds()) // 6)
        assert (await ask(awa, address)).status in (200, 303)
        await silent.get(place(merchant))
    assert (await awa.get(place(merchant))).status == 303


async def test_a_role_that_was_taken_away_is_told_nothing_more(
    merchant: Merchant, awa: Visitor, office: Office
) -> None:
    other = await office.hire("omar", Role.VIEWER)
    omar = await Visitor.signed_in(merchant.api, office, "omar")
    address = news(await omar.get(place(merchant)))
    await office.people.members.remove(await office.session("awa"), await office.company(), other)
    assert (await ask(omar, address)).status == 404
