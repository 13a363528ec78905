"""An Idempotency-Key: carried out once and answered the same, however often it is sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.idempotency.model import HOLD, KEEP
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.flows.test_rate_limits import at
from tests.houses import opened
from tests.rails import ScriptedRail
from tests.route_table import name_of, route_table
from tests.soundness import assert_sound

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
WITHDRAW = "/api/v1/payments/withdraw"
INIT = "/api/v1/payments/init"
TRANSFER = "/api/wallets/transfer"

Send: TypeAlias = Callable[..., Awaitable[Answer]]


@pytest.fixture(autouse=True)
async def sound(database_url: str) -> AsyncIterator[None]:
    """Whatever was tried on them, the books are right."""
    yield
    await assert_sound(database_url)


# The same request each time it is sent, none with an externalId that would hold it to once.


async def withdraw(merchant: Merchant, key: str | None = KEY, **fields: object) -> Answer:
    body = {"amount": 1000, "provider": "MTN_MOMO_CMR", "phoneNumber": "237653456789", **fields}
    return await merchant.keys.send("POST", WITHDRAW, body, headers=keyed(key))


async def transfer(merchant: Merchant, key: str | None = KEY, **fields: object) -> Answer:
    body = {
        "applicationId": merchant.application_id,
        "sourceCountry": "CMR",
        "destinationCountry": "GAB",
        "amount": 1000,
        **fields,
    }
    return await merchant.token.send("POST", TRANSFER, body, headers=keyed(key))


async def pay(merchant: Merchant, key: str | None = KEY, **fields: object) -> Answer:
    body = {
        "amount": 1000,
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456789",
        "externalId": "order",
        **fields,
    }
    return await merchant.keys.send("POST", INIT, body, headers=keyed(key))


def keyed(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


OPERATIONS: dict[str, Send] = {"withdrawal": withdraw, "transfer": transfer, "payment": pay}
TABLES = {"withdrawal": "payouts", "transfer": "transfers", "payment": "payments"}

operations = pytest.mark.parametrize("name", OPERATIONS)


async def made(house: House, name: str) -> int:
    """How many there are, but for the payment that every merchant here begins with."""
    count: int = await house.database.fetchval(
        f"select count(*) from {TABLES[name]}"  # noqa: S608
    )
    return count - (name == "payment")


def is_replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer["code"]) == (status, code), answer.raw


@operations
async def test_the_first_answer_is_replayed_byte_for_byte(funded: Merchant, name: str) -> None:
    send = OPERATIONS[name]
    first = await send(funded)
    await funded.house.worker.run_until_idle()
    again = [await send(funded) for _ in range(3)]

    assert (first.status, is_replayed(first)) == (201, False)
    for answer in again:
        assert (answer.status, answer.raw, is_replayed(answer)) == (201, first.raw, True)
        assert answer.headers["x-request-id"] != first.headers["x-request-id"]
    assert await made(funded.house, name) == 1


async def test_what_is_replayed_is_the_first_answer_though_it_has_gone_on_since(
    funded: Merchant,
) -> None:
    first = await withdraw(funded)
    await funded.house.worker.run_until_idle()

    assert (await withdraw(funded))["status"] == "PENDING"
    assert (await funded.payout(first))["status"] == "COMPLETED"


@operations
async def test_without_the_header_nothing_is_kept_and_the_same_is_done_again(
    funded: Merchant, name: str
) -> None:
    answers = [await OPERATIONS[name](funded, None, externalId=f"{n}") for n in range(2)]

    assert [(answer.status, is_replayed(answer)) for answer in answers] == [(201, False)] * 2
    assert answers[0]["id"] != answers[1]["id"]
    assert await funded.house.database.fetchval("select count(*) from idempotency_keys") == 0


@operations
async def test_the_same_key_with_another_body_is_422_and_does_nothing(
    funded: Merchant, name: str
) -> None:
    send = OPERATIONS[name]
    first = await send(funded)
    assert_refused(await send(funded, amount=2_000), 422, "idempotency_key_reused")

    assert (await send(funded)).raw == first.raw
    assert await made(funded.house, name) == 1


async def test_the_same_key_at_another_route_or_for_another_payout_is_422(
    funded: Merchant,
) -> None:
    one, other = await withdraw(funded, None), await withdraw(funded, None)
    cancelled = await cancel(funded, one)
    assert cancelled.status == 200

    assert_refused(await cancel(funded, other), 422, "idempotency_key_reused")
    assert_refused(await withdraw(funded), 422, "idempotency_key_reused")
    assert (await funded.payout(other))["status"] == "PENDING"


async def test_a_key_belongs_to_its_application_and_environment(
    funded: Merchant, house: House
) -> None:
    first = await withdraw(funded)
    neighbour = await Merchant.join(house, "Acme", "second")
    stranger = await Merchant.join(house, "Rival")
    for other in (neighbour, stranger):
        await other.collect(100_000)
        theirs = await withdraw(other)
        assert (theirs.status, is_replayed(theirs)) == (201, False)
        assert theirs["id"] != first["id"]

    live = await funded.live()
    # In production nothing serves the provider yet: it was carried out, and refused.
    assert_refused(await withdraw(live), 400, "provider_closed")


async def test_a_transfer_of_another_application_of_the_company_is_replayed_to_its_caller_alone(
    funded: Merchant, house: House
) -> None:
    second = await Merchant.join(house, "Acme", "second")
    first = await transfer(second, applicationId=funded.application_id)
    assert (await transfer(second, applicationId=funded.application_id)).raw == first.raw

    own = await transfer(funded)
    assert (own.status, is_replayed(own)) == (201, False)


@pytest.mark.parametrize(
    "key", ["", " ", "x" * 256, "a\tb", "caf\u00e9", "\x7f", "a\x00b"], ids=repr
)
async def test_a_key_that_is_none_is_400_and_does_nothing(funded: Merchant, key: str) -> None:
    assert_refused(await withdraw(funded, key), 400, "invalid_idempotency_key")

    assert await made(funded.house, "withdrawal") == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, '"in quotes"', "a b~!{}", "' or true; --"])
async def test_any_other_key_is_one(funded: Merchant, key: str) -> None:
    first = await withdraw(funded, key)
    again = await withdraw(funded, f" {key} ")

    assert (first.status, again.raw, is_replayed(again)) == (201, first.raw, True)


async def test_routes_that_move_or_make_something_take_a_key_and_no_others() -> None:
    taking = {name_of(route) for route in route_table() if route.recall is not None}

    assert taking >= {
        f"POST {INIT}",
        f"POST {WITHDRAW}",
        f"POST {WITHDRAW}/{{id}}/cancel",
        f"POST {TRANSFER}",
        "POST /api/v1/payments/{id}/refund",
        "POST /api/v1/payments/refunds/{id}/cancel",
    }
    assert all(name.startswith("POST ") for name in taking)


async def test_elsewhere_the_header_is_not_looked_at(funded: Merchant) -> None:
    for key in ("x" * 300, KEY):
        answer = await funded.keys.send(
            "GET", "/api/v1/payments/balance", headers={"Idempotency-Key": key}
        )
        assert (answer.status, is_replayed(answer)) == (200, False)


async def test_a_refund_and_calling_it_back_are_done_once(funded: Merchant) -> None:
    payment = await funded.collect(10_000)

    async def twice(path: str) -> Answer:
        headers = {"Idempotency-Key": f"key of {path}"}
        first = await funded.keys.send("POST", path, headers=headers)
        again = await funded.keys.send("POST", path, headers=headers)
        assert (again.status, again.raw, is_replayed(again)) == (first.status, first.raw, True)
        return first

    refund = await twice(f"/api/v1/payments/{payment['id']}/refund")
    assert refund.status == 201, refund.raw
    assert (await twice(f"/api/v1/payments/refunds/{refund['id']}/cancel"))["status"] == "CANCELLED"


# Refusals.


async def test_a_refusal_that_was_told_stays_though_it_could_be_done_now(
    funded: Merchant,
) -> None:
    first = await withdraw(funded, amount=200_000)
    assert_refused(first, 422, "withdrawal_exceeds_balance")
    await funded.collect(500_000)

    again = await withdraw(funded, amount=200_000)
    assert (again.status, again.raw, is_replayed(again)) == (422, first.raw, True)
    assert (await withdraw(funded, "another", amount=200_000)).status == 201


@pytest.mark.parametrize(
    ("send", "fields", "status", "code"),
    [
        (withdraw, {"amount": 5}, 400, "amount_out_of_bounds"),
        (withdraw, {"provider": "WAVE_SEN"}, 400, "provider_suspended"),
        (withdraw, {"sourceCountry": "SEN"}, 404, "no_wallet"),
        (withdraw, {"externalId": "taken"}, 409, "external_id_used"),
        (transfer, {"amount": 200_000}, 400, "transfer_exceeds_balance"),
        (transfer, {"applicationId": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}, 403, None),
        (pay, {"currency": "XOF"}, 400, "currency_mismatch"),
    ],
)
async def test_every_refusal_of_what_was_asked_for_is_replayed(
    funded: Merchant, send: Send, fields: dict[str, Any], status: int, code: str | None
) -> None:
    await withdraw(funded, None, externalId="taken")
    first = await send(funded, **fields)
    again = await send(funded, **fields)

    assert_refused(first, status, code or "application_not_yours")
    assert (again.status, again.raw) == (status, first.raw)
    assert (is_replayed(first), is_replayed(again)) == (False, True)


async def test_a_body_that_cannot_be_read_uses_no_key_up(funded: Merchant) -> None:
    for raw in (b"", b"{", b'{"provider": "MTN_MOMO_CMR"}', b'{"unknown": 1}'):
        answer = await funded.keys.send("POST", WITHDRAW, raw=raw, headers=keyed(KEY))
        assert answer.status == 400

    assert (await withdraw(funded)).status == 201


async def test_who_is_not_let_in_learns_nothing_from_a_key(funded: Merchant) -> None:
    await withdraw(funded)
    stranger = Browser(funded.api, {"X-API-Key": funded.new.test.api_key, "X-Secret-Key": "sk"})
    answer = await stranger.send("POST", WITHDRAW, {}, headers=keyed(KEY))

    assert (answer.status, is_replayed(answer)) == (401, False)


async def test_our_own_trouble_is_no_answer_and_the_request_can_be_sent_again_at_once(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings, clock, fx_sources=("file:/nowhere/rates.json",)) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        for _ in range(2):
            assert_refused(await transfer(merchant, destinationCountry="SEN"), 503, "no_rate")

        with monkeypatch.context() as patch:
            patch.setattr(house.poster, "_queue_limit", 0)
            assert_refused(await withdraw(merchant, "another"), 503, "busy")
        answer = await withdraw(merchant, "another")
        assert (answer.status, is_replayed(answer)) == (201, False)


async def test_a_defect_of_ours_is_no_answer_either(
    funded: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> str:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(funded.house.payouts._references, "draw", broken)
        assert_refused(await withdraw(funded), 500, "internal")

    assert (await withdraw(funded)).status == 201
    assert await made(funded.house, "withdrawal") == 1


# Cancelling, which makes nothing of its own.


async def cancel(merchant: Merchant, payout: Answer, key: str | None = KEY) -> Answer:
    path = f"{WITHDRAW}/{payout['id']}/cancel"
    return await merchant.keys.send("POST", path, headers=keyed(key))


async def test_a_cancellation_is_replayed(funded: Merchant) -> None:
    payout = await withdraw(funded, None)
    first, again = await cancel(funded, payout), await cancel(funded, payout)

    assert (first.status, first["status"]) == (200, "CANCELLED")
    assert (again.status, again.raw, is_replayed(again)) == (200, first.raw, True)
    # By another request it is too late, as it is without a key.
    for key in ("another", None):
        assert_refused(await cancel(funded, payout, key), 409, "not_cancellable")


async def test_a_cancellation_that_came_too_late_stays_one(funded: Merchant) -> None:
    payout = await withdraw(funded, None)
    await funded.house.worker.run_until_idle()
    first, again = await cancel(funded, payout), await cancel(funded, payout)

    assert_refused(first, 409, "not_cancellable")
    assert (again.raw, is_replayed(again)) == (first.raw, True)


# At the same moment.


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
async def seats(
    request: pytest.FixtureRequest, funded: Merchant, settings: Settings, clock: ManualClock
) -> AsyncIterator[list[Merchant]]:
    if request.param == 1:
        yield [funded, funded]
        return
    async with opened(settings, clock) as other:
        yield [funded, at(funded, other)]


@operations
async def test_however_many_send_it_at_once_it_is_done_once(
    seats: list[Merchant], name: str
) -> None:
    send = OPERATIONS[name]
    answers = await asyncio.gather(*(send(seats[number % 2]) for number in range(40)))

    told = Counter((answer.status, is_replayed(answer)) for answer in answers)
    assert told[201, False] == 1
    assert set(told) <= {(201, False), (201, True), (409, False)}
    for answer in answers:
        if answer.status == 409:
            assert_refused(answer, 409, "idempotency_in_progress")
            assert answer.headers["retry-after"] == "1"
    assert len({answer.raw for answer in answers if answer.status == 201}) == 1
    assert await made(seats[0].house, name) == 1


async def test_different_keys_at_once_are_as_many_payouts(seats: list[Merchant]) -> None:
    answers = await asyncio.gather(
        *(withdraw(seats[number % 2], f"key {number // 2}") for number in range(80))
    )
    assert await made(seats[0].house, "withdrawal") == 40
    assert len({answer["id"] for answer in answers if answer.status == 201}) == 40


async def test_keyed_and_other_requests_with_one_external_id_are_one_payout(
    seats: list[Merchant],
) -> None:
    answers = await asyncio.gather(
        *(
            withdraw(seats[number % 2], f"{number}" if number % 3 else None, externalId="ONE")
            for number in range(45)
        )
    )
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 44}


# Kept for some days.


async def test_an_answer_is_kept_for_three_days_and_then_forgotten(
    funded: Merchant, clock: ManualClock
) -> None:
    first = await withdraw(funded)
    clock.advance(seconds=int(KEEP.total_seconds()))
    await funded.house.worker.run_until_idle()
    assert timedelta(hours=24) < KEEP
    assert (await withdraw(funded)).raw == first.raw

    clock.advance(minutes=1)
    await funded.house.worker.run_until_idle()
    anew = await withdraw(funded)
    assert (anew.status, is_replayed(anew)) == (201, False)
    assert anew["id"] != first["id"]


async def test_keys_are_forgotten_in_batches_and_only_the_old_ones(
    funded: Merchant, clock: ManualClock
) -> None:
    house = funded.house
    for number in range(5):
        await transfer(funded, f"old {number}", amount=100)
    clock.advance(seconds=int(KEEP.total_seconds()) + 1)
    await funded.renew_token()
    await transfer(funded, "young", amount=100)

    assert [await house.keys.sweep(2) for _ in range(4)] == [2, 2, 1, 0]
    assert await house.database.fetchval("select string_agg(key, ' ') from idempotency_keys") == (
        "young"
    )


async def test_a_rail_is_told_of_a_keyed_payout_once(funded: Merchant, clock: ManualClock) -> None:
    rail = ScriptedRail().serve(funded.house)
    for _ in range(3):
        await withdraw(funded)
        await funded.house.worker.run_until_idle()
        clock.advance(seconds=int(HOLD.total_seconds()) + 1)

    assert rail.verbs == ["submit"]
