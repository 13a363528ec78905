"""A hosted operation that is asked for again, and pages that are opened or asked too often."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.idempotency.model import HOLD
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.flows.test_idempotency import is_replayed, keyed, pay
from tests.flows.test_rate_limits import quota
from tests.hosted import RETURN, Visitor, hosted
from tests.houses import opened
from tests.soundness import assert_sound

Send: TypeAlias = Callable[[Merchant, str], Awaitable[Answer]]


@pytest.fixture(autouse=True)
async def sound(database_url: str) -> AsyncIterator[None]:
    yield
    await assert_sound(database_url)


async def init(merchant: Merchant, key: str, **fields: object) -> Answer:
    body = hosted(externalId=key, **fields)
    return await merchant.keys.send("POST", "/api/v1/payments/init", body, headers=keyed(key))


async def withdraw(merchant: Merchant, key: str, **fields: object) -> Answer:
    body = {"amount": 1000, "sourceCountry": "CMR", "returnUrl": RETURN, **fields}
    return await merchant.keys.send("POST", "/api/v1/payments/withdraw", body, headers=keyed(key))


both = pytest.mark.parametrize("send", [init, withdraw])


@both
async def test_the_first_answer_is_replayed_whatever_was_chosen_since(
    funded: Merchant, house: House, send: Send
) -> None:
    first = await send(funded, "one")
    await Visitor.at(funded, first).cancel()
    again = await send(funded, "one")

    assert (first.status, first["mode"], first["status"]) == (201, "GATEWAY", "PENDING")
    assert (again.status, again.raw, is_replayed(again)) == (201, first.raw, True)
    other = await send(funded, "two")
    assert other["gatewayUrl"] != first["gatewayUrl"]
    assert await house.database.fetchval("select count(*) from gateways") == 2


@both
async def test_whose_answer_was_lost_is_told_the_same_page_again(
    funded: Merchant, house: House, clock: ManualClock, send: Send
) -> None:
    """The database has no more of a page's address than its hash: it is derived once more."""
    first = await send(funded, "one")
    await house.database.execute("update idempotency_keys set status = null, body = null")
    clock.advance(seconds=int(HOLD.total_seconds()))

    again = await send(funded, "one")

    assert (again.status, is_replayed(again)) == (201, True)
    assert again.json == first.json
    assert (await Visitor.at(funded, again).look()).status == 200
    assert await house.database.fetchval("select count(*) from gateways") == 1


@pytest.fixture
async def limited(settings: Settings, clock: ManualClock) -> AsyncIterator[House]:
    async with opened(settings, clock, gateway_rate_limit=2, polling_rate_limit=3) as house:
        yield house


async def test_a_key_opens_so_many_pages_a_minute_and_asks_phones_all_the_same(
    limited: House, clock: ManualClock
) -> None:
    shop = await Merchant.join(limited)
    await shop.collect(100_000)

    opened_ = [await init(shop, "one"), await withdraw(shop, "two")]
    refused = [await init(shop, "three"), await withdraw(shop, "four")]
    asked = await pay(shop, "five")

    assert [answer.status for answer in opened_] == [201, 201]
    assert [quota(answer)[:2] for answer in opened_] == [(2, 1), (2, 0)]
    for answer in refused:
        assert (answer.status, answer["code"]) == (429, "rate_limited")
        assert answer.headers["retry-after"] == "60"
    assert asked.status == 201
    assert await limited.database.fetchval("select count(*) from gateways") == 2

    clock.advance(minutes=1)
    assert (await init(shop, "three")).status == 201


async def test_a_page_may_ask_so_often_a_minute_how_far_it_is(
    limited: House, clock: ManualClock
) -> None:
    shop = await Merchant.join(limited)
    one = Visitor.at(shop, await init(shop, "one"))
    other = Visitor.at(shop, await init(shop, "two"))

    answers = [await one.look("/status") for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "60"
    # Neither the page itself nor another session is any slower for it.
    assert (await one.look()).status == 200
    assert (await other.look("/status")).status == 200
    clock.advance(minutes=1)
    assert (await one.look("/status")).status == 200
