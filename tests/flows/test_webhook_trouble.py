"""Webhooks when receivers refuse, stall, flood or die, and when workers die or meet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import asyncpg
import pytest
import structlog
from aiohttp import web

from kpay import metrics
from kpay.app import House
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from kpay.webhooks.model import PAUSE_AFTER
from tests.client import Merchant
from tests.flows.test_webhooks import BASE, deliveries, detail, set_url
from tests.houses import opened
from tests.receivers import dead, listening
from tests.soundness import assert_sound, open_transactions


async def ended(merchant: Merchant, count: int = 1) -> list[str]:
    """So many payments that are complete, and whose webhooks wait to be sent."""
    made = [await merchant.pay() for _ in range(count)]
    while await merchant.house.payments.work(100):
        pass
    return [payment["id"] for payment in made]


def patience(house: House, seconds: float) -> None:
    """How long a receiver may take in all, for a test that waits for the end of it."""
    house.webhooks.courier.posts[Environment.TEST].within = seconds


async def until(house: House, done: Callable[[], bool]) -> None:
    """Work until something has happened."""
    async with asyncio.timeout(30):
        while not done():
            await house.webhooks.work(200)
            await asyncio.sleep(0)


def said(lines: Iterable[MutableMapping[str, Any]]) -> list[str]:
    """What was logged of webhooks."""
    return [line["event"] for line in lines if line["event"].startswith("webhook")]


async def endpoint(merchant: Merchant) -> dict[str, Any]:
    (row,) = (await merchant.keys.send("GET", BASE)).json
    found: dict[str, Any] = row
    return found


async def test_what_was_refused_for_good_is_not_sent_again(
    merchant: Merchant, clock: ManualClock
) -> None:
    async with listening(404) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)
        clock.advance(days=1)
        await merchant.house.worker.run_until_idle()

        (row,) = await deliveries(merchant)
        assert (row["status"], row["responseStatus"]) == ("FAILED", 404)
        assert len(receiver.heard) == 1


async def test_what_fails_is_sent_again_ever_later_until_it_is_taken(
    merchant: Merchant, clock: ManualClock
) -> None:
    async with listening(500, 408, 425, 302) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)
        for seconds in (3, 5, 10):
            assert await merchant.house.webhooks.work(10) == 0
            clock.advance(seconds=seconds)
            await merchant.house.worker.run_until_idle()
        (row,) = await deliveries(merchant)
        assert (row["status"], row["attemptCount"]) == ("PENDING", 4)
        clock.advance(seconds=20)
        await merchant.house.worker.run_until_idle()

        (row,) = await deliveries(merchant)
        assert (row["status"], row["attemptCount"]) == ("DELIVERED", 5)
        assert len({heard.headers["webhook-id"] for heard in receiver.heard}) == 1


async def test_retry_after_is_waited_for(merchant: Merchant, clock: ManualClock) -> None:
    async with listening(web.Response(status=429, headers={"Retry-After": "600"})) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)

        (row,) = await deliveries(merchant)
        assert row["nextAttemptAt"] == "2026-06-23T10:10:00.000Z"
        clock.advance(seconds=599)
        await merchant.house.worker.run_until_idle()
        assert len(receiver.heard) == 1
        clock.advance(seconds=1)
        await merchant.house.worker.run_until_idle()
        assert len(receiver.heard) == 2


async def test_after_three_days_it_is_given_up_and_can_be_replayed(
    merchant: Merchant, clock: ManualClock, house: House
) -> None:
    async with listening(*[500] * 8) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)
        for hours in (1, 10, 20, 20, 20):
            clock.advance(hours=hours)
            await house.worker.run_until_idle()
        (row,) = await deliveries(merchant)
        assert (row["status"], len(receiver.heard)) == ("PENDING", 6)
        clock.advance(hours=1)
        await house.worker.run_until_idle()
        clock.advance(hours=6)
        await house.worker.run_until_idle()

        (row,) = await deliveries(merchant)
        assert (row["status"], row["nextAttemptAt"]) == ("FAILED", None)
        heard = len(receiver.heard)
        receiver.script.clear()
        await merchant.keys.send("POST", f"{BASE}/deliveries/{row['id']}/replay")
        await house.worker.run_until_idle()
        assert (await deliveries(merchant))[0]["status"] == "DELIVERED"
        assert len(receiver.heard) == heard + 1


async def test_a_redirect_is_not_followed(merchant: Merchant) -> None:
    async with listening() as elsewhere:
        moved = web.Response(status=307, headers={"Location": elsewhere.url})
        async with listening(moved) as receiver:
            await set_url(merchant, "generic", receiver.url)
            await merchant.collect(1_000)

            assert len(receiver.heard) == 1
        assert elsewhere.heard == []
    (row,) = await deliveries(merchant)
    assert (row["status"], row["responseStatus"]) == ("PENDING", 307)


async def test_an_answer_without_end_is_read_no_further(merchant: Merchant) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while sent < 100_000_000:
                await answer.write(b"\x00\xff" + b"x" * 65_534)
                sent += 65_536
        except ConnectionError:
            pass
        return answer

    async with listening(flood) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)

    (row,) = await deliveries(merchant)
    assert row["status"] == "DELIVERED"
    (attempt,) = (await detail(merchant, row["id"]))["attempts"]
    assert len(attempt["responseBody"]) == 1_000
    assert "\x00" not in attempt["responseBody"]
    assert sent < 50_000_000


async def test_one_that_does_not_answer_in_time_is_asked_again(
    merchant: Merchant, house: House
) -> None:
    patience(house, 0.1)
    async with dead() as url:
        await set_url(merchant, "generic", url)
        await merchant.collect(1_000)

        (row,) = await deliveries(merchant)
        assert (row["status"], row["responseStatus"]) == ("PENDING", None)
        assert row["error"] == "No answer within 0.1 seconds."


async def test_one_that_has_said_200_has_taken_it_though_the_rest_never_comes(
    merchant: Merchant, house: House
) -> None:
    patience(house, 0.3)

    async def stall(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"so far")
        await asyncio.sleep(60)
        return answer

    async with listening(stall) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)

        (row,) = await deliveries(merchant)
        assert (row["status"], row["responseStatus"]) == ("DELIVERED", 200)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "broken off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n", "no HTTP"),
    ],
    ids=["nothing", "another protocol", "a huge header"],
)
async def test_what_is_no_answer_is_a_failure_in_words(
    merchant: Merchant, answer: bytes, words: str
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await set_url(merchant, "generic", f"http://127.0.0.1:{port}/")
        await merchant.collect(1_000)

    (row,) = await deliveries(merchant)
    assert row["status"] == "PENDING"
    assert words in row["error"]


async def test_nobody_there_and_no_such_name_are_failures_in_words(merchant: Merchant) -> None:
    await set_url(merchant, "generic", "http://127.0.0.1:9/")
    assert (await merchant.keys.send("POST", f"{BASE}/test"))["error"] == (
        "The connection was refused."
    )
    await set_url(merchant, "generic", "http://nobody.invalid/")
    assert (await merchant.keys.send("POST", f"{BASE}/test"))["error"] == (
        "The name has no address."
    )
    # TLS is spoken where plain HTTP is.
    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url.replace("http", "https"))
        assert "TLS" in (await merchant.keys.send("POST", f"{BASE}/test"))["error"]


async def test_a_delivery_whose_worker_died_before_the_call_is_sent_after_a_minute(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    """Promise 6: that it may have been sent is on record before it is."""
    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant)
        assert len(await house.webhooks.courier.claim(10)) == 1
        assert (await deliveries(merchant))[0]["attemptCount"] == 1

        clock.advance(seconds=59)
        assert await house.webhooks.work(10) == 0
        clock.advance(seconds=1)
        await house.worker.run_until_idle()

        (row,) = await deliveries(merchant)
        assert (row["status"], row["attemptCount"]) == ("DELIVERED", 2)
        assert [one["number"] for one in (await detail(merchant, row["id"]))["attempts"]] == [2]
        assert len(receiver.heard) == 1


async def test_a_worker_that_wakes_after_its_claim_sends_nothing(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant)
        (stopped,) = await house.webhooks.courier.claim(10)
        clock.advance(minutes=1)
        await house.worker.run_until_idle()

        await house.webhooks.courier.deliver(stopped, None)

        assert len(receiver.heard) == 1


async def test_an_outcome_that_comes_after_another_attempt_changes_nothing_and_is_kept(
    settings: Settings, merchant: Merchant, house: House, clock: ManualClock
) -> None:
    async with opened(settings, clock) as other:

        async def taken_up_by_another(_request: web.Request) -> web.Response:
            clock.advance(minutes=1)
            await other.worker.run_until_idle()
            return web.Response(status=404)

        async with listening(taken_up_by_another) as receiver:
            await set_url(merchant, "generic", receiver.url)
            await ended(merchant)
            await house.worker.run_until_idle()

        (row,) = await deliveries(merchant)
        assert (row["status"], row["responseStatus"]) == ("DELIVERED", 200)
        attempts = (await detail(merchant, row["id"]))["attempts"]
        assert [one["responseStatus"] for one in attempts] == [404, 200]


async def test_a_replay_that_is_asked_for_during_an_attempt_is_not_lost(
    merchant: Merchant, house: House
) -> None:
    async def replay_meanwhile(_request: web.Request) -> web.Response:
        (row,) = await deliveries(merchant)
        await merchant.keys.send("POST", f"{BASE}/deliveries/{row['id']}/replay")
        return web.Response()

    async with listening(replay_meanwhile) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)

        assert len(receiver.heard) == 2
        assert (await deliveries(merchant))[0]["status"] == "DELIVERED"


async def test_two_workers_never_send_one_delivery_both(
    settings: Settings, clock: ManualClock, merchant: Merchant, house: House
) -> None:
    async with listening() as receiver, opened(settings, clock) as other:
        await set_url(merchant, "generic", receiver.url)
        made = await ended(merchant, 40)

        # Claims of a few rows each, all at once: nearly every one of them meets another.
        await asyncio.gather(*(each.webhooks.work(3) for each in (house, other) * 10))
        await asyncio.gather(*(each.worker.run_until_idle() for each in (house, other)))

        assert Counter(heard["paymentId"] for heard in receiver.heard) == Counter(made)


async def test_no_transaction_is_open_while_a_receiver_is_called(
    merchant: Merchant, house: House, database_url: str
) -> None:
    seen: list[list[asyncpg.Record]] = []

    looked = asyncio.Event()

    async def look(_request: web.Request) -> web.Response:
        seen.append(await open_transactions(database_url))
        looked.set()
        return web.Response()

    async with listening(look) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant)
        # Once: another round would look for what is due in a transaction of its own meanwhile.
        await house.webhooks.work(200)
        async with asyncio.timeout(30):
            await looked.wait()

    assert seen == [[]]


async def test_a_dead_endpoint_does_not_delay_another_one(merchant: Merchant, house: House) -> None:
    patience(house, 60)
    stranger = await Merchant.join(house, "Healthy")
    async with dead() as nobody, listening() as receiver:
        await set_url(merchant, "generic", nobody)
        await set_url(stranger, "generic", receiver.url)
        await ended(merchant, 60)
        await until(house, lambda: len(house.webhooks.courier._tasks) >= 10)
        await ended(stranger, 30)

        await until(house, lambda: len(receiver.heard) == 30)

        # Of the dead one a few are under way, none has come to anything, and the rest still waits.
        rows = await deliveries(merchant, limit=100)
        assert {row["status"] for row in rows} == {"PENDING"}
        assert 0 < sum(row["attemptCount"] for row in rows) <= 10


async def test_an_endpoint_that_fails_is_paused_probed_and_resumed_by_itself(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    before = metrics.webhook_pauses._value.get()
    async with listening(otherwise=503) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant, PAUSE_AFTER)
        with structlog.testing.capture_logs() as lines:
            await house.worker.run_until_idle()
        assert said(lines) == ["webhook_endpoint_paused"]
        assert metrics.webhook_pauses._value.get() == before + 1
        shown = await endpoint(merchant)
        assert (shown["status"], shown["pausedSince"]) == ("PAUSED", "2026-06-23T10:00:00.000Z")
        assert shown["pauseReason"] == "It answered 503."
        assert len(receiver.heard) == PAUSE_AFTER

        # All are due, and more come: one of them is sent at each probe.
        await ended(merchant, 5)
        for seconds, probes in ((3, 0), (4, 1), (13, 2)):
            clock.advance(seconds=seconds)
            await house.worker.run_until_idle()
            assert len(receiver.heard) == PAUSE_AFTER + probes
        assert (await endpoint(merchant))["pausedSince"] == "2026-06-23T10:00:00.000Z"

        receiver.otherwise = 200
        clock.advance(seconds=30)
        with structlog.testing.capture_logs() as lines:
            await house.worker.run_until_idle()
        assert said(lines) == ["webhook_endpoint_resumed"]
        shown = await endpoint(merchant)
        assert (shown["status"], shown["pausedSince"]) == ("ACTIVE", None)
        clock.advance(minutes=5)
        await house.worker.run_until_idle()
        rows = await deliveries(merchant, limit=100)
        assert Counter(row["status"] for row in rows) == {"DELIVERED": PAUSE_AFTER + 5}
    await assert_sound(database_url)


async def test_a_paused_endpoint_is_resumed_by_hand_or_with_another_url(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    async with listening(otherwise=500) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant, PAUSE_AFTER)
        await house.worker.run_until_idle()
        clock.advance(seconds=3)
        assert (await endpoint(merchant))["status"] == "PAUSED"
        resumed = await merchant.keys.send("POST", f"{BASE}/generic/resume")
        assert (resumed.status, resumed["status"]) == (200, "ACTIVE")
        await house.worker.run_until_idle()
        assert (await endpoint(merchant))["status"] == "PAUSED"
        assert len(receiver.heard) == 2 * PAUSE_AFTER

        async with listening() as mended:
            await set_url(merchant, "generic", mended.url)
            assert (await endpoint(merchant))["status"] == "ACTIVE"
            clock.advance(seconds=5)
            await house.worker.run_until_idle()
            assert len(mended.heard) == PAUSE_AFTER


async def test_a_word_that_is_final_is_no_reason_to_pause(merchant: Merchant, house: House) -> None:
    async with listening(otherwise=400) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant, PAUSE_AFTER + 2)
        await house.worker.run_until_idle()

        assert (await endpoint(merchant))["status"] == "ACTIVE"
        assert len(receiver.heard) == PAUSE_AFTER + 2


async def test_what_waited_three_days_for_a_paused_endpoint_is_given_up(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    async with listening(otherwise=500) as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant, PAUSE_AFTER + 5)
        await house.worker.run_until_idle()
        clock.advance(days=3, seconds=1)
        await house.worker.run_until_idle()

        rows = await deliveries(merchant, limit=100)
        assert {row["status"] for row in rows} == {"FAILED"}
        assert {row["error"] for row in rows} >= {"It was not taken within three days."}


async def test_what_a_url_was_removed_under_is_cancelled(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    """An event whose transaction did not see yet that the URL was taken away."""
    await set_url(merchant, "generic", "http://127.0.0.1:9/")
    await ended(merchant)
    connection = await asyncpg.connect(database_url)
    await connection.execute("delete from webhook_endpoints")
    await connection.close()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()

    (row,) = await deliveries(merchant)
    assert (row["status"], row["error"]) == ("CANCELLED", "Its URL was removed.")


async def tie(database_url: str) -> None:
    """Make two deliveries tell of one resource, as a payment and its refund do."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "update deliveries set resource_id = "
        "(select operation_id from deliveries order by id limit 1)"
    )
    await connection.close()


async def test_what_happened_to_one_resource_is_told_in_order(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    async with listening(500) as receiver:
        await set_url(merchant, "generic", receiver.url)
        payment = (await ended(merchant))[0]
        refund = (await ended(merchant))[0]
        await tie(database_url)

        await house.worker.run_until_idle()
        assert [heard["paymentId"] for heard in receiver.heard] == [payment]
        clock.advance(seconds=3)
        await house.worker.run_until_idle()

        assert [heard["paymentId"] for heard in receiver.heard] == [payment, payment, refund]


async def test_one_that_cannot_be_taken_does_not_hold_up_what_follows_for_long(
    merchant: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url)
        payment = (await ended(merchant))[0]
        refund = (await ended(merchant))[0]
        await tie(database_url)

        async def poison(request: web.Request) -> web.StreamResponse:
            return web.Response(status=500 if receiver.heard[-1]["paymentId"] == payment else 200)

        receiver.otherwise = poison
        for _ in range(7):
            await house.worker.run_until_idle()
            clock.advance(minutes=5)
        assert {heard["paymentId"] for heard in receiver.heard} == {payment}
        await house.worker.run_until_idle()
        clock.advance(minutes=1)
        await house.worker.run_until_idle()

        assert receiver.heard[-1]["paymentId"] == refund


async def test_what_came_of_an_attempt_is_recorded_when_the_database_is_back(
    merchant: Merchant, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kpay.webhooks import courier, store

    real: Callable[..., Awaitable[Any]] = store.record
    broken = [asyncpg.ConnectionDoesNotExistError(), OSError()]

    async def breaks(*arguments: Any) -> Any:
        if broken:
            raise broken.pop()
        return await real(*arguments)

    monkeypatch.setattr(store, "record", breaks)
    monkeypatch.setattr(courier, "_BETWEEN_RECORD_TRIES_SECONDS", 0)
    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url)
        await merchant.collect(1_000)

        assert (await deliveries(merchant))[0]["status"] == "DELIVERED"
        assert len(receiver.heard) == 1


async def test_an_event_whose_operation_cannot_be_read_is_kept_and_said_loudly(
    merchant: Merchant, house: House, database_url: str
) -> None:
    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant)
        connection = await asyncpg.connect(database_url)
        await connection.execute("update deliveries set operation_id = id")
        await connection.close()
        with structlog.testing.capture_logs() as lines:
            await house.worker.run_until_idle()

        assert said(lines) == ["webhook_without_operation"]
        (row,) = await deliveries(merchant)
        assert (row["status"], row["error"]) == ("PENDING", "What it is about could not be read.")
        assert receiver.heard == []


async def test_a_round_that_had_no_room_is_not_the_last_one(
    merchant: Merchant, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was under way may end while a claim that passed the endpoint over is being made."""
    courier = house.webhooks.courier
    real, claimed = courier.claim, 0

    async def claim(limit: int) -> list[Any]:
        nonlocal claimed
        claims = await real(limit)
        claimed += 1
        if claimed == 2:
            await asyncio.gather(*courier._tasks)
        return claims

    async with listening() as receiver:
        await set_url(merchant, "generic", receiver.url)
        await ended(merchant, 15)
        monkeypatch.setattr(courier, "claim", claim)
        monkeypatch.setattr("kpay.webhooks.courier._LOOK_AGAIN_SECONDS", 0)
        while await house.webhooks.work(200):
            pass

        assert len(receiver.heard) == 15
