"""Callbacks: the rail's own and nobody else's, kept once, and the status check decides."""

from __future__ import annotations

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.instructions.inquiries import ASKED_AFTER
from kpay.instructions.model import ASKED_AGAIN_AFTER
from kpay.instructions.store import hear
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.connectors.door import PATH, PUBLIC_URL, URL, Door
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.houses import opened


async def status_of(door: Door, made: Answer) -> str:
    return str((await door.live.payout(made))["status"])


async def test_a_callback_ends_a_payout_without_waiting_for_its_turn(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    rail.decide(rail.only, "COMPLETED")
    await door.works()
    assert await status_of(door, made) == "PROCESSING"

    assert await door.calls(rail.only, "COMPLETED") == 200
    await door.works()
    assert await status_of(door, made) == "COMPLETED"


async def test_what_a_callback_says_of_the_outcome_is_not_believed(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    for said in ("FAILED", "COMPLETED"):
        assert await door.calls(rail.only, said) == 200
        await door.works()
        assert await status_of(door, made) == "PROCESSING"

    rail.decide(rail.only, "COMPLETED")
    door.clock.advance(minutes=5)
    await door.works()
    assert await status_of(door, made) == "COMPLETED"
    # One that was overtaken, after the end.
    assert await door.calls(rail.only, "FAILED") == 200
    await door.works()
    assert await status_of(door, made) == "COMPLETED"
    assert await door.live.wallets() == {"CMR": (94_000, 0)}


async def test_a_callback_that_is_sent_again_is_kept_once(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    for _ in range(3):
        assert await door.calls(rail.only, "COMPLETED") == 200
    assert await door.kept() == 1

    row = await door.live.house.database.fetchrow("select * from rail_callbacks")
    headers, body = rail.callback(rail.only, "COMPLETED", URL, door.clock.now())
    assert row is not None
    assert (row["body"], str(row["reference"])) == (body, rail.only)
    assert headers["Content-Digest"] in row["headers"]


async def test_a_callback_that_is_played_again_asks_for_nothing(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    assert await door.calls(rail.only, "PROCESSING") == 200
    await door.works()
    asked = await door.live.attempts(made)
    assert asked == [("submit", "accepted"), ("check", "accepted")]

    assert await door.calls(rail.only, "PROCESSING") == 200
    await door.works()
    assert await door.live.attempts(made) == asked


async def test_a_callback_may_come_before_the_answer_to_the_submission(
    live: Merchant, door: Door, rail: PawapayRail
) -> None:
    async def at_once(reference: str) -> None:
        rail.decide(reference, "COMPLETED")
        assert await door.calls(reference, "COMPLETED") == 200

    rail.meanwhile = at_once
    made = await live.withdraw(phoneNumber="237650000000")
    await door.works()
    door.clock.advance(seconds=3)
    await door.works()

    assert await status_of(door, made) == "COMPLETED"
    assert len(rail.operations) == 1
    assert await live.wallets() == {"CMR": (94_000, 0)}


async def test_of_what_nobody_knows_a_callback_is_kept_and_changes_nothing(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    rail.operations[other] = {"payoutId": other}

    assert await door.calls(other, "COMPLETED") == 200
    await door.works()
    assert (await door.kept(), await status_of(door, made)) == (1, "PROCESSING")


@pytest.mark.parametrize(
    "changes",
    [
        {"Signature": ""},
        {"Signature-Input": "sig-pp=()"},
        {"Content-Digest": "sha-256=:AAAA:"},
        {"Content-Type": "text/plain"},
        {"Signature-Date": "2020-01-01T00:00:00Z"},
    ],
)
async def test_what_is_not_pawapay_s_own_counts_for_nothing(
    changes: dict[str, str], door: Door, made: Answer, rail: PawapayRail
) -> None:
    rail.decide(rail.only, "COMPLETED")

    assert await door.calls(rail.only, "COMPLETED", **changes) == 401
    await door.works()
    assert (await door.kept(), await status_of(door, made)) == (0, "PROCESSING")


async def test_another_s_key_or_another_address_or_another_time_counts_for_nothing(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    now = door.clock.now()
    others = ec.generate_private_key(ec.SECP256R1())
    elsewhere = "https://shop.example.com" + PATH
    for headers, body in (
        rail.callback(rail.only, "COMPLETED", URL, now, others),
        rail.callback(rail.only, "COMPLETED", elsewhere, now),
        rail.callback(rail.only, "COMPLETED", URL + "/x", now),
    ):
        answer = await door.browser.send("POST", PATH, raw=body, headers=headers)
        assert answer.status == 401
    headers, body = rail.callback(rail.only, "COMPLETED", URL, now)
    door.clock.advance(hours=1)
    assert (await door.browser.send("POST", PATH, raw=body, headers=headers)).status == 401
    assert await door.kept() == 0


async def test_while_pawapay_s_keys_cannot_be_had_it_is_told_to_come_again(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    rail.instead["/v2/public-key"] = says({}, 503)
    assert await door.calls(rail.only, "COMPLETED") == 503

    rail.instead.clear()
    assert await door.calls(rail.only, "COMPLETED") == 200


async def test_a_new_key_of_pawapay_s_is_looked_for_once_a_minute(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    assert await door.calls(rail.only, "PROCESSING") == 200
    headers, body = rail.callback(rail.only, "COMPLETED", URL, door.clock.now())
    renamed = headers["Signature-Input"].replace("KEY:1", "KEY:2")
    changed = {**headers, "Signature-Input": renamed}

    rail.instead["/v2/public-key"] = says({}, 500)
    assert (await door.browser.send("POST", PATH, raw=body, headers=changed)).status == 401
    door.clock.advance(seconds=61)
    assert (await door.browser.send("POST", PATH, raw=body, headers=changed)).status == 503


async def test_a_key_that_was_taken_back_is_believed_for_a_day_at_most(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    assert await door.calls(rail.only, "PROCESSING") == 200
    rail.instead["/v2/public-key"] = says([])
    door.clock.advance(hours=23)
    assert await door.calls(rail.only, "PROCESSING") == 200
    door.clock.advance(hours=1)
    assert await door.calls(rail.only, "PROCESSING") == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/callbacks/mpesa", 404),
        ("POST", "/callbacks/test/pawapay", 404),
        ("POST", "/callbacks/test/sandbox", 404),
        ("POST", "/callbacks/", 404),
        ("POST", "/callbacks/pawapay/x/y", 404),
        ("GET", PATH, 405),
    ],
)
async def test_there_is_one_door_for_each_rail(
    method: str, path: str, status: int, door: Door
) -> None:
    assert (await door.browser.send(method, path)).status == status


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"{", b'{"payoutId":1}', b"\xff"])
async def test_a_body_that_names_nothing_is_no_trouble(body: bytes, door: Door) -> None:
    assert (await door.browser.send("POST", PATH, raw=body)).status == 401


async def test_a_callback_about_a_statement_is_taken_and_not_kept(
    door: Door, rail: PawapayRail
) -> None:
    statement = "f4401bd2-1568-4140-bf2d-eb77d2b2b639"
    rail.operations[statement] = {"statementId": statement}
    assert await door.calls(statement, "COMPLETED") == 200
    assert await door.calls(statement, "COMPLETED", Signature="sig-pp=:AAAA:") == 401
    rail.operations[statement] = {"statementId": "1"}
    assert await door.calls(statement, "COMPLETED") == 401
    assert await door.kept() == 0


async def test_a_body_that_is_too_long_is_not_read(door: Door) -> None:
    assert (await door.browser.send("POST", PATH, raw=b"x" * 70_000)).status == 413


async def test_an_account_without_signed_callbacks_may_say_so(
    settings: Settings, clock: ManualClock, rail: PawapayRail
) -> None:
    variables = {
        "KPAY_PAWAPAY_TOKEN": "a-token",
        "KPAY_PAWAPAY_URL": rail.url,
        "KPAY_PAWAPAY_UNSIGNED_CALLBACKS": "1",
    }
    rail.operations["8917c345-4791-4285-a416-62f24b6982db"] = {
        "payoutId": "8917c345-4791-4285-a416-62f24b6982db"
    }
    headers, body = rail.callback(
        "8917c345-4791-4285-a416-62f24b6982db", "COMPLETED", URL, clock.now()
    )
    async with opened(
        settings, clock, rails={"*": "pawapay"}, rail_variables=variables, public_url=PUBLIC_URL
    ) as house:
        browser = Browser(house.asgi())
        assert (await browser.send("POST", PATH, raw=body)).status == 200
        # One that claims to be signed has to be.
        claims = {**headers, "Signature": "sig-pp=:AAAA:"}
        assert (await browser.send("POST", PATH, raw=body, headers=claims)).status == 401


async def test_what_nothing_proves_is_kept_of_what_the_rail_has_alone_and_ten_times(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    async def sent(number: int, reference: str) -> None:
        await hear(
            door.live.house.database,
            Environment.PRODUCTION,
            "pawapay",
            digest=bytes([number]),
            reference=UUID(reference),
            headers="{}",
            body=b"",
            received_at=door.clock.now(),
            proved=False,
            inquire_at=door.clock.now() + ASKED_AFTER,
            inquire_again_after=ASKED_AGAIN_AFTER,
        )

    await sent(0, "00000000-0000-4000-8000-000000000000")
    assert await door.kept() == 0
    for number in range(12):
        await sent(number, rail.only)
    assert await door.kept() == 10


async def test_callbacks_are_kept_for_ninety_days(
    door: Door, made: Answer, rail: PawapayRail
) -> None:
    await door.calls(rail.only, "PROCESSING")
    door.clock.advance(days=89)
    assert await door.live.house.callbacks.clear_away(100) == 0
    door.clock.advance(days=2)
    assert await door.live.house.callbacks.clear_away(100) == 1
    assert await door.kept() == 0
