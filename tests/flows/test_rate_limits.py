"""A key may call so often a minute, whichever process it calls; every answer says how often yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import msgspec
import pytest

from kpay.access import api
from kpay.access.flow import USUAL_RATE_LIMIT
from kpay.access.quota import Bucket
from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Guard, Reply, Route
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.houses import opened
from tests.route_table import name_of, route_table

ME = "/api/v1/payments/me"
BALANCE = "/api/v1/payments/balance"
OVERVIEW = "/api/wallets/overview"
LIMIT = 7
QUOTA = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
async def limited(settings: Settings, clock: ManualClock) -> AsyncIterator[House]:
    async with opened(settings, clock, rate_limit=LIMIT) as house:
        yield house


@pytest.fixture
async def shop(limited: House) -> Merchant:
    """A merchant that has asked for its token, which is one request."""
    return await Merchant.join(limited)


def at(merchant: Merchant, house: House) -> Merchant:
    """The same merchant at another process."""
    api = house.asgi()
    keys, token = Browser(api, merchant.keys.headers), Browser(api, merchant.token.headers)
    return replace(merchant, house=house, api=api, keys=keys, token=token)


async def statuses(browser: Browser, times: int, path: str = ME) -> list[int]:
    return [(await browser.send("GET", path)).status for _ in range(times)]


async def passed(browser: Browser, times: int) -> int:
    answers = await asyncio.gather(*(browser.send("GET", ME) for _ in range(times)))
    told = Counter(answer.status for answer in answers)
    assert set(told) <= {200, 429}
    return told[200]


def quota(answer: Answer) -> tuple[int, ...]:
    return tuple(int(answer.headers[name]) for name in QUOTA)


async def test_the_quota_counts_down_to_the_last_request_and_then_it_is_429(
    shop: Merchant, clock: ManualClock
) -> None:
    clock.advance(seconds=20)
    answers = [await shop.keys.send("GET", ME) for _ in range(LIMIT)]

    assert [quota(answer) for answer in answers[:-1]] == [
        (LIMIT, LIMIT - 2 - number, 40) for number in range(LIMIT - 1)
    ]
    assert [answer.status for answer in answers] == [200] * (LIMIT - 1) + [429]
    refused = answers[-1]
    assert quota(refused) == (LIMIT, 0, 40)
    assert refused.headers["retry-after"] == "40"
    assert refused.json == {
        "statusCode": 429,
        "message": "This key may make 7 requests a minute: try again in 40 seconds.",
        "error": "Too Many Requests",
        "code": "rate_limited",
        "requestId": refused.headers["x-request-id"],
    }


async def test_a_minute_after_the_first_request_all_of_the_quota_is_there_again(
    shop: Merchant, clock: ManualClock
) -> None:
    await statuses(shop.keys, LIMIT)
    clock.advance(seconds=59)
    assert await statuses(shop.keys, 1) == [429]

    clock.advance(seconds=1)
    assert quota(await shop.keys.send("GET", ME)) == (LIMIT, LIMIT - 1, 60)
    assert await statuses(shop.keys, LIMIT) == [200] * (LIMIT - 1) + [429]


async def test_two_processes_share_a_quota_to_the_last_request(
    shop: Merchant, settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, rate_limit=LIMIT) as other:
        seats = [shop, at(shop, other)]
        answers = [await seats[number % 2].keys.send("GET", ME) for number in range(LIMIT + 3)]

    assert [quota(answer)[1] for answer in answers] == [5, 4, 3, 2, 1, 0, 0, 0, 0, 0]
    assert [answer.status for answer in answers] == [200] * (LIMIT - 1) + [429] * 4


@pytest.mark.parametrize("limit", [50, 1_000])
async def test_of_many_requests_at_once_at_three_processes_the_quota_passes(
    settings: Settings, clock: ManualClock, limit: int
) -> None:
    async with (
        opened(settings, clock, rate_limit=limit) as one,
        opened(settings, clock, rate_limit=limit) as two,
        opened(settings, clock, rate_limit=limit) as three,
    ):
        shop = await Merchant.join(one)
        seats = [shop, at(shop, two), at(shop, three)]
        each = limit // 2
        through = sum(await asyncio.gather(*(passed(seat.keys, each) for seat in seats)))
        # What a process took and did not use, a hundredth at most, is still to be had there.
        through += sum([await passed(seat.keys, each) for seat in seats])

    assert through == limit - 1


async def test_keys_and_tokens_of_one_pair_share_a_quota(shop: Merchant) -> None:
    assert quota(await shop.keys.send("GET", BALANCE))[1] == LIMIT - 2
    assert quota(await shop.token.send("GET", OVERVIEW))[1] == LIMIT - 3
    assert await statuses(shop.token, LIMIT, OVERVIEW) == [200] * (LIMIT - 3) + [429] * 3
    assert await statuses(shop.keys, 1) == [429]


async def test_other_applications_and_the_other_environment_have_quotas_of_their_own(
    shop: Merchant, limited: House
) -> None:
    neighbour = await Merchant.join(limited, "Acme", "second")
    live = await shop.live()
    assert await statuses(shop.keys, LIMIT) == [200] * (LIMIT - 1) + [429]

    for other in (neighbour, live):
        assert await statuses(other.keys, LIMIT) == [200] * (LIMIT - 1) + [429]


async def test_a_new_pair_has_a_quota_of_its_own(shop: Merchant, limited: House) -> None:
    """Whoever had the old one may have used its quota up."""
    assert await statuses(shop.keys, LIMIT) == [200] * (LIMIT - 1) + [429]

    pair = await limited.office.regenerate_keys(shop.new.application.id, Environment.TEST)
    renewed = await shop.with_keys(pair)
    assert await statuses(renewed.keys, LIMIT) == [200] * (LIMIT - 1) + [429]


async def test_every_guarded_route_counts_and_says_so_whatever_it_answers(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, rate_limit=1_000) as house:
        merchant = await Merchant.join(house)
        for number, route in enumerate(route_table()):
            browser = merchant.token if route.guard is Guard.TOKEN else merchant.keys
            answer = await browser.send(route.method, route.path.replace("{id}", "x"), raw=b"{")
            if route.guard is Guard.PUBLIC:
                assert not set(QUOTA) & set(answer.headers), name_of(route)
            else:
                assert quota(answer)[0] == 1_000, (name_of(route), number, answer.raw)


async def test_who_is_not_let_in_uses_up_nobody_s_quota(shop: Merchant) -> None:
    headers = {"X-API-Key": shop.new.test.api_key, "X-Secret-Key": f"sk_test_{'a' * 52}"}
    stranger = Browser(shop.api, headers, "192.0.2.66")
    for _ in range(LIMIT):
        answer = await stranger.send("GET", ME)
        assert not set(QUOTA) & set(answer.headers)

    assert quota(await shop.keys.send("GET", ME))[1] == LIMIT - 2


async def test_a_request_beyond_the_quota_is_not_read_and_does_nothing(shop: Merchant) -> None:
    await statuses(shop.keys, LIMIT)

    refused = await shop.keys.send("POST", "/api/v1/payments/withdraw", raw=b"x" * 100_000)
    assert (refused.status, refused["code"]) == (429, "rate_limited")


async def test_without_a_limit_nothing_is_asked_and_nothing_said(
    merchant: Merchant, house: House
) -> None:
    assert await statuses(merchant.keys, 150) == [200] * 150
    answer = await merchant.keys.send("GET", ME)

    assert not set(QUOTA) & set(answer.headers)
    assert await house.database.fetchval("select count(*) from rate_windows") == 0


async def test_the_operator_gives_an_application_a_limit_of_its_own_at_once_in_every_process(
    shop: Merchant, limited: House, settings: Settings, clock: ManualClock
) -> None:
    office, application_id = limited.office, shop.new.application.id
    async with opened(settings, clock, rate_limit=LIMIT) as other:
        there = at(shop, other)
        assert await statuses(shop.keys, LIMIT) == [200] * (LIMIT - 1) + [429]
        assert await statuses(there.keys, 1) == [429]

        await office.configure(application_id, rate_limit=LIMIT + 2)
        # The signal tells the other process; a test need not wait until it has come.
        other._access_changed()
        assert quota(await there.keys.send("GET", ME))[:2] == (LIMIT + 2, 1)
        assert await statuses(shop.keys, 2) == [200, 429]

        await office.configure(application_id, rate_limit=0)
        answer = await shop.keys.send("GET", ME)
        assert (answer.status, set(QUOTA) & set(answer.headers)) == (200, set())

        # Lowered below what was used, or as usual again: nothing passes in this window any more.
        for limit in (1, USUAL_RATE_LIMIT):
            await office.configure(application_id, rate_limit=limit)
            assert await statuses(shop.keys, 1) == [429]


async def test_a_hundred_thousand_a_minute_ask_the_database_a_hundredth_as_often(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, rate_limit=100_000) as house:
        merchant = await Merchant.join(house)
        asked = 0
        fetch = house.database.fetch

        async def counted(sql: str, *arguments: object) -> object:
            nonlocal asked
            asked += "rate_windows" in sql
            return await fetch(sql, *arguments)

        house.database.fetch = counted  # type: ignore[method-assign, assignment]
        assert await statuses(merchant.keys, 1_500) == [200] * 1_500

    assert asked == 1


async def test_a_key_that_is_used_up_costs_the_database_nothing(
    shop: Merchant, limited: House
) -> None:
    await statuses(shop.keys, LIMIT)
    taken = await limited.database.fetchrow("select xmin, * from rate_windows")

    assert await statuses(shop.keys, 50) == [429] * 50
    assert await limited.database.fetchrow("select xmin, * from rate_windows") == taken


async def test_where_the_database_cannot_be_asked_a_request_passes(
    shop: Merchant, limited: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_arguments: object) -> None:
        raise ConnectionRefusedError

    assert await statuses(shop.keys, 1) == [200]
    with monkeypatch.context() as patch:
        patch.setattr(limited.database, "fetch", away)
        assert await statuses(shop.keys, LIMIT + 5) == [200] * (LIMIT + 5)

    assert quota(await shop.keys.send("GET", ME))[1] == LIMIT - 3


async def test_a_clock_that_is_set_back_shuts_nobody_out(
    shop: Merchant, limited: House, clock: ManualClock
) -> None:
    clock.advance(hours=1)
    await statuses(shop.keys, LIMIT + 1)
    clock.advance(hours=-1)

    assert quota(await shop.keys.send("GET", ME)) == (LIMIT, LIMIT - 1, 60)


async def test_windows_that_are_over_are_forgotten(
    shop: Merchant, limited: House, clock: ManualClock
) -> None:
    count = "select count(*) from rate_windows"
    await limited.worker.run_until_idle()
    assert await limited.database.fetchval(count) == 1

    clock.advance(minutes=2, seconds=1)
    await limited.worker.run_until_idle()
    assert await limited.database.fetchval(count) == 0
    assert quota(await shop.keys.send("GET", ME))[1] == LIMIT - 1


# Other quotas.


async def test_a_session_has_a_quota_of_its_own_that_a_page_can_ask_for(
    settings: Settings, clock: ManualClock
) -> None:
    book = Book(uuid4(), Environment.TEST)
    async with opened(settings, clock, polling_rate_limit=2) as house:
        one, other = uuid4(), uuid4()
        for session in (one, other):
            found = [await house.limiter.take(Bucket.POLLING, book, session) for _ in range(3)]
            assert [(each.remaining, each.passed) for each in found if each is not None] == [
                (1, True),
                (0, True),
                (0, False),
            ]
        last = await house.limiter.take(Bucket.POLLING, book, one)
        assert last is not None
        with pytest.raises(Refusal, match="This page may ask 2 times a minute") as caught:
            last.check()
        assert (caught.value.code, caught.value.retry_after) == (Code.RATE_LIMITED, 60)
        # Nothing was said of the other quotas.
        assert await house.limiter.take(Bucket.KEY, book, one) is None


class Opening(msgspec.Struct):
    hosted: bool


async def test_a_request_counts_in_a_further_quota_that_its_body_names(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings, clock, rate_limit=20, gateway_rate_limit=2) as house:
        (route,) = [each for each in house.routes() if each.path.endswith("/predict-provider")]
        counting: Route = msgspec.structs.replace(
            route,
            body=Opening,
            handler=_nothing,
            also_counts=lambda body: Bucket.GATEWAY if body.hosted else None,
        )
        monkeypatch.setattr(house, "routes", lambda: [counting, *api.routes(house.gate)])
        merchant = await Merchant.join(house)

        async def send(*, hosted: bool) -> tuple[int, ...]:
            answer = await merchant.keys.send("POST", counting.path, {"hosted": hosted})
            return answer.status, *quota(answer)

        assert await send(hosted=True) == (201, 2, 1, 60)
        assert await send(hosted=False) == (201, 20, 17, 60)
        assert await send(hosted=True) == (201, 2, 0, 60)
        assert await send(hosted=True) == (429, 2, 0, 60)
        # Refused or not, each was a request of the key.
        assert await send(hosted=False) == (201, 20, 14, 60)


async def _nothing(_call: object) -> Reply:
    return Reply([], 201)
