"""The webhooks of an application on the dashboard: found, looked into, tested, sent again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from kpay.app import House
from kpay.audit.model import Action
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.people.model import Role
from kpay.web.api import Api
from kpay.webhooks.flow import MOST_REPLAYED
from kpay.webhooks.model import Topic
from tests.client import Merchant
from tests.people import Office, people_of
from tests.receivers import Receiver, listening
from tests.visitors import Visitor, words


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    made = Office(house, house.people, clock)
    await made.hire("dede", Role.DEVELOPER)
    return made


@pytest.fixture
def api(house: House, office: Office) -> Api:
    return house.asgi()


@pytest.fixture
async def shop(house: House, api: Api) -> Merchant:
    return await Merchant.join(house, api=api)


@pytest.fixture
async def dede(office: Office, api: Api) -> Visitor:
    return await Visitor.signed_in(api, office, "dede")


@pytest.fixture
async def receiver(shop: Merchant) -> AsyncIterator[Receiver]:
    """The shop's server, which hears everything."""
    async with listening() as heard:
        await shop.house.webhooks.set_url(book_of(shop), Topic.GENERIC, heard.url)
        yield heard


def book_of(shop: Merchant) -> Book:
    return Book(shop.new.application.id, Environment.TEST)


def here(shop: Merchant) -> str:
    return f"/dashboard/app/{shop.application_id}/test/webhooks"


async def listed(visitor: Visitor, shop: Merchant, **query: str) -> list[tuple[str, str]]:
    """The events in the list, each with where its link leads to."""
    page = (await visitor.get(here(shop), **query)).raw.decode()
    found = re.findall(r'class="of-link" href="([^"]+)"><code>([^<]+)<', page)
    return [(event, href) for href, event in found]


async def events(visitor: Visitor, shop: Merchant, **query: str) -> list[str]:
    return [event for event, _ in await listed(visitor, shop, **query)]


async def test_deliveries_are_narrowed_by_status_event_and_day(
    shop: Merchant, receiver: Receiver, office: Office, api: Api, clock: ManualClock
) -> None:
    await shop.collect(10_000)
    receiver.script.extend([400])
    await shop.withdraw()
    await shop.house.worker.run_until_idle()
    clock.advance(days=1)
    await shop.renew_token()
    await shop.collect(5_000)
    dede = await Visitor.signed_in(api, office, "dede")

    assert await events(dede, shop) == [
        "payment.completed",
        "payout.completed",
        "payment.completed",
    ]
    assert await events(dede, shop, status="FAILED") == ["payout.completed"]
    assert await events(dede, shop, event="payout.completed") == ["payout.completed"]
    assert await events(dede, shop, **{"from": "2026-06-24"}) == ["payment.completed"]
    assert await events(dede, shop, to="2026-06-23", status="DELIVERED") == ["payment.completed"]
    assert await events(dede, shop, event="refund.failed") == []
    # What no form of ours says narrows nothing, and breaks nothing.
    assert len(await events(dede, shop, status="x", event="y", to="z", before="0")) == 3


async def test_a_list_goes_on_where_the_page_before_ended(
    house: House, shop: Merchant, dede: Visitor
) -> None:
    await house.database.execute(
        """
        insert into deliveries (
            application_id, environment, id, topic, type, operation_id, resource_id, due_at,
            asked_at, created_at
        )
        select
            $1, 'TEST', lpad(number::text, 32, '0')::uuid, 'generic', 'payment.completed', $1, $1,
            $2, $2, $2
        from generate_series(1, 70) as number
        """,
        shop.new.application.id,
        house.clock.now(),
    )
    first = await listed(dede, shop, event="payment.completed")
    page = (await dede.get(here(shop), event="payment.completed")).raw.decode()
    older = re.search(r'href="[^"]+\?event=payment.completed&amp;before=([^"]+)">Older', page)
    assert older is not None
    second = await listed(dede, shop, event="payment.completed", before=older[1])
    assert (len(first), len(second)) == (50, 20)
    assert not set(first) & set(second)


async def test_one_delivery_shows_what_was_sent_and_what_came_back_and_is_sent_again(
    shop: Merchant, receiver: Receiver, dede: Visitor, office: Office
) -> None:
    receiver.script.extend([400])
    payment = await shop.collect(10_000)
    ((_, address),) = await listed(dede, shop)
    page = await dede.get(address)
    assert f"Transaction {payment['id']}" in words(page)
    transaction = f"/dashboard/app/{shop.application_id}/test/transactions/{payment['id']}"
    assert f'href="{transaction}"' in page.raw.decode()
    assert (await dede.get(transaction)).status == 200
    assert "not delivered" in words(page)
    assert "Attempt 1 · 400" in words(page)
    assert '"event":"payment.completed"' in page.raw.decode().replace("&#34;", '"')
    assert "What came back heard" in words(page)

    answer = await dede.post(f"{address}/replay")
    assert answer.headers["location"] == f"{address}?done=replayed#main"
    await shop.house.worker.run_until_idle()
    page = await dede.get(address)
    assert "Attempt 2 · 200" in words(page)
    assert receiver.events == ["payment.completed"] * 2
    entry = (await office.log(action=Action.REPLAY_ASKED))[0]
    assert (entry.person_name, entry.subject.id) == ("Dede", payment["id"])
    assert entry.details == {
        "event": "payment.completed",
        "application": "shop",
        "environment": "test",
        "applicationId": shop.application_id,
    }


async def test_a_delivery_whose_address_was_taken_away_says_so_instead(
    shop: Merchant, receiver: Receiver, dede: Visitor
) -> None:
    await shop.collect(10_000)
    ((_, address),) = await listed(dede, shop)
    await shop.house.webhooks.remove_url(book_of(shop), Topic.GENERIC)
    answer = await dede.post(f"{address}/replay")
    assert answer.status == 409
    assert "No address is set that hears this" in words(answer)


async def test_a_period_is_looked_over_and_then_sent_again(
    shop: Merchant, receiver: Receiver, office: Office, api: Api, clock: ManualClock
) -> None:
    receiver.script.extend([400, 200])
    await shop.collect(10_000)
    await shop.collect(5_000)
    clock.advance(hours=2)
    await shop.collect(1_000)
    dede = await Visitor.signed_in(api, office, "dede")
    receiver.heard.clear()
    period = {"since": "2026-06-23T09:00", "until": "2026-06-23T11:00"}

    seen = await dede.post(f"{here(shop)}/replay", **period, only="FAILED")
    assert "of 23 Jun 2026, 09:00 UTC to 23 Jun 2026, 11:00 UTC that was not delivered" in (
        words(seen)
    )
    assert receiver.heard == []
    answer = await dede.post(f"{here(shop)}/replay", **period, only="FAILED", sure="yes")
    assert answer.headers["location"] == f"{here(shop)}?done=replayed&count=1#main"
    await shop.house.worker.run_until_idle()
    assert len(receiver.heard) == 1

    await dede.post(f"{here(shop)}/replay", **period, only="", sure="yes")
    await shop.house.worker.run_until_idle()
    assert len(receiver.heard) == 3
    entry = (await office.log(action=Action.PERIOD_REPLAYED))[0]
    assert entry.details == {
        "since": "2026-06-23T09:00:00.000Z",
        "until": "2026-06-23T11:00:00.000Z",
        "status": None,
        "application": "shop",
        "environment": "test",
    }


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-06-23T11:00", "2026-06-23T11:00"),
        ("2026-06-23T11:00", "2026-06-23T10:00"),
        ("", "2026-06-23T10:00"),
        ("yesterday", "today"),
        ("2026-06-23T09:00Z", "2026-06-23T10:00Z"),
    ],
)
async def test_a_period_that_can_be_none_is_told_beside_its_field(
    shop: Merchant, receiver: Receiver, dede: Visitor, since: str, until: str
) -> None:
    answer = await dede.post(f"{here(shop)}/replay", since=since, until=until, sure="yes")
    assert answer.status == 422
    assert "Write two moments, the second after the first." in words(answer)


async def test_a_period_with_more_than_fits_is_gone_on_with(
    shop: Merchant,
    receiver: Receiver,
    dede: Visitor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(3):
        await shop.collect(1_000)
    receiver.heard.clear()
    assert MOST_REPLAYED > 3
    monkeypatch.setattr("kpay.dashboard.webhooks.MOST_REPLAYED", 2)
    period = {"since": "2026-06-23T09:00", "until": "2026-06-23T11:00", "only": "", "sure": "yes"}
    first = await dede.post(f"{here(shop)}/replay", **period)
    assert "Webhooks sent again: 2; there are more." in words(first)
    after = re.search(r'name="after" value="([^"]+)"', first.raw.decode())
    assert after is not None
    rest = await dede.post(f"{here(shop)}/replay", **period, after=after[1])
    assert rest.headers["location"].endswith("?done=replayed&count=1#main")
    await shop.house.worker.run_until_idle()
    assert len(receiver.heard) == 3


async def test_nothing_is_sent_again_where_no_address_is_set(shop: Merchant, dede: Visitor) -> None:
    answer = await dede.post(
        f"{here(shop)}/replay", since="2026-06-23T09:00", until="2026-06-23T11:00", only=""
    )
    assert answer.status == 409
    assert (await dede.post(f"{here(shop)}/generic/test")).status == 404
    assert (await dede.post(f"{here(shop)}/nonsense/resume")).status == 404


@pytest.mark.parametrize(
    ("said", "told"), [(200, "The test was taken."), (500, "The test was not taken")]
)
async def test_a_test_is_sent_on_demand_and_what_came_back_is_shown(
    shop: Merchant, receiver: Receiver, dede: Visitor, office: Office, said: int, told: str
) -> None:
    receiver.otherwise = said
    answer = await dede.post(f"{here(shop)}/generic/test")
    assert answer.status == 303
    path, _, _ = answer.headers["location"].partition("?")
    page = words(await dede.get(path, done="tested"))
    assert told in page
    assert f"Attempt 1 · {said}" in page
    assert receiver.events == ["webhook.test"]
    (entry,) = await office.log(action=Action.WEBHOOK_TESTED)
    assert entry.details["topic"] == "generic"


async def test_a_paused_address_is_resumed_by_hand(
    shop: Merchant, receiver: Receiver, dede: Visitor, office: Office, house: House
) -> None:
    await house.database.execute(
        """
        update webhook_endpoints
        set failures = 12, paused_since = $1, pause_reason = 'It answered 503.', probe_at = $1
        """,
        house.clock.now(),
    )
    page = words(await dede.get(here(shop)))
    assert "Paused since 23 Jun 2026, 10:00 UTC: It answered 503." in page
    answer = await dede.post(f"{here(shop)}/generic/resume")
    assert answer.headers["location"] == f"{here(shop)}?done=resumed#main"
    assert "Paused since" not in words(await dede.get(here(shop)))
    assert len(await office.log(action=Action.WEBHOOK_RESUMED)) == 1


async def test_an_owner_without_a_second_factor_sends_nothing_again_in_live(
    house: House, shop: Merchant, office: Office, api: Api
) -> None:
    await office.hire("awa")
    await shop.live()
    awa = await Visitor.signed_in(api, office, "awa")
    async with listening() as heard:
        address = here(shop).replace("/test/", "/live/")
        await house.database.execute(
            """
            insert into webhook_endpoints (
                application_id, environment, topic, url, created_at, changed_at
            )
            values ($1, 'PRODUCTION', 'generic', $2, $3, $3)
            """,
            shop.new.application.id,
            heard.url,
            house.clock.now(),
        )
        for form in ("generic/test", "generic/resume"):
            answer = await awa.post(f"{address}/{form}")
            assert "needed=second-factor" in answer.headers["location"]
        assert heard.heard == []


async def test_another_application_s_deliveries_are_not_there(
    shop: Merchant, receiver: Receiver, dede: Visitor, house: House
) -> None:
    await shop.collect(1_000)
    ((_, address),) = await listed(dede, shop)
    other = await house.office.create_application("Acme", "other")
    moved = address.replace(shop.application_id, str(other.application.id))
    assert (await dede.get(address)).status == 200
    assert (await dede.get(moved)).status == 404
    assert (await dede.get(address.replace("/test/", "/live/"))).status == 404
    assert (await dede.get(address.upper())).status == 404
