"""Who is wrong too often is told to wait; a merchant is never shut out by others' failures."""

from __future__ import annotations

import asyncio

from kpay.access.throttle import MOST_OF_ADDRESS, MOST_OF_KEY, MOST_OF_PAIR, WINDOW
from kpay.app import House
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.houses import opened

ME = "/api/v1/payments/me"
OVERVIEW = "/api/wallets/overview"


def with_secret(merchant: Merchant, secret: str, address: str) -> Browser:
    """A merchant's public key with some secret, from some address."""
    headers = {"X-API-Key": merchant.new.test.api_key, "X-Secret-Key": secret}
    return Browser(merchant.api, headers, address)


def guess(merchant: Merchant, address: str) -> Browser:
    return with_secret(merchant, f"sk_test_{'a' * 52}", address)


def real(merchant: Merchant, address: str) -> Browser:
    return with_secret(merchant, merchant.new.test.secret_key, address)


async def statuses(browser: Browser, times: int, path: str = ME) -> list[int]:
    return [(await browser.send("GET", path)).status for _ in range(times)]


def assert_told_to_wait(answer: Answer) -> None:
    assert (answer.status, answer["code"]) == (429, "too_many_failures")
    assert answer["error"] == "Too Many Requests"
    assert 0 < int(answer.headers["retry-after"]) <= WINDOW.total_seconds()


async def test_guessing_at_a_key_ends_with_429_and_then_not_even_the_right_secret_is_read(
    house: House, clock: ManualClock
) -> None:
    merchant = await Merchant.join(house)
    wrong = guess(merchant, "192.0.2.66")

    assert await statuses(wrong, MOST_OF_PAIR + 2) == [401] * MOST_OF_PAIR + [429, 429]
    assert_told_to_wait(await wrong.send("GET", ME))
    assert_told_to_wait(await real(merchant, "192.0.2.66").send("GET", ME))

    clock.advance(seconds=int(WINDOW.total_seconds()))
    assert (await real(merchant, "192.0.2.66").send("GET", ME)).status == 200


async def test_a_merchant_is_not_shut_out_by_guesses_at_its_key_from_everywhere(
    house: House,
) -> None:
    merchant = await Merchant.join(house)
    for number in range(MOST_OF_KEY + 10):
        await guess(merchant, f"198.51.100.{number}").send("GET", ME)

    assert (await real(merchant, "192.0.2.7").send("GET", ME)).status == 200
    # Each further guesser has one attempt.
    assert await statuses(guess(merchant, "192.0.2.66"), 2) == [401, 429]


async def test_a_merchant_is_not_shut_out_by_who_shares_its_address(house: House) -> None:
    """Behind one office's router, or behind a proxy that the operator did not name."""
    merchant = await Merchant.join(house)
    assert (await merchant.keys.send("GET", ME)).status == 200
    for number in range(2 * MOST_OF_ADDRESS):
        headers = {"X-API-Key": f"kpay_test_{number}", "X-Secret-Key": "sk_test_x"}
        await Browser(merchant.api, headers).send("GET", ME)
        await guess(merchant, "127.0.0.1").send("GET", ME)
        await Browser(merchant.api, {"Authorization": "Bearer a.b.c"}).send("GET", OVERVIEW)

    assert (await merchant.keys.send("GET", ME)).status == 200
    await merchant.renew_token()
    assert (await merchant.token.send("GET", OVERVIEW)).status == 200


async def test_a_new_key_pair_works_while_the_old_one_is_still_being_tried(house: House) -> None:
    """A pair is replaced, and some worker at the same address was not restarted."""
    merchant = await Merchant.join(house)
    pair = await house.office.regenerate_keys(merchant.new.application.id, Environment.TEST)

    assert set(await statuses(merchant.keys, 500)) == {401, 429}
    renewed = await merchant.with_keys(pair)
    assert (await renewed.keys.send("GET", ME)).status == 200


async def test_a_throttled_address_costs_the_database_nothing(house: House) -> None:
    merchant = await Merchant.join(house)
    looked: list[str] = []
    fetchrow = house.database.fetchrow

    async def counted(query: str, *values: object) -> object:
        looked.append(query)
        return await fetchrow(query, *values)

    house.database.fetchrow = counted  # type: ignore[method-assign, assignment]
    for number in range(10 * MOST_OF_ADDRESS):
        headers = {"X-API-Key": f"kpay_test_{number}", "X-Secret-Key": "sk_test_x"}
        await Browser(merchant.api, headers, "192.0.2.66").send("GET", ME)

    assert len(looked) == MOST_OF_ADDRESS


async def test_forged_tokens_are_counted_and_expired_ones_are_not(
    house: House, clock: ManualClock
) -> None:
    merchant = await Merchant.join(house)
    clock.advance(minutes=31)
    assert set(await statuses(merchant.token, 2 * MOST_OF_ADDRESS, OVERVIEW)) == {401}

    token = merchant.token.headers["Authorization"]
    forged = Browser(merchant.api, {"Authorization": token[:-8] + "AAAAAAAA"}, "192.0.2.66")
    told = await statuses(forged, MOST_OF_ADDRESS + 1, OVERVIEW)
    assert told == [401] * MOST_OF_ADDRESS + [429]
    assert_told_to_wait(await forged.send("GET", OVERVIEW))


async def test_a_request_without_credentials_is_no_attempt(house: House) -> None:
    """A page that somebody opens in a merchant's office can send these from its address."""
    merchant = await Merchant.join(house)
    nobody = Browser(merchant.api, address="192.0.2.7")
    assert set(await statuses(nobody, 2 * MOST_OF_ADDRESS)) == {401}
    assert set(await statuses(nobody, 2 * MOST_OF_ADDRESS, OVERVIEW)) == {401}

    assert (await real(merchant, "192.0.2.7").send("GET", ME)).status == 200


async def test_behind_a_named_proxy_the_caller_s_own_address_counts(
    settings: Settings, clock: ManualClock
) -> None:
    named = Settings.from_env({"KPAY_TRUSTED_PROXIES": "127.0.0.1"}).trusted_proxies
    async with opened(settings, clock, trusted_proxies=named) as house:
        merchant = await Merchant.join(house)
        wrong, right = guess(merchant, "127.0.0.1"), real(merchant, "127.0.0.1")
        for number in range(MOST_OF_PAIR + 1):
            # What a caller writes in front of its own address does not help it.
            forwarded = {"X-Forwarded-For": f"203.0.113.{number}, 192.0.2.66"}
            last = await wrong.send("GET", ME, headers=forwarded)

        assert_told_to_wait(last)
        for address, status in (("192.0.2.66", 429), ("192.0.2.7", 200)):
            answer = await right.send("GET", ME, headers={"X-Forwarded-For": address})
            assert answer.status == status


async def test_where_no_proxy_is_named_nobody_escapes_by_writing_a_header(house: House) -> None:
    merchant = await Merchant.join(house)
    wrong = guess(merchant, "192.0.2.66")
    told = [
        (await wrong.send("GET", ME, headers={"X-Forwarded-For": f"203.0.113.{number}"})).status
        for number in range(MOST_OF_PAIR + 1)
    ]

    assert told[-1] == 429


async def test_a_thousand_guesses_at_once_are_not_a_thousand_looked_at(house: House) -> None:
    merchant = await Merchant.join(house)
    wrong = guess(merchant, "192.0.2.66")
    answers = await asyncio.gather(*(wrong.send("GET", ME) for _ in range(1_000)))
    told = [answer.status for answer in answers]

    assert set(told) == {401, 429}
    assert told.count(401) == MOST_OF_PAIR
