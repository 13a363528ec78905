"""Keys and tokens: who is let in, with what, for how long; test and live never meet."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from kpay.access.flow import AccessError
from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.limits import Limits
from kpay.core.money import Money
from kpay.rates.sources import BUNDLED
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.houses import opened
from tests.rails import ScriptedRail

ME = "/api/v1/payments/me"
TOKEN = "/api/v1/payments/token"
OVERVIEW = "/api/wallets/overview"


def token_of(merchant: Merchant) -> str:
    return merchant.token.headers["Authorization"].removeprefix("Bearer ")


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def with_token(merchant: Merchant, token: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}"}
    return await Browser(merchant.api).send("GET", OVERVIEW, headers=headers)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait, within reason, for what a signal through the database brings about."""
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about within five seconds")


async def test_me_says_whose_keys_they_are(merchant: Merchant) -> None:
    answer = await merchant.keys.send("GET", ME)

    application = merchant.new.application
    assert (answer.status, answer.json) == (
        200,
        {
            "application": {"id": str(application.id), "name": "shop"},
            "company": {"id": str(application.company.id), "name": "Acme"},
            "environment": "TEST",
        },
    )


async def test_a_token_is_given_for_an_empty_body_and_carries_who_it_is_for(
    merchant: Merchant,
) -> None:
    for raw in (b"", b"{}"):
        answer = await merchant.keys.send("POST", TOKEN, raw=raw)
        assert answer.status == 201
        assert {**answer.json, "accessToken": ""} == {
            "accessToken": "",
            "expiresIn": "30m",
            "environment": "TEST",
        }

    token = answer["accessToken"]
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = claims_of(token)
    assert claims["exp"] - claims["iat"] == 30 * 60
    application = merchant.new.application
    carried = {str(application.id), str(application.company.id), "TEST"}
    assert carried <= set(claims.values())
    assert (await merchant.keys.send("POST", TOKEN, {"ttl": 5})).status == 400


async def test_a_token_ends_after_thirty_minutes(merchant: Merchant, clock: ManualClock) -> None:
    clock.advance(minutes=29, seconds=59)
    assert (await merchant.token.send("GET", OVERVIEW)).status == 200

    clock.advance(seconds=1)
    ended = await merchant.token.send("GET", OVERVIEW)
    assert (ended.status, ended["error"], ended["code"]) == (401, "Unauthorized", "invalid_token")

    await merchant.renew_token()
    assert (await merchant.token.send("GET", OVERVIEW)).status == 200


async def test_a_token_that_we_did_not_sign_is_refused(merchant: Merchant) -> None:
    token = token_of(merchant)
    header, payload, signature = token.split(".")
    claims, kid = claims_of(token), jwt.get_unverified_header(token)["kid"]
    foreign = "a secret of somebody else, which is long enough for every algorithm"

    def forged(key: str | None, algorithm: str, *, key_id: str = kid, **changes: Any) -> str:
        return jwt.encode({**claims, **changes}, key or "", algorithm, headers={"kid": key_id})

    live = {**claims, "environment": "PRODUCTION"}
    body = base64.urlsafe_b64encode(json.dumps(live).encode()).decode().rstrip("=")
    for bad in (
        "",
        "nonsense",
        "a.b.c",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[::-1]}",
        f"{header}.{body}.{signature}",
        forged(foreign, "HS256"),
        forged(foreign, "HS512"),
        forged(None, "none"),
        forged(foreign, "HS256", key_id=str(uuid4())),
        forged(foreign, "HS256", key_id="../secret"),
        forged(foreign, "HS256", exp=claims["exp"] + 10**6),
        merchant.new.test.secret_key,
    ):
        answer = await with_token(merchant, bad)
        assert (answer.status, answer["error"]) == (401, "Unauthorized"), bad
    assert (await with_token(merchant, token)).status == 200


async def test_keys_do_not_open_the_wallets_nor_a_token_the_payments(merchant: Merchant) -> None:
    routes = merchant.house.routes()
    for route in routes:
        if not route.path.startswith(("/api/wallets/", "/api/v1/payments")):
            continue
        wrong = merchant.keys if route.path.startswith("/api/wallets/") else merchant.token
        answer = await wrong.send(route.method, route.path.replace("{id}", "x"), {})
        assert (answer.status, answer["error"]) == (401, "Unauthorized"), route.path
    assert len([route for route in routes if route.path.startswith("/api/wallets/")]) >= 4


async def test_bad_keys_are_refused_without_saying_which_half(
    merchant: Merchant, house: House
) -> None:
    pair = merchant.new.test
    other = (await Merchant.join(house, name="second")).new.test
    live = pair.secret_key.replace("sk_test_", "sk_live_")
    for api_key, secret_key in (
        ("", ""),
        (pair.api_key, ""),
        ("", pair.secret_key),
        (pair.api_key, other.secret_key),
        (other.api_key, pair.secret_key),
        (pair.api_key, live),
        (pair.api_key.replace("_test_", "_live_"), live),
        (pair.api_key.upper(), pair.secret_key),
        (pair.api_key, pair.secret_key + "a"),
        (pair.api_key + "é", pair.secret_key),
    ):
        headers = {"X-API-Key": api_key, "X-Secret-Key": secret_key}
        answer = await Browser(merchant.api, headers).send("GET", ME)
        assert (answer.status, answer["message"]) == (401, "Invalid API credentials")
        assert answer["error"] == "Unauthorized"


async def test_live_keys_exist_only_once_the_company_is_approved(house: House) -> None:
    merchant = await Merchant.join(house)
    assert merchant.new.live is None
    with pytest.raises(AccessError, match="not approved"):
        await house.office.regenerate_keys(merchant.new.application.id, Environment.PRODUCTION)

    live = await merchant.live()

    assert live.keys.headers["X-API-Key"].startswith("kpay_live_")
    assert live.keys.headers["X-Secret-Key"].startswith("sk_live_")
    assert (await live.keys.send("GET", ME))["environment"] == "PRODUCTION"
    assert (await live.keys.send("POST", TOKEN))["environment"] == "PRODUCTION"
    assert (await live.token.send("GET", OVERVIEW))["environment"] == "PRODUCTION"
    second = await house.office.create_application("Acme", "second shop")
    assert second.live is not None


async def test_a_test_key_with_the_live_secret_of_the_same_application_is_refused(
    merchant: Merchant,
) -> None:
    live = await merchant.live()
    for key, secret in ((merchant, live), (live, merchant)):
        headers = {
            "X-API-Key": key.keys.headers["X-API-Key"],
            "X-Secret-Key": secret.keys.headers["X-Secret-Key"],
        }
        answer = await Browser(merchant.api, headers).send("GET", ME)
        assert (answer.status, answer["message"]) == (401, "Invalid API credentials")


async def test_test_and_live_share_nothing(settings: Settings, clock: ManualClock) -> None:
    async with opened(settings, clock, fx_sources=(BUNDLED,)) as house:
        merchant = await Merchant.join(house)
        ScriptedRail().serve(house, Environment.PRODUCTION)
        live = await merchant.live()

        payment = await merchant.collect(10_000, externalId="one")
        assert (await live.transfer(externalId="one")).status == 404
        assert (await live.withdraw(externalId="one")).status == 404
        assert await live.wallets() == {}

        # The same externalIds are free in production, and what they name is another thing.
        assert (await live.collect(20_000, externalId="one"))["status"] == "COMPLETED"
        for each, destination in ((merchant, "SEN"), (live, "GAB")):
            transfer = await each.transfer(externalId="one", destinationCountry=destination)
            payout = await each.withdraw(externalId="one")
            assert (transfer.status, payout.status) == (201, 201)
            assert payout["isTest"] == (each is merchant)
        assert set(await merchant.wallets()) == {"CMR", "SEN"}
        assert await live.wallets() == {"CMR": (17_000, 1_000), "GAB": (1_000, 0)}

        path = f"/api/v1/payments/{payment['id']}"
        assert (await live.keys.send("GET", path)).status == 404
        listed = await live.keys.send("GET", "/api/v1/payments")
        assert [row["amount"] for row in listed["data"]] == [20_000]
        finish = f"/api/v1/payments/withdraw/{payout['id']}/sandbox/finish"
        assert (await live.keys.send("POST", finish, {"outcome": "COMPLETED"})).status == 409


async def test_a_live_number_must_be_a_mobile_one_of_the_provider_s_country(
    merchant: Merchant, house: House
) -> None:
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await merchant.live()
    for phone in ("2250503456789", "237222201234", "23765345678", "banana", "653456789"):
        answer = await live.withdraw(phoneNumber=phone)
        assert (answer.status, answer["code"]) == (400, "invalid_phone_number"), phone
        assert "237" in answer["message"]


async def test_regenerating_ends_the_old_pair_and_its_tokens_at_once(
    merchant: Merchant, house: House
) -> None:
    assert (await merchant.keys.send("GET", ME)).status == 200
    assert (await merchant.token.send("GET", OVERVIEW)).status == 200

    pair = await house.office.regenerate_keys(merchant.new.application.id, Environment.TEST)

    assert (await merchant.keys.send("GET", ME)).status == 401
    assert (await merchant.token.send("GET", OVERVIEW)).status == 401
    renewed = await merchant.with_keys(pair)
    assert (await renewed.keys.send("GET", ME)).status == 200
    assert (await renewed.token.send("GET", OVERVIEW)).status == 200


async def test_regenerating_in_another_process_is_heard_here(
    settings: Settings, clock: ManualClock, merchant: Merchant
) -> None:
    """The clock stands still, so what the gate keeps does not run out: only the signal ends it."""
    assert (await merchant.keys.send("GET", ME)).status == 200
    assert (await merchant.token.send("GET", OVERVIEW)).status == 200

    async with opened(settings, clock) as other:
        await other.office.regenerate_keys(merchant.new.application.id, Environment.TEST)

    async def ended() -> bool:
        return (await merchant.keys.send("GET", ME)).status == 401

    await until(ended)
    assert (await merchant.token.send("GET", OVERVIEW)).status == 401


async def test_rotating_the_token_key_lets_old_tokens_run_out(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    old = token_of(merchant)
    clock.advance(minutes=10)

    key_id = await house.office.rotate_token_key()
    await merchant.renew_token()

    new = token_of(merchant)
    assert jwt.get_unverified_header(new)["kid"] == str(key_id)
    assert jwt.get_unverified_header(old)["kid"] != str(key_id)
    for token, minutes, status in (
        (old, 0, 200),
        (old, 19, 200),
        (old, 1, 401),
        (new, 0, 200),
        (new, 9, 200),
        (new, 1, 401),
    ):
        clock.advance(minutes=minutes)
        assert (await with_token(merchant, token)).status == status


async def test_an_application_can_have_its_own_providers_fees_and_limits(
    merchant: Merchant, house: House
) -> None:
    neighbour = await Merchant.join(house, name="neighbour")
    application_id: UUID = merchant.new.application.id
    await house.office.configure(
        application_id,
        payment_fee_bps=100,
        payout_fee_bps=250,
        allowed_providers=["MTN_MOMO_CMR", "MTN_MOMO_CIV"],
    )
    for operation in (OperationType.DEPOSIT, OperationType.PAYOUT, "TRANSFER"):
        limits = Limits(Money(20_000, "XAF"), Money(100_000, "XAF"))
        await house.office.set_limit(application_id, operation, limits)

    payment = await merchant.collect(1_000)
    assert (payment["feeAmount"], payment["netAmount"]) == (10, 990)
    payout = await merchant.withdraw(amount=200)
    assert (payout["feeAmount"], payout["netAmount"]) == (5, 195)
    refusals = (
        await merchant.withdraw(provider="ORANGE_CMR"),
        await merchant.withdraw(amount=199),
        await merchant.withdraw(amount=1_001),
        await merchant.transfer(amount=199),
        await merchant.transfer(amount=1_001),
    )
    assert [(answer.status, answer["code"]) for answer in refusals] == [
        (400, "provider_not_allowed"),
        *[(400, "amount_out_of_bounds")] * 4,
    ]
    assert "MTN_MOMO_CIV, MTN_MOMO_CMR" in refusals[0]["message"]
    assert "between 200 and 1,000 XAF" in refusals[1]["message"]

    assert (await neighbour.collect(10_000))["feeAmount"] == 500
    assert (await neighbour.withdraw(provider="ORANGE_CMR", amount=199)).status == 201


async def test_no_secret_is_in_the_database_in_clear(
    merchant: Merchant, house: House, settings: Settings
) -> None:
    live = await merchant.live()
    await merchant.collect(10_000)
    made = [
        merchant.new.test.secret_key,
        live.keys.headers["X-Secret-Key"],
        merchant.new.webhook_secret,
        merchant.new.gateway_secret,
    ]

    content = await everything(house)

    assert merchant.new.test.api_key.encode() in content
    for secret in (*made, token_of(merchant), str(settings.secret)):
        assert secret.encode() not in content
    for secret in made:
        # Nor without its prefix, nor as the bytes that it spells.
        random = secret.rpartition("_")[2]
        assert random.encode() not in content
        padding = "=" * (-len(random) % 8)
        assert base64.b32decode(random.upper() + padding) not in content


async def everything(house: House) -> bytes:
    """Every value of every table as bytes, one after the other."""
    columns = await house.database.fetch(
        "select table_name, column_name, data_type from information_schema.columns "
        "where table_schema = 'public'"
    )
    found = []
    for table, column, kind in columns:
        value = column if kind == "bytea" else f"convert_to({column}::text, 'UTF8')"
        rows = await house.database.fetch(f"select {value} from {table}")  # noqa: S608
        found += [row[0] for row in rows if row[0] is not None]
    return b"\n".join(found)
