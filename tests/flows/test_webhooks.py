"""Webhooks from the event to the merchant's server: who hears what, how signed, what is kept."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from kpay.verify import verify
from kpay.webhooks.store import DeliveryFilter
from tests.client import Answer, Merchant
from tests.houses import opened
from tests.receivers import Receiver, listening
from tests.soundness import assert_sound

BASE = "/api/v1/payments/webhooks"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as heard:
        yield heard


async def set_url(merchant: Merchant, topic: str, url: str) -> Answer:
    answer = await merchant.keys.send("PUT", f"{BASE}/{topic}", {"url": url})
    assert answer.status == 200, answer.raw
    return answer


async def deliveries(merchant: Merchant, **query: object) -> list[dict[str, Any]]:
    answer = await merchant.keys.send("GET", f"{BASE}/deliveries", query=query)
    assert answer.status == 200, answer.raw
    rows: list[dict[str, Any]] = answer["data"]
    return rows


async def detail(merchant: Merchant, identifier: str) -> Answer:
    return await merchant.keys.send("GET", f"{BASE}/deliveries/{identifier}")


async def test_a_payment_is_told_as_kpay_tells_it(
    merchant: Merchant, receiver: Receiver, database_url: str
) -> None:
    await set_url(merchant, "generic", receiver.url)
    payment = await merchant.collect(10_000, metadata={"orderId": "12345"}, externalId="ORDER-1")

    (heard,) = receiver.heard
    secret = merchant.new.webhook_secret
    assert heard.headers["X-KPAY-Event"] == "payment.completed"
    assert heard.headers["User-Agent"] == "KPAY-Webhook/1.0"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.headers["X-KPAY-Signature"] == (
        hmac.new(secret.encode(), heard.raw, hashlib.sha256).hexdigest()
    )
    assert heard["paymentId"] == payment["id"]
    assert heard["reference"] == payment["reference"]
    assert heard["status"] == "COMPLETED"
    assert heard["amount"] == 10_000
    assert heard["externalId"] == "ORDER-1"
    assert heard["metadata"] == {"orderId": "12345"}
    assert heard["completedAt"] == payment["completedAt"]
    await assert_sound(database_url)


async def test_the_specific_url_hears_first_else_the_generic_one_else_nobody(
    merchant: Merchant, receiver: Receiver
) -> None:
    await merchant.collect(10_000)
    assert await deliveries(merchant) == []

    await set_url(merchant, "payouts", receiver.url + "/payouts")
    await merchant.collect(10_000)
    await set_url(merchant, "generic", receiver.url + "/generic")
    await merchant.collect(10_000)
    await merchant.withdraw()
    await merchant.house.worker.run_until_idle()

    assert [(heard.path, heard["event"]) for heard in receiver.heard] == [
        ("/hook/generic", "payment.completed"),
        ("/hook/payouts", "payout.completed"),
    ]


async def test_every_end_is_told(merchant: Merchant, receiver: Receiver) -> None:
    await merchant.collect(50_000)
    await set_url(merchant, "generic", receiver.url)
    await merchant.pay(phoneNumber="237653456069")
    await merchant.withdraw(phoneNumber="237653456119")
    await merchant.withdraw(externalId="done")
    called_back = await merchant.withdraw()
    await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{called_back['id']}/cancel")
    await merchant.house.worker.run_until_idle()

    told = {
        heard["event"]: (heard["status"], heard["failureReason"], bool(heard["failedAt"]))
        for heard in receiver.heard
    }
    assert told == {
        "payment.failed": ("FAILED", "UNSPECIFIED_FAILURE", True),
        "payout.failed": ("FAILED", "UNSPECIFIED_FAILURE", True),
        "payout.completed": ("COMPLETED", None, False),
        "payout.cancelled": ("CANCELLED", None, True),
    }
    assert {heard.headers["webhook-id"] for heard in receiver.heard} == {
        row["id"] for row in await deliveries(merchant)
    }


async def test_a_date_is_a_whole_day_here_too(
    merchant: Merchant, receiver: Receiver, clock: ManualClock
) -> None:
    await set_url(merchant, "generic", receiver.url)
    await merchant.collect(1_000)
    clock.advance(days=1)
    await merchant.collect(1_000)

    assert len(await deliveries(merchant, **{"from": "2026-06-23", "to": "2026-06-23"})) == 1
    assert len(await deliveries(merchant, to="2026-06-24")) == 2
    for method, path in (("GET", "deliveries"), ("POST", "replay")):
        turned = {"from": "2026-06-24", "to": "2026-06-23"}
        given: dict[str, Any] = {"query": turned} if method == "GET" else {"body": turned}
        refused = await merchant.keys.send(method, f"{BASE}/{path}", **given)
        assert (refused.status, refused["code"]) == (400, "invalid_parameter")


async def test_an_event_is_on_its_way_in_the_transaction_that_caused_it(
    merchant: Merchant, receiver: Receiver, house: House
) -> None:
    await set_url(merchant, "payments", receiver.url)
    await merchant.pay()
    while await house.payments.work(10):
        pass

    (row,) = await deliveries(merchant)
    events = await merchant.keys.send("GET", "/api/v1/payments/events")
    assert (row["status"], row["attemptCount"]) == ("PENDING", 0)
    assert row["id"] == events["data"][0]["id"]
    assert receiver.heard == []


async def test_the_standard_s_library_verifies_what_was_heard(
    settings: Settings, receiver: Receiver
) -> None:
    # The library looks at the real clock.
    clock = ManualClock(datetime.now(UTC))
    async with opened(settings, clock) as house:
        merchant = await Merchant.join(house)
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(10_000)

    (heard,) = receiver.heard
    verified = Webhook(merchant.new.webhook_secret).verify(heard.raw, dict(heard.headers))
    assert verified["event"] == "payment.completed"


async def test_after_a_rotation_both_secrets_sign_until_the_overlap_ends(
    settings: Settings, receiver: Receiver
) -> None:
    clock = ManualClock(datetime.now(UTC))
    async with opened(settings, clock) as house:
        merchant = await Merchant.join(house)
        book = Book(merchant.new.application.id, Environment.TEST)
        await set_url(merchant, "generic", receiver.url)

        rotated = await house.webhooks.rotate(book, timedelta(hours=1))
        await merchant.collect(1_000)
        clock.advance(minutes=59, seconds=59)
        assert (await house.webhooks.secrets(book)).previous == rotated.previous
        clock.advance(seconds=1)
        await merchant.renew_token()
        await merchant.collect(1_000)
        assert (await house.webhooks.secrets(book)).previous is None

    assert rotated.previous == merchant.new.webhook_secret
    assert rotated.current != rotated.previous
    during, after = receiver.heard
    for heard in (during, after):
        assert heard.headers["X-KPAY-Signature"] == (
            hmac.new(rotated.current.encode(), heard.raw, hashlib.sha256).hexdigest()
        )
    for secret in (rotated.current, rotated.previous):
        assert Webhook(secret).verify(during.raw, dict(during.headers))
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1


async def test_an_overlap_has_bounds(merchant: Merchant, house: House) -> None:
    book = Book(merchant.new.application.id, Environment.TEST)
    for days in (-1, 31):
        with pytest.raises(Exception, match="overlap must be between"):
            await house.webhooks.rotate(book, timedelta(days=days))
    assert (await house.webhooks.secrets(book)).version == 1


async def test_what_was_sent_and_what_came_back_is_kept(
    merchant: Merchant, receiver: Receiver, clock: ManualClock
) -> None:
    await set_url(merchant, "generic", receiver.url)
    receiver.script.append(503)
    payment = await merchant.collect(1_000)
    clock.advance(seconds=3)
    await merchant.house.worker.run_until_idle()

    (row,) = await deliveries(merchant)
    assert (row["status"], row["attemptCount"], row["paymentId"]) == ("DELIVERED", 2, payment["id"])
    shown = await detail(merchant, row["id"])
    first, second = shown["attempts"]
    assert [first["responseStatus"], second["responseStatus"]] == [503, 200]
    assert first["body"].encode() == receiver.heard[0].raw
    assert second["body"].encode() == receiver.heard[1].raw
    # The time of sending is stamped anew; what it tells of is the same.
    assert first["body"] != second["body"]
    for name, value in first["headers"].items():
        assert receiver.heard[0].headers[name] == value
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"] == row["id"]
    assert first["responseBody"] == "heard"
    assert isinstance(first["durationMs"], int)


async def test_the_body_is_of_the_committed_state_at_sending(
    merchant: Merchant, receiver: Receiver, house: House, database_url: str
) -> None:
    """Whatever was known when the event was written: what is told is what is on record now."""
    await set_url(merchant, "generic", receiver.url)
    await merchant.pay(phoneNumber="237653456069")
    while await house.payments.work(10):
        pass
    connection = await asyncpg.connect(database_url)
    # As an administrator could, with the triggers off.
    await connection.execute("set session_replication_role = 'replica'")
    await connection.execute("update instructions set failure_code = 'CORRECTED'")
    await connection.close()
    await house.worker.run_until_idle()

    assert receiver.heard[0]["failureReason"] == "CORRECTED"


async def test_a_url_is_set_seen_changed_and_taken_away(
    merchant: Merchant, receiver: Receiver, clock: ManualClock
) -> None:
    first = await set_url(merchant, "payouts", receiver.url)
    clock.advance(minutes=1)
    second = await set_url(merchant, "payouts", receiver.url + "/new")
    await set_url(merchant, "generic", receiver.url)

    listed = await merchant.keys.send("GET", BASE)
    assert [row["topic"] for row in listed.json] == ["generic", "payouts"]
    assert second["createdAt"] == first["createdAt"] != second["updatedAt"]
    assert (second["status"], second["failuresInARow"]) == ("ACTIVE", 0)
    removed = await merchant.keys.send("DELETE", f"{BASE}/payouts")
    assert (removed.status, removed["url"]) == (200, receiver.url + "/new")
    again = await merchant.keys.send("DELETE", f"{BASE}/payouts")
    assert (again.status, again["code"]) == (404, "not_found")


async def test_what_waits_for_a_url_that_is_taken_away_is_cancelled_and_can_be_replayed(
    merchant: Merchant, receiver: Receiver, house: House, database_url: str
) -> None:
    await set_url(merchant, "payments", "http://127.0.0.1:9/nobody")
    await merchant.collect(1_000)
    await merchant.keys.send("DELETE", f"{BASE}/payments")
    (row,) = await deliveries(merchant)
    assert (row["status"], row["nextAttemptAt"]) == ("CANCELLED", None)
    await house.worker.run_until_idle()

    nowhere = await merchant.keys.send("POST", f"{BASE}/deliveries/{row['id']}/replay")
    assert (nowhere.status, nowhere["code"]) == (404, "not_found")
    await set_url(merchant, "generic", receiver.url)
    replayed = await merchant.keys.send("POST", f"{BASE}/deliveries/{row['id']}/replay")
    assert (replayed.status, replayed["topic"]) == (202, "generic")
    await house.worker.run_until_idle()
    assert [heard.headers["webhook-id"] for heard in receiver.heard] == [row["id"]]
    await assert_sound(database_url)


async def test_an_event_that_nobody_was_to_hear_can_be_sent_later(
    merchant: Merchant, receiver: Receiver, database_url: str
) -> None:
    await merchant.collect(1_000)
    (event,) = (await merchant.keys.send("GET", "/api/v1/payments/events"))["data"]
    await set_url(merchant, "generic", receiver.url)
    assert await deliveries(merchant) == []

    answer = await merchant.keys.send("POST", f"{BASE}/deliveries/{event['id']}/replay")
    assert answer.status == 202
    await merchant.house.worker.run_until_idle()

    assert receiver.events == ["payment.completed"]
    await assert_sound(database_url)


async def test_the_events_of_some_time_are_sent_again(
    merchant: Merchant, receiver: Receiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpay.webhooks.api.MOST_REPLAYED", 2)
    await set_url(merchant, "generic", receiver.url)
    for number in range(4):
        await merchant.collect(1_000, externalId=f"order-{number}")
        clock.advance(minutes=1)
    await merchant.renew_token()
    receiver.heard.clear()

    asked: dict[str, object] = {"from": "2026-06-23T10:01:00Z", "to": "2026-06-23T10:04:00Z"}
    first = await merchant.keys.send("POST", f"{BASE}/replay", asked)
    assert (first.status, first["queued"]) == (202, 2)
    asked["cursor"] = first["nextCursor"]
    second = await merchant.keys.send("POST", f"{BASE}/replay", asked)
    assert (second["queued"], second["nextCursor"]) == (1, None)
    await merchant.house.worker.run_until_idle()
    assert sorted(heard["externalId"] for heard in receiver.heard) == [
        "order-1",
        "order-2",
        "order-3",
    ]

    wanted = {"from": "2026-06-23T10:00", "status": "FAILED"}
    assert (await merchant.keys.send("POST", f"{BASE}/replay", wanted))["queued"] == 0
    wanted = {"from": "2026-06-23T10:00", "event": "payout.completed"}
    assert (await merchant.keys.send("POST", f"{BASE}/replay", wanted))["queued"] == 0


async def test_a_test_event_says_at_once_what_came_back(
    merchant: Merchant, receiver: Receiver, house: House, clock: ManualClock, database_url: str
) -> None:
    nowhere = await merchant.keys.send("POST", f"{BASE}/test")
    assert (nowhere.status, nowhere["code"]) == (404, "not_found")
    await set_url(merchant, "payouts", receiver.url)

    receiver.script.extend([200, 500])
    good = await merchant.keys.send("POST", f"{BASE}/test", {"topic": "payouts"})
    bad = await merchant.keys.send("POST", f"{BASE}/test", {"topic": "payouts"})

    assert (good.status, good["status"], good["responseStatus"]) == (201, "DELIVERED", 200)
    assert (bad.status, bad["status"], bad["responseStatus"]) == (201, "FAILED", 500)
    assert [heard["event"] for heard in receiver.heard] == ["webhook.test"] * 2
    # No status of a payment's, so that nobody ships anything for it.
    assert receiver.heard[0]["status"] == "TEST"
    clock.advance(days=1)
    assert await house.webhooks.work(10) == 0
    again = await merchant.keys.send("POST", f"{BASE}/deliveries/{bad['id']}/replay")
    assert again.status == 202
    await house.worker.run_until_idle()
    assert (await detail(merchant, bad["id"]))["status"] == "DELIVERED"
    await assert_sound(database_url)


async def test_deliveries_are_narrowed_and_paged(
    merchant: Merchant, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.script.extend([200, 404, 200])
    await set_url(merchant, "payments", receiver.url)
    await set_url(merchant, "payouts", receiver.url)
    first = await merchant.collect(10_000)
    clock.advance(minutes=1)
    await merchant.collect(10_000)
    clock.advance(minutes=1)
    await merchant.withdraw()
    await merchant.house.worker.run_until_idle()

    newest, middle, oldest = await deliveries(merchant)
    assert await deliveries(merchant, topic="payouts") == [newest]
    assert await deliveries(merchant, event="payout.completed") == [newest]
    assert await deliveries(merchant, status="FAILED") == [middle]
    assert await deliveries(merchant, paymentId=first["id"]) == [oldest]
    window = {"from": "2026-06-23T10:01:00Z", "to": "2026-06-23T10:02:00Z"}
    assert await deliveries(merchant, **window) == [middle]
    page = await merchant.keys.send("GET", f"{BASE}/deliveries", query={"limit": 2})
    assert page["data"] == [newest, middle]
    assert await deliveries(merchant, cursor=page["nextCursor"]) == [oldest]


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "code"),
    [
        ("PUT", "generic", {}, {}, "invalid_body"),
        ("PUT", "generic", {"url": 5}, {}, "invalid_body"),
        ("PUT", "generic", {"url": "https://x.example", "more": 1}, {}, "invalid_body"),
        ("PUT", "generic", {"url": "https://user@x.example"}, {}, "invalid_webhook_url"),
        ("PUT", "generic", {"url": "http://10.0.0.1/"}, {}, "invalid_webhook_url"),
        ("PUT", "generic", {"url": "http://169.254.169.254/"}, {}, "invalid_webhook_url"),
        ("PUT", "generic", {"url": "http://[::ffff:10.0.0.1]/"}, {}, "invalid_webhook_url"),
        ("PUT", "orders", {"url": "https://x.example"}, {}, "not_found"),
        ("DELETE", "orders", None, {}, "not_found"),
        ("POST", "generic/resume", None, {}, "not_found"),
        ("POST", "test", {"topic": "orders"}, {}, "invalid_body"),
        ("POST", "replay", {}, {}, "invalid_body"),
        ("POST", "replay", {"from": "yesterday"}, {}, "invalid_parameter"),
        ("POST", "replay", {"from": "2026-01-01", "status": "LOST"}, {}, "invalid_body"),
        ("POST", "replay", {"from": "2026-01-01", "cursor": "x"}, {}, "invalid_parameter"),
        ("GET", "deliveries", None, {"status": "LOST"}, "invalid_parameter"),
        ("GET", "deliveries", None, {"topic": "orders"}, "invalid_parameter"),
        ("GET", "deliveries", None, {"paymentId": "order"}, "invalid_parameter"),
        ("GET", "deliveries", None, {"from": "yesterday"}, "invalid_parameter"),
        ("GET", "deliveries", None, {"limit": 1000}, "invalid_parameter"),
        ("GET", "deliveries/nothing", None, {}, "not_found"),
        ("GET", "deliveries/evt_00000000000000000000000000", None, {}, "not_found"),
        ("POST", "deliveries/evt_00000000000000000000000000/replay", None, {}, "not_found"),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(
    merchant: Merchant, method: str, path: str, body: Any, query: dict[str, object], code: str
) -> None:
    answer = await merchant.keys.send(method, f"{BASE}/{path}", body, query=query)

    assert answer["code"] == code, answer.raw
    assert answer.status in (400, 404)
    assert (await merchant.keys.send("GET", BASE)).json == []
    assert await deliveries(merchant) == []


async def test_production_has_urls_of_its_own_and_only_https(
    merchant: Merchant, receiver: Receiver
) -> None:
    await set_url(merchant, "generic", receiver.url)
    live = await merchant.live()

    assert (await live.keys.send("GET", BASE)).json == []
    for url in (receiver.url, receiver.url.replace("http", "https"), "http://shop.example/"):
        answer = await live.keys.send("PUT", f"{BASE}/generic", {"url": url})
        assert (answer.status, answer["code"]) == (400, "invalid_webhook_url")
    assert (await live.keys.send("POST", f"{BASE}/test")).status == 404


async def test_this_machine_is_called_only_where_merchants_are_told_that_kpay_is_here(
    settings: Settings, clock: ManualClock, receiver: Receiver
) -> None:
    public = replace(settings, public_url="https://pay.example.com")
    async with opened(public, clock) as house:
        merchant = await Merchant.join(house)
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
            answer = await merchant.keys.send("PUT", f"{BASE}/generic", {"url": url})
            assert (answer.status, answer["code"]) == (400, "invalid_webhook_url")
    allowed = replace(public, webhook_networks=(ip_network("127.0.0.0/8"),))
    async with opened(allowed, clock) as house:
        merchant = await Merchant.join(house, "Other")
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)
    assert receiver.events == ["payment.completed"]


async def test_where_a_name_leads_is_looked_at_again_when_it_is_sent(
    settings: Settings, clock: ManualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when the URL is set, and this machine's when the webhook is sent."""
    public = replace(settings, public_url="https://pay.example.com")
    async with opened(public, clock) as house:
        merchant = await Merchant.join(house)
        post = house.webhooks.courier.posts[Environment.TEST]

        async def harmless(_host: str) -> list[str]:
            return ["8.8.8.8"]

        monkeypatch.setattr(post, "look_up", harmless)
        await set_url(merchant, "generic", receiver.url.replace("127.0.0.1", "localhost"))
        await merchant.collect(1_000)

        (row,) = await deliveries(merchant)
        assert row["status"] == "PENDING"
        assert row["error"] == "It leads to an address of a private network."
    assert receiver.heard == []


async def test_nobody_reaches_another_s_webhooks(
    merchant: Merchant, house: House, receiver: Receiver
) -> None:
    await set_url(merchant, "generic", receiver.url)
    await merchant.collect(1_000)
    (row,) = await deliveries(merchant)
    for stranger in (await Merchant.join(house, "Rival"), await merchant.live()):
        assert (await stranger.keys.send("GET", BASE)).json == []
        assert await deliveries(stranger) == []
        assert (await detail(stranger, row["id"])).status == 404
        for method, path in (
            ("POST", f"deliveries/{row['id']}/replay"),
            ("POST", "generic/resume"),
            ("DELETE", "generic"),
        ):
            assert (await stranger.keys.send(method, f"{BASE}/{path}")).status == 404
        replayed = await stranger.keys.send("POST", f"{BASE}/replay", {"from": "2026-01-01"})
        assert replayed["queued"] == 0

    assert len((await merchant.keys.send("GET", BASE)).json) == 1
    await house.worker.run_until_idle()
    assert len(receiver.heard) == 1


async def test_verify_finds_an_event_without_its_delivery_and_a_delivery_without_its_event(
    merchant: Merchant, receiver: Receiver, clock: ManualClock, database_url: str
) -> None:
    await set_url(merchant, "generic", receiver.url)
    clock.advance(minutes=2)
    await merchant.collect(1_000)
    await merchant.keys.send("POST", f"{BASE}/test")
    connection = await asyncpg.connect(database_url)

    async def broken() -> set[str]:
        return {finding.check.name async for finding in verify(database_url) if finding.broken}

    try:
        assert await broken() == set()
        await connection.execute("update deliveries set operation_id = id, resource_id = id")
        assert await broken() == {"deliveries_have_events"}
        await connection.execute("delete from deliveries where type <> 'webhook.test'")
        assert await broken() == {"events_are_delivered"}
    finally:
        await connection.close()


async def test_old_attempts_are_forgotten_and_the_delivery_stays(
    settings: Settings, clock: ManualClock, receiver: Receiver
) -> None:
    async with opened(settings, clock, webhook_attempts_kept=timedelta(days=7)) as house:
        merchant = await Merchant.join(house)
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)
        clock.advance(days=7)
        await house.worker.run_until_idle()
        (row,) = await deliveries(merchant)
        assert len((await detail(merchant, row["id"]))["attempts"]) == 1

        clock.advance(seconds=31)
        await house.worker.run_until_idle()

        shown = await detail(merchant, row["id"])
        assert (shown["status"], shown["attempts"]) == ("DELIVERED", [])


async def test_a_house_that_closes_finishes_what_is_under_way(
    settings: Settings, clock: ManualClock
) -> None:
    going, go = asyncio.Event(), asyncio.Event()

    async def hold(_request: Any) -> Any:
        going.set()
        await go.wait()
        return web.Response(text="late")

    async with listening(hold) as receiver:
        async with opened(settings, clock) as house:
            merchant = await Merchant.join(house)
            await set_url(merchant, "generic", receiver.url)
            await merchant.pay()
            while await house.payments.work(10):
                pass
            await house.webhooks.work(10)
            await going.wait()
            asyncio.get_running_loop().call_soon(go.set)
        async with opened(settings, clock) as later:
            book = Book(merchant.new.application.id, Environment.TEST)
            (row,) = await later.webhooks.page(book, DeliveryFilter(limit=5))
            assert row.status == "DELIVERED"
