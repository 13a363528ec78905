"""Bad input of every kind: a 4xx with a sentence that says what to change, and nothing is written.

The cases are made from the route table, so a route or a field that is added one day is tried too.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pprint import pformat
from typing import Any

import msgspec
import pytest

from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Guard, Route
from kpay.web.reading import MOST_BODY_BYTES, read_body
from tests.bad_values import (
    JUNK,
    NEVER,
    NO_AMOUNT,
    NO_BODIES,
    NO_MINUTES,
    NO_OBJECT,
    NOT_TEXT,
    SQL,
    WRONG_QUERIES,
)
from tests.client import Answer, Browser, Merchant
from tests.route_table import name_of, route_table

ROUTES = route_table()
POSTS = [route for route in ROUTES if route.method == "POST" and route.body is not None]

# Numbers whose payments and payouts stay open, so that they can be finished by hand.
OPEN_NUMBER = "237653456129"
# A value that is accepted for each field; a new field must be given one here.
GOOD: dict[str, object] = {
    "amount": 1000,
    "sourceCountry": "CMR",
    "destinationCountry": "GAB",
    "provider": "MTN_MOMO_CMR",
    "phoneNumber": "237653456789",
    "currency": "XAF",
    "externalId": "ONE",
    "description": "Supplier payment",
    "reason": "Out of stock",
    "customerName": "Ada",
    "customerEmail": "ada@example.com",
    "metadata": {"order": [1, 2.5, "three", None]},
    "outcome": "FAILED",
    "failureCode": "NO_ANSWER",
    "paymentMethod": "MOBILE_MONEY",
    "ifDelayed": "QUEUE",
    "queueMinutes": 60,
    "returnUrl": "https://shop.example.com/paid?order=1",
    "cancelUrl": "https://shop.example.com/basket",
    "topic": "generic",
    "event": "payment.completed",
    "status": "DELIVERED",
    "from": "2026-06-23T10:00:00Z",
    "to": "2026-06-24T10:00:00Z",
    "cursor": "evt_01m8773s0jfsp8m4c3vt14kyp7",
}
# What goes with the hosted page only, and what the page's own payer chooses instead.
HOSTED = {"returnUrl", "cancelUrl"}
CHOSEN = {"provider", "phoneNumber"}
# Fields that are no text, and what is wrong for each.
NO_TEXTS = {"amount": NO_AMOUNT, "metadata": NO_OBJECT, "queueMinutes": NO_MINUTES}
# Text that means nothing to us and is kept as it is, whatever it says.
FREE_TEXT = {
    *("externalId", "description", "reason", "customerName", "customerEmail", "failureCode"),
}

# What a sentence for a merchant never has in it.
_INSIDE = re.compile(
    r"traceback|asyncpg|msgspec|postgres|relation|constraint|violates|duplicate key|syntax error"
    r"|exception|decimal\.|object at 0x|\.py\b|(?-i:\bNone\b)",
    re.IGNORECASE,
)


@dataclass
class Shop:
    """A merchant with money, one open payment, payout and refund, and a payment that is paid."""

    merchant: Merchant
    ids: Mapping[str, str]

    @classmethod
    async def of(cls, merchant: Merchant) -> Shop:
        paid, returned = [await merchant.pay(phoneNumber=OPEN_NUMBER) for _ in range(2)]
        await merchant.house.worker.run_until_idle()
        for made in (paid, returned):
            finish = f"/api/v1/payments/{made['id']}/sandbox/finish"
            await merchant.keys.send("POST", finish, {"outcome": "COMPLETED"})
        await merchant.house.worker.run_until_idle()
        ids = {
            "/refund": paid,
            "/refunds/": await merchant.refund(returned),
            "/withdraw/": await merchant.withdraw(phoneNumber=OPEN_NUMBER),
            "": await merchant.pay(phoneNumber=OPEN_NUMBER),
        }
        await merchant.house.worker.run_until_idle()
        return cls(merchant, {where: made["id"] for where, made in ids.items()})

    def address(self, route: Route) -> str:
        """The path of a route, with the identifier in it of what it can be done to."""
        (where, *_) = [
            where
            for where in self.ids
            if where in route.path and (where != "/refund" or route.path.endswith(where))
        ]
        return route.path.format(id=self.ids[where], topic="generic", country="CMR")

    def good(self, route: Route, *, hosted: bool = False) -> dict[str, object]:
        """A body that the route accepts."""
        values = {**GOOD, "applicationId": self.merchant.application_id}
        names = [field.encode_name for field in msgspec.structs.fields(route.body)]
        left_out = CHOSEN if hosted else HOSTED
        return {name: values[name] for name in names if name not in left_out}

    def caller(self, route: Route) -> Browser:
        return self.merchant.token if route.guard is Guard.TOKEN else self.merchant.keys

    async def send(self, route: Route, raw: bytes = b"", **options: Any) -> Answer:
        return await self.caller(route).send(
            route.method, options.pop("path", self.address(route)), raw=raw, **options
        )

    async def rows(self) -> dict[str, int]:
        """How many rows there are in every table."""
        database = self.merchant.house.database
        tables = await database.fetch(
            "select tablename from pg_tables where schemaname = 'public' order by 1"
        )
        return {
            table: await database.fetchval(f'select count(*) from "{table}"')  # noqa: S608
            for (table,) in tables
        }


@pytest.fixture
async def shop(merchant: Merchant) -> AsyncIterator[Shop]:
    """Whatever is tried in it, nothing is written and what is there stays as it is."""
    await merchant.collect(100_000)
    await merchant.house.rates.quote(merchant.new.test.environment, "XAF", "XOF")
    made = await Shop.of(merchant)
    before = await made.rows(), await merchant.wallets()
    yield made
    assert (await made.rows(), await merchant.wallets()) == before


def complaint(answer: Answer, least: int = 400) -> str | None:
    """What is wrong with a refusal, or None when it is one that a merchant can work with."""
    if not least <= answer.status < 500:
        return f"{answer.status} {answer.raw[:200]!r}"
    body = answer.json
    message = body["message"]
    if body["statusCode"] != answer.status or body["code"] not in set(Code):
        return f"not the envelope: {body}"
    if not re.fullmatch(r"[^\n\x00]{10,1500}", message) or _INSIDE.search(message):
        return f"not a sentence for a merchant: {message}"
    return None


def field_cases(route: Route) -> Iterator[tuple[str, bytes]]:
    """Each field of a body with each value that is wrong for it."""
    for field in msgspec.structs.fields(route.body):
        name = field.encode_name
        wrong = NO_TEXTS.get(name, NOT_TEXT)
        missing = [b"null"] if field.required else []
        text = [] if name in FREE_TEXT | NO_TEXTS.keys() else [f'"{SQL}"'.encode(), b'""']
        yield from ((name, value) for value in [*NEVER, *wrong, *missing, *text])


def with_raw(body: Mapping[str, object], name: str, raw: bytes) -> bytes:
    """A body as JSON, with raw bytes in the place of one field's value."""
    members = [
        json.dumps(key).encode() + b":" + (raw if key == name else json.dumps(value).encode())
        for key, value in body.items()
    ]
    return b"{" + b",".join(members) + b"}"


async def test_a_good_body_is_accepted_so_that_the_bad_part_is_what_is_refused(
    merchant: Merchant,
) -> None:
    await merchant.collect(100_000)
    url = {"url": "http://127.0.0.1:9/"}
    await merchant.keys.send("PUT", "/api/v1/payments/webhooks/generic", url)
    for route in POSTS:
        shop = await Shop.of(merchant)
        answer = await shop.send(route, json.dumps(shop.good(route)).encode())
        assert answer.status == route.status, (name_of(route), answer.raw)
        if "returnUrl" in {f.encode_name for f in msgspec.structs.fields(route.body)}:
            hosted = {**shop.good(route, hosted=True), "externalId": "TWO"}
            answer = await shop.send(route, json.dumps(hosted).encode())
            assert answer.status == route.status, (name_of(route), answer.raw)


async def test_what_is_wrong_for_a_field_is_refused(shop: Shop) -> None:
    problems = {}
    for route in POSTS:
        for name, value in field_cases(route):
            good = shop.good(route, hosted=name in HOSTED)
            answer = await shop.send(route, with_raw(good, name, value))
            if problem := complaint(answer):
                problems[name_of(route), name, value[:40]] = problem

    assert not problems, pformat(problems)


async def test_what_is_no_json_object_is_refused(shop: Shop) -> None:
    problems = {}
    for route in POSTS:
        for raw in [*NO_BODIES, *([] if route.body_optional else [b"", b"{}"])]:
            if problem := complaint(await shop.send(route, raw)):
                problems[name_of(route), raw[:40]] = problem

    assert not problems, pformat(problems)


async def test_unknown_fields_are_named_all_at_once(shop: Shop) -> None:
    for route in POSTS:
        unknown = {"surprise": 1, "Amount": 1000, "extra": {"a": []}}
        answer = await shop.send(route, json.dumps({**shop.good(route), **unknown}).encode())

        assert complaint(answer) is None, name_of(route)
        assert all(name in answer["message"] for name in unknown), answer["message"]


async def test_missing_fields_are_named_all_at_once(shop: Shop) -> None:
    for route in POSTS:
        required = [f.encode_name for f in msgspec.structs.fields(route.body) if f.required]
        if not required:
            continue
        answer = await shop.send(route, b"{}")

        assert complaint(answer) is None, name_of(route)
        assert all(name in answer["message"] for name in required), answer["message"]


async def test_a_field_that_is_given_twice_is_refused(shop: Shop) -> None:
    problems = {}
    for route in POSTS:
        good = shop.good(route)
        for name, value in good.items():
            spelled = json.dumps(value)
            escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
            for again in (name, escaped):
                raw = json.dumps(good)[:-1] + f', "{again}": {spelled}}}'
                answer = await shop.send(route, raw.encode())
                problem = complaint(answer)
                if problem or name not in answer["message"]:
                    problems[name_of(route), again] = problem or answer["message"]

    assert not problems, pformat(problems)


async def test_a_body_that_is_too_large_is_413(shop: Shop) -> None:
    for route in POSTS:
        raw = json.dumps({**shop.good(route), "description": "a" * MOST_BODY_BYTES}).encode()
        answer = await shop.send(route, raw)

        assert complaint(answer, 413) is None, name_of(route)
        assert answer.status == 413


async def test_a_body_that_never_ends_is_cut_off() -> None:
    taken = 0

    async def receive() -> dict[str, object]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"a" * 10_000, "more_body": True}

    with pytest.raises(Refusal) as caught:
        await read_body(receive)
    assert caught.value.code is Code.BODY_TOO_LARGE
    assert taken < 10


# Addresses and queries.


async def test_an_identifier_that_was_never_ours_is_not_found(shop: Shop) -> None:
    problems = {}
    for route in ROUTES:
        if "{id}" not in route.path:
            continue
        raw = json.dumps(shop.good(route)).encode() if route.body else b"\xff{"
        for junk in JUNK:
            answer = await shop.send(route, raw, path=route.path.format(id=junk))
            problem = complaint(answer)
            if problem or answer.status != 404:
                problems[name_of(route), junk[:20]] = problem or str(answer.status)

    assert not problems, pformat(problems)


async def test_a_parameter_that_is_not_as_documented_is_refused(shop: Shop) -> None:
    problems = {}
    for route in ROUTES:
        if route.query is None:
            continue
        fields = msgspec.structs.fields(route.query)
        good = {f.encode_name: ("XAF", "XOF")[f.encode_name == "to"] for f in fields if f.required}
        assert (await shop.send(route, query=good)).status == 200
        cases = [(f.encode_name, value) for f in fields for value in WRONG_QUERIES[f.encode_name]]
        for name, value in [*cases, ("surprise", "1"), ("Limit", "5")]:
            if problem := complaint(await shop.send(route, query={**good, name: value})):
                problems[name_of(route), name, str(value)[:40]] = problem

    assert not problems, pformat(problems)


# SQL where any text may be.


async def test_sql_in_free_text_is_text_and_nothing_else(merchant: Merchant) -> None:
    await merchant.collect(100_000)
    texts = {"externalId": SQL, "description": SQL}
    metadata = {SQL: [SQL]}
    paid = await merchant.pay(**texts, metadata=metadata, customerName=SQL, customerEmail=SQL)
    withdrawn = await merchant.withdraw(**texts, metadata=metadata)
    moved = await merchant.transfer(**texts)
    await merchant.house.worker.run_until_idle()
    returned = await merchant.refund(paid, externalId=SQL, reason=SQL)

    payment, payout = await merchant.payment(paid), await merchant.payout(withdrawn)
    assert {payment[name] for name in ("description", "customerName", "customerEmail")} == {SQL}
    assert (payout["externalId"], payout["description"]) == (SQL, SQL)
    assert payment["metadata"] == payout["metadata"] == metadata
    assert (moved["externalId"], moved["description"]) == (SQL, SQL)
    assert (await merchant.refunded(returned))["reason"] == SQL
    lists = ("/api/v1/payments", "/api/v1/payments/withdrawals", "/api/v1/payments/refunds")
    for path in lists:
        found = await merchant.keys.send("GET", path, query={"externalId": SQL})
        assert [row["externalId"] for row in found["data"]] == [SQL]
        for name, code in (("country", "unsupported_country"), ("provider", "unknown_provider")):
            refused = await merchant.keys.send("GET", path, query={name: SQL})
            assert (refused.status, refused["code"]) == (400, code)
