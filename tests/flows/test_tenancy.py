"""Promise 8: nobody reaches what belongs to another application, or to the other environment.

Made from the route table, so that a route that is added one day is guarded or fails here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt
import msgspec
import pytest

from kpay.app import House
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.routes import Guard, Route
from kpay.core.sheet import MEDIA
from tests.client import Answer, Browser, Merchant
from tests.route_table import name_of, route_table

ROUTES = route_table()
GUARDED = [route for route in ROUTES if route.guard is not Guard.PUBLIC]
WITH_ID = [route for route in ROUTES if "{id}" in route.path]
# What is about one wallet: who has none in a country is told so.
OF_WALLET = [route for route in ROUTES if "{country}" in route.path]
LISTS = [
    route
    for route in ROUTES
    if route not in OF_WALLET and "cursor" in getattr(route.query, "__annotations__", ())
]
FILES = [route for route in ROUTES if route not in OF_WALLET and route.media == MEDIA]

# Numbers whose payments and payouts stay open, and words that must never be seen by anybody else.
OPEN_NUMBER = "237653456129"
SECRETS = ("our-own-order", "Our own supplier", "KPAY-", "TRF-", OPEN_NUMBER, "4321")


# Whose id stands in a path that begins so.
OWNED = {
    "/api/v1/payments/webhooks/deliveries/{id}": "delivery",
    "/api/wallets/transfer/{id}": "transfer",
    "/api/v1/payments/withdraw/{id}": "withdraw",
    "/api/v1/payments/refunds/{id}": "refund",
    "/api/v1/payments/{id}": "payment",
}
MOVEMENTS = "/api/wallets/CMR/movements"
ANYBODY = {"GET /api/public/platform-info"}


@dataclass
class Owned:
    """A merchant with a transfer, and an open payment, payout and refund of its own."""

    merchant: Merchant
    ids: dict[str, str]

    @classmethod
    async def by(cls, merchant: Merchant) -> Owned:
        await merchant.collect(100_000)
        told: dict[str, Any] = {
            "externalId": "our-own-order",
            "description": "Our own supplier",
            "amount": 4_321,
        }
        paid = await merchant.pay(phoneNumber=OPEN_NUMBER)
        await merchant.house.worker.run_until_idle()
        finish = f"/api/v1/payments/{paid['id']}/sandbox/finish"
        await merchant.keys.send("POST", finish, {"outcome": "COMPLETED"})
        await merchant.house.worker.run_until_idle()
        transfer = await merchant.transfer(**told)
        payment = await merchant.pay(**told, phoneNumber=OPEN_NUMBER)
        payout = await merchant.withdraw(**told, phoneNumber=OPEN_NUMBER)
        refund = await merchant.refund(
            paid, externalId=told["externalId"], reason=told["description"]
        )
        await merchant.house.worker.run_until_idle()
        ids = {
            "transfer": transfer["id"],
            "payment": payment["id"],
            "withdraw": payout["id"],
            "delivery": await cls._delivery(merchant, told),
            "refund": refund["id"],
        }
        return cls(merchant, ids)

    @staticmethod
    async def _delivery(merchant: Merchant, told: dict[str, Any]) -> str:
        """A webhook that was sent, with what it said, to where nobody listens."""
        base, nobody = "/api/v1/payments/webhooks", {"url": "http://127.0.0.1:9/our-own-order"}
        await merchant.keys.send("PUT", f"{base}/payouts", nobody)
        wanted = {**told, "externalId": "our-own-order-2", "phoneNumber": OPEN_NUMBER}
        payout = await merchant.withdraw(**wanted)
        await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{payout['id']}/cancel")
        await merchant.house.worker.run_until_idle()
        (row,) = (await merchant.keys.send("GET", f"{base}/deliveries"))["data"]
        return str(row["id"])

    def address(self, route: Route) -> str:
        """The route of what is ours. A route of a new noun must be given one of ours in OWNED."""
        if "{id}" not in route.path:
            return route.path.format(country="CMR", topic="generic")
        start = next(start for start in OWNED if route.path.startswith(start))
        return route.path.format(id=self.ids[OWNED[start]])

    async def state(self) -> list[Any]:
        """All that there is to see of it."""
        merchant = self.merchant
        seen = [await send(merchant, route, self) for route in WITH_ID if route.method == "GET"]
        assert {answer.status for answer in seen} == {200}
        assert all(OPEN_NUMBER in str(answer.raw) or "TRF-" in str(answer.raw) for answer in seen)
        return [*(answer.json for answer in seen), await merchant.wallets()]


@pytest.fixture
async def owned(merchant: Merchant) -> Owned:
    return await Owned.by(merchant)


async def send(
    caller: Merchant, route: Route, owned: Owned, *, browser: Browser | None = None
) -> Answer:
    """A route called by somebody on what is owned, with a body that would be accepted."""
    browser = browser or (caller.token if route.guard is Guard.TOKEN else caller.keys)
    body: dict[str, object] = {}
    if route.path.endswith("/finish"):
        body = {"outcome": "COMPLETED"}
    query = {"from": "XAF", "to": "XOF"} if route.path.endswith("/exchange-rate") else None
    # Each from an address of its own: what is looked at is who is let in, not how often they try.
    browser = browser.elsewhere()
    return await browser.send(route.method, owned.address(route), body, query=query)


async def refusals(
    owned: Owned, routes: Sequence[Route], browser: Browser, expected: int
) -> dict[str, str]:
    """The routes that do not refuse a caller as they should, or that tell what is not theirs."""
    problems = {}
    for route in routes:
        answer = await send(owned.merchant, route, owned, browser=browser)
        # Of a refusal the request's id is made anew, and may hold any four digits.
        told = re.sub(r'"requestId":"[^"]*"', "", answer.raw.decode())
        if answer.status != expected or any(secret in told for secret in SECRETS):
            problems[name_of(route)] = f"{answer.status} {told}"
    return problems


def both(keys: Browser, token: Browser) -> Browser:
    """Everything that somebody has, sent at once."""
    return Browser(keys.api, {**keys.headers, **token.headers})


def bad_credentials(merchant: Merchant) -> dict[str, dict[str, str]]:
    """Headers that let nobody in anywhere."""
    pair, token = merchant.new.test, merchant.token.headers["Authorization"]
    return {
        "nothing": {},
        "half a pair": {"X-API-Key": pair.api_key},
        "the other half": {"X-Secret-Key": pair.secret_key},
        "a wrong secret": {"X-API-Key": pair.api_key, "X-Secret-Key": pair.secret_key[:-1] + "!"},
        "swapped": {"X-API-Key": pair.secret_key, "X-Secret-Key": pair.api_key},
        "a live secret": {
            "X-API-Key": pair.api_key,
            "X-Secret-Key": pair.secret_key.replace("test", "live"),
        },
        "unknown": {"X-API-Key": "kpay_test_unknown", "X-Secret-Key": pair.secret_key},
        "text that no database holds": {
            "X-API-Key": "kpay_test_\x00",
            "X-Secret-Key": "sk_test_\x00",
            "Authorization": "Bearer \x00",
        },
        "SQL": {
            "X-API-Key": "kpay_test_' or true; --",
            "X-Secret-Key": "sk_test_' or true; --",
            "Authorization": "Bearer ' or true; --",
        },
        "no scheme": {"Authorization": token.removeprefix("Bearer ")},
        "another scheme": {"Authorization": token.replace("Bearer", "Basic")},
        "a changed token": {"Authorization": token[:-8] + "AAAAAAAA"},
        "a long token": {"Authorization": "Bearer " + "a" * 100_000},
        **{
            f"a token with {name}": {"Authorization": f"Bearer {forged}"}
            for name, forged in forged_tokens(token.removeprefix("Bearer ")).items()
        },
    }


def forged_tokens(token: str) -> dict[str, str]:
    """What somebody who has a token of ours, or has seen one, can make of it."""
    header, payload, signature = token.split(".")
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    foreign = "a secret of somebody else, which is long enough for every algorithm"
    live, other = str(Environment.PRODUCTION), str(uuid4())

    def signed(key: str | None, algorithm: str, key_id: str = kid, **changes: Any) -> str:
        return jwt.encode({**claims, **changes}, key or "", algorithm, headers={"kid": key_id})

    def altered(**changes: Any) -> str:
        return f"{header}.{_segment({**claims, **changes})}.{signature}"

    return {
        "no algorithm": signed(None, "none"),
        "no algorithm, in capitals": f"{_segment({'alg': 'NONE', 'kid': kid})}.{payload}.",
        "no signature": f"{header}.{payload}.",
        "a signature backwards": f"{header}.{payload}.{signature[::-1]}",
        "a foreign signature": signed(foreign, "HS256"),
        "another algorithm": signed(foreign, "HS512"),
        "the name of its key as its key": signed(kid, "HS256"),
        "an unknown kid": signed(foreign, "HS256", other),
        "a kid that is a path": signed(foreign, "HS256", "../../secret"),
        "a kid that is SQL": signed(foreign, "HS256", "' or true; --"),
        "the other environment": altered(environment=live),
        "another application": altered(sub=other),
        "another company": altered(company=other),
        "another key": altered(key=other),
        "a later end": altered(exp=claims["exp"] + 10**6),
        "another issuer": altered(iss="somebody"),
    }


def _segment(part: dict[str, Any]) -> str:
    """One part of a token as it is spelled."""
    spelled = msgspec.json.encode(part)
    return base64.urlsafe_b64encode(spelled).decode().rstrip("=")


def test_every_route_is_guarded_but_those_that_are_for_anybody() -> None:
    assert {name_of(route) for route in ROUTES if route.guard is Guard.PUBLIC} == ANYBODY


async def test_without_good_credentials_no_guarded_route_does_anything(owned: Owned) -> None:
    before = await owned.state()

    for name, headers in bad_credentials(owned.merchant).items():
        browser = Browser(owned.merchant.api, headers)
        assert await refusals(owned, GUARDED, browser, 401) == {}, name
    assert await owned.state() == before


async def test_an_expired_token_opens_nothing(owned: Owned, clock: ManualClock) -> None:
    clock.advance(minutes=30)

    of_tokens = [route for route in GUARDED if route.guard is Guard.TOKEN]
    assert await refusals(owned, of_tokens, owned.merchant.token, 401) == {}


async def test_a_replaced_key_pair_and_its_tokens_open_nothing(owned: Owned) -> None:
    merchant = owned.merchant
    await merchant.house.office.regenerate_keys(
        merchant.new.application.id, merchant.new.test.environment
    )
    merchant.house.gate.forget()

    browser = both(merchant.keys, merchant.token)
    assert await refusals(owned, GUARDED, browser, 401) == {}


@pytest.mark.parametrize("company", ["Acme", "Rival"])
async def test_another_application_finds_nothing_of_ours(
    owned: Owned, house: House, company: str
) -> None:
    """Neither one of another company nor the company's own second one."""
    before = await owned.state()
    stranger = await Merchant.join(house, company, "second")

    browser = both(stranger.keys, stranger.token)
    assert await refusals(owned, WITH_ID, browser, 404) == {}
    assert await refusals(owned, [*LISTS, *FILES], browser, 200) == {}
    assert await refusals(owned, OF_WALLET, browser, 404) == {}
    assert await stranger.wallets() == {}
    assert await owned.state() == before


async def test_the_other_environment_finds_nothing_of_ours(owned: Owned) -> None:
    before = await owned.state()
    live = await owned.merchant.live()

    assert await refusals(owned, WITH_ID, both(live.keys, live.token), 404) == {}
    assert await refusals(owned, [*LISTS, *FILES], both(live.keys, live.token), 200) == {}
    assert await refusals(owned, OF_WALLET, both(live.keys, live.token), 404) == {}
    assert await live.wallets() == {}
    assert (await live.transfer(destinationCountry="GAB"))["code"] == "no_wallet"
    assert await owned.state() == before


async def test_lists_are_narrowed_to_ours_and_empty_for_others(owned: Owned, house: House) -> None:
    stranger = await Merchant.join(house, "Rival")

    assert len(LISTS) >= 3
    for route in LISTS:
        ours = (await send(owned.merchant, route, owned))["data"]
        assert ours, name_of(route)
        queries: list[dict[str, object]] = [{}, {"cursor": ours[0]["id"]}]
        if "externalId" in ours[0]:
            queries.append({"externalId": "our-own-order"})
        browser = stranger.token if route.guard is Guard.TOKEN else stranger.keys
        for query in queries:
            found = await browser.send(route.method, route.path, query=query)
            assert (found.status, found["data"]) == (200, []), (name_of(route), query)


async def test_a_file_holds_ours_and_of_others_only_the_names_of_its_columns(
    owned: Owned, house: House
) -> None:
    stranger = await Merchant.join(house, "Rival")

    assert len(FILES) >= 3
    for route in FILES:
        ours = await send(owned.merchant, route, owned)
        assert "our-own-order" in ours.raw.decode(), name_of(route)
        theirs = await send(stranger, route, owned)
        assert (theirs.status, theirs.csv) == (200, []), name_of(route)


async def test_a_wallet_of_the_same_country_shows_its_own_movements_only(
    owned: Owned, house: House
) -> None:
    """Whatever of ours they know: our cursors, our externalIds."""
    stranger = await Merchant.join(house, "Rival")
    await stranger.collect(777)
    cursor = (await owned.merchant.token.send("GET", MOVEMENTS, query={"limit": 1}))["nextCursor"]

    assert len(OF_WALLET) >= 4
    for route in OF_WALLET:
        answer = await send(stranger, route, owned)
        assert answer.status == 200
        # Its own payment has a reference as well, and identifiers that may hold any four digits.
        told = answer.raw.decode()
        assert not [word for word in SECRETS if word in told and word not in ("KPAY-", "4321")]
    assert (await stranger.token.send("GET", MOVEMENTS, query={"externalId": "our-own-order"}))[
        "data"
    ] == []
    refused = await stranger.token.send("GET", MOVEMENTS, query={"cursor": cursor})
    assert (refused.status, refused["code"]) == (400, "invalid_parameter")


async def test_an_external_id_of_another_application_is_free(owned: Owned, house: House) -> None:
    for company in ("Acme", "Rival"):
        second = await Owned.by(await Merchant.join(house, company, "second"))

        assert not set(second.ids.values()) & set(owned.ids.values())


async def test_money_of_another_company_is_not_moved_and_not_even_known_to_be_there(
    owned: Owned, house: House
) -> None:
    before = await owned.state()
    stranger = await Merchant.join(house, "Rival")

    existing = await stranger.transfer(applicationId=owned.merchant.application_id)
    random = await stranger.transfer(applicationId=str(uuid4()))

    assert (existing.status, existing["error"]) == (403, "Forbidden")
    told = [{**answer.json, "requestId": ""} for answer in (existing, random)]
    assert told[0] == told[1]
    assert await owned.state() == before


async def test_an_answer_of_ours_holds_what_the_others_must_not_see(owned: Owned) -> None:
    """The words that are looked for above are really there for whom they belong to."""
    told = str([msgspec.json.encode(part).decode() for part in await owned.state()])

    assert all(secret in told for secret in SECRETS)
