"""The document held to reality: its examples are sent, its sentences are provoked."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import Any

import pytest

from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.keyed import Keyed
from kpay.core.refusals import OF_PEOPLE, Code
from kpay.core.routes import Example, Guard, Route
from kpay.core.sheet import MEDIA
from kpay.idempotency.model import fingerprint_of
from kpay.settings import Settings
from kpay.statements.flow import MOST_IN_JSON
from kpay.web.openapi.refusals import SENTENCES
from tests.client import Answer, Browser, Merchant
from tests.forms import alike
from tests.houses import opened
from tests.page import page_json
from tests.rails import ScriptedRail
from tests.route_table import name_of, route_table

ROUTES = route_table()
BASE = "/api/v1/payments"
# Payments and withdrawals of this number stay open until somebody ends them.
OPEN = "237653456129"


async def test_every_example_is_answered_in_its_shape(house: House) -> None:
    """Every field of the example, and no other, each of its type and in its form."""
    for route in ROUTES:
        for example in route.examples:
            merchant = await Merchant.join(house, company=f"{name_of(route)} {example.summary}")
            browser = merchant.token if route.guard is Guard.TOKEN else merchant.keys
            path, body = await address(merchant, route), sent(merchant, example)

            answer = await browser.send(route.method, path, body, query=query_of(route))

            assert answer.status == route.status, (name_of(route), answer.raw)
            assert answer.headers["content-type"] == route.media
            if route.media == MEDIA:
                assert head_of(example.answer) == head_of(answer.raw.decode()), name_of(route)
            compared = shown(route, example.answer), read(route, answer)
            assert alike(*compared, figures=False) == [], name_of(route)


def sent(merchant: Merchant, example: Example) -> Any:
    if not isinstance(example.body, dict) or "applicationId" not in example.body:
        return example.body
    return {**example.body, "applicationId": merchant.application_id}


def shown(route: Route, value: Any) -> Any:
    """An example's answer as JSON has it; a file's as its rows."""
    return rows_of(value) if route.media == MEDIA else json.loads(json.dumps(value, default=float))


def read(route: Route, answer: Answer) -> Any:
    """A real answer in the same way."""
    return rows_of(answer.raw.decode()) if route.media == MEDIA else answer.json


def head_of(text: str) -> str:
    """A file's first line: the names of its columns in their order."""
    return text.partition("\r\n")[0]


def rows_of(text: str) -> list[dict[str, str | None]]:
    """A file's lines by the names of its columns; what is empty is null."""
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return [{name: cell or None for name, cell in line.items()} for line in lines]


def query_of(route: Route) -> dict[str, str]:
    return {"from": "XAF", "to": "XOF"} if route.path.endswith("exchange-rate") else {}


async def address(merchant: Merchant, route: Route) -> str:
    """The path of a route about something that was made for it, in the state that it asks for."""
    if "webhooks" in route.path:
        return await webhook_address(merchant, route)
    paid = await merchant.collect(1_000_000)
    if "refund" in route.path:
        return await refund_address(merchant, route, paid)
    made = {
        "pay": await merchant.pay(phoneNumber=OPEN, metadata={"cart": "7c1e"}),
        "wdr": await merchant.withdraw(provider="MTN_MOMO_CIV", sourceCountry="CMR"),
        "transfer": await merchant.transfer(),
        "plain": await merchant.withdraw(),
    }
    noun = "transfer" if "transfer" in route.path else "wdr" if "withdraw" in route.path else "pay"
    if route.path.endswith("cancel"):
        made["wdr"] = made["plain"]
    else:
        if route.path.endswith("finish"):
            made["wdr"] = await merchant.withdraw(phoneNumber="237653456129")
        await merchant.house.worker.run_until_idle()
    return route.path.format(id=made[noun]["id"], country="CMR")


async def refund_address(merchant: Merchant, route: Route, paid: Answer) -> str:
    """The same for refunds: one that is PENDING, one that stays open, or one that has ended."""
    # So that what was paid is there: the fee is not returned.
    await merchant.collect(1_000_000)
    if route.path.endswith("refund"):
        return route.path.format(id=paid["id"])
    if route.path.endswith("finish"):
        paid = await merchant.pay(phoneNumber=OPEN)
        await merchant.house.worker.run_until_idle()
        finish = f"{BASE}/{paid['id']}/sandbox/finish"
        await merchant.keys.send("POST", finish, {"outcome": "COMPLETED"})
        await merchant.house.worker.run_until_idle()
    refund = await merchant.refund(paid, reason="Out of stock", externalId="REFUND-1")
    assert refund.status == 201, refund.raw
    if not route.path.endswith("cancel"):
        await merchant.house.worker.run_until_idle()
    return route.path.format(id=refund["id"])


async def webhook_address(merchant: Merchant, route: Route) -> str:
    """The same for webhooks: a URL where nobody listens, and a payment that it was to hear of."""
    webhooks = f"{BASE}/webhooks"
    nobody = {"url": "http://127.0.0.1:9/webhooks/kpay"}
    await merchant.keys.send("PUT", f"{webhooks}/generic", nobody)
    await merchant.collect(1_000)
    (row,) = (await merchant.keys.send("GET", f"{webhooks}/deliveries"))["data"]
    return route.path.format(topic="generic", id=row["id"])


# The page's own examples are the document's.


@pytest.mark.parametrize(
    ("path", "number", "pinned"),
    [
        ("/api/wallets/transfer", 0, "TRF-2026-001"),
        ("/api/wallets/transfer", 1, "TRF-2026-002"),
        (f"{BASE}/withdraw", 0, "PAYOUT-CROSS-001"),
        (f"{BASE}/withdraw", 1, "PAYOUT-CROSS-002"),
    ],
)
def test_the_document_shows_what_the_page_shows(path: str, number: int, pinned: str) -> None:
    (route,) = [one for one in ROUTES if one.path == path and one.method == "POST"]
    example = route.examples[number]
    request, response = page_json(pinned)

    assert example.body == request
    for name, value in response.items():
        # Identifiers are shortened there, and one has letters that no identifier has.
        if name in ("id", "reference"):
            assert example.answer[name][:4] == value[:4] or name == "id"
        elif name.endswith("Transaction"):
            own = {part: example.answer[name][part] for part in value}
            assert {**own, "id": value["id"]} == value
        else:
            assert shown(route, example.answer[name]) == value, name


# The sentences.


async def test_the_document_s_sentences_are_those_that_are_answered(
    merchant: Merchant, settings: Settings, clock: ManualClock
) -> None:
    provoked = {code: answer async for code, answer in refusals(merchant)}
    async with opened(settings, clock, fx_sources=("file:/nowhere/rates.json",)) as rateless:
        poor = await Merchant.join(rateless, company="Other")
        await poor.collect(10_000)
        provoked[Code.NO_RATE] = await poor.transfer()
    provoked |= {code: answer async for code, answer in keyed_refusals(merchant)}
    provoked[Code.STATEMENT_TOO_LONG] = await too_long(merchant.house)
    provoked |= {code: answer async for code, answer in refund_refusals(merchant, clock)}
    async with opened(settings, clock, rate_limit=100) as counted:
        eager = await Merchant.join(counted, company="Eager")
        for _ in range(100):
            provoked[Code.RATE_LIMITED] = await eager.keys.send("GET", f"{BASE}/me")

    for code, answer in provoked.items():
        assert (answer["code"], answer["message"]) == (code, SENTENCES[code])
    # What takes a slow client, a full queue or a database that is away has tests of its own.
    assert set(Code) - OF_PEOPLE - set(provoked) == {
        Code.BODY_TOO_SLOW,
        Code.BUSY,
        Code.DATABASE_UNAVAILABLE,
        Code.INTERNAL,
    }


async def refusals(merchant: Merchant) -> Any:
    """One request for each code, each refused with it."""
    keys, withdraw = merchant.keys, f"{BASE}/withdraw"
    stranger = Browser(merchant.api).elsewhere()
    await merchant.collect(10_000)
    live = await (await Merchant.join(merchant.house, company="Live")).live()
    picky = await Merchant.join(merchant.house, company="Picky")
    await merchant.house.office.configure(
        picky.new.application.id, allowed_providers=["ORANGE_CMR"]
    )
    ScriptedRail().serve(merchant.house, Environment.PRODUCTION)

    yield Code.MALFORMED_BODY, await keys.send("POST", withdraw)
    yield Code.INVALID_BODY, await merchant.withdraw(amount=None)
    yield Code.INVALID_PARAMETER, await keys.send("GET", BASE, query={"limit": 0})
    yield Code.INVALID_AMOUNT, await merchant.withdraw(amount="5000")
    yield Code.AMOUNT_OUT_OF_BOUNDS, await merchant.withdraw(amount=99)
    yield Code.CURRENCY_MISMATCH, await merchant.pay(currency="XOF")
    yield Code.UNSUPPORTED_COUNTRY, await merchant.transfer(sourceCountry="FRA")
    yield Code.SAME_COUNTRY, await merchant.transfer(destinationCountry="CMR")
    yield (
        Code.UNSUPPORTED_CURRENCY,
        await keys.send("GET", f"{BASE}/exchange-rate", query={"from": "USD", "to": "XOF"}),
    )
    yield Code.UNKNOWN_PROVIDER, await merchant.withdraw(provider="MTN_MOMO_FRA")
    yield Code.PROVIDER_SUSPENDED, await merchant.withdraw(provider="WAVE_SEN")
    yield Code.PROVIDER_CLOSED, await live.withdraw(provider="ORANGE_GAB")
    yield Code.PROVIDER_NOT_ALLOWED, await picky.withdraw()
    yield Code.METHOD_NOT_CONFIGURED, await merchant.pay(paymentMethod="CARD")
    insecure_page = {"amount": 1000, "externalId": "O-1", "returnUrl": "http://shop.example/paid"}
    yield Code.INVALID_ADDRESS, await live.keys.send("POST", f"{BASE}/init", insecure_page)
    yield Code.INVALID_PHONE_NUMBER, await live.withdraw(phoneNumber="33612345678")
    yield (
        Code.NOT_A_TEST_NUMBER,
        await keys.send("POST", f"{BASE}/predict-provider", {"phoneNumber": "33612345678"}),
    )
    insecure = {"url": "http://shop.example/webhooks/kpay"}
    webhook = f"{BASE}/webhooks/generic"
    yield Code.INVALID_WEBHOOK_URL, await live.keys.send("PUT", webhook, insecure)
    yield Code.TRANSFER_EXCEEDS_BALANCE, await merchant.transfer(amount=50_000)
    yield Code.INVALID_CREDENTIALS, await stranger.send("GET", f"{BASE}/me")
    yield Code.INVALID_TOKEN, await stranger.send("GET", "/api/wallets/overview")
    yield Code.TOO_MANY_FAILURES, await thrown_out(stranger.elsewhere())
    yield Code.APPLICATION_NOT_YOURS, await merchant.transfer(applicationId=live.application_id)
    yield Code.NOT_FOUND, await keys.send("GET", f"{withdraw}/nothing")
    yield Code.NO_WALLET, await merchant.withdraw(sourceCountry="GAB")
    yield Code.METHOD_NOT_ALLOWED, await keys.send("DELETE", withdraw)
    first = await merchant.withdraw(externalId="PAYOUT-CROSS-001")
    yield Code.EXTERNAL_ID_USED, await merchant.withdraw(externalId="PAYOUT-CROSS-001")
    await merchant.house.worker.run_until_idle()
    yield Code.NOT_CANCELLABLE, await keys.send("POST", f"{withdraw}/{first['id']}/cancel")
    finish = f"{withdraw}/{first['id']}/sandbox/finish"
    yield Code.NOT_OPEN, await keys.send("POST", finish, {"outcome": "FAILED"})
    yield Code.BODY_TOO_LARGE, await keys.send("POST", withdraw, raw=b" " * 70_000)
    yield Code.WITHDRAWAL_EXCEEDS_BALANCE, await merchant.withdraw(amount=50_000)


async def too_long(house: House) -> Answer:
    """The statement of a wallet to which more happened than one answer holds."""
    busy = await Merchant.join(house, company="Busy")
    await busy.collect(1_000_000)
    for _ in range(10):
        made = await asyncio.gather(*(busy.transfer(amount=100) for _ in range(MOST_IN_JSON // 10)))
        assert {answer.status for answer in made} == {201}
    return await busy.token.send("GET", "/api/wallets/CMR/statement")


async def keyed_refusals(merchant: Merchant) -> Any:
    """The same for the keys of requests; of one, another process is carrying the request out."""
    cancel = f"{BASE}/withdraw/nothing/cancel"

    async def asked(key: str, path: str = cancel) -> Answer:
        return await merchant.keys.send("POST", path, headers={"Idempotency-Key": key})

    yield Code.INVALID_IDEMPOTENCY_KEY, await asked("")
    await asked("one")
    yield Code.IDEMPOTENCY_KEY_REUSED, await asked("one", f"{BASE}/refunds/nothing/cancel")
    book = Book(merchant.new.application.id, Environment.TEST)
    begun = await merchant.house.keys.claim(book, "two", fingerprint_of("POST", cancel, b""))
    assert isinstance(begun, Keyed)
    yield Code.IDEMPOTENCY_IN_PROGRESS, await asked("two")


async def refund_refusals(merchant: Merchant, clock: ManualClock) -> Any:
    """The same for refunds; the payment was completed when the document says."""
    shop = await Merchant.join(merchant.house, company="Refunds")
    waiting = await shop.pay(phoneNumber=OPEN)
    paid = await shop.collect(10_000)
    yield Code.NOT_REFUNDABLE, await shop.refund(waiting)
    yield Code.REFUND_EXCEEDS_BALANCE, await shop.refund(paid)
    clock.advance(days=7, seconds=1)
    yield Code.REFUND_WINDOW_CLOSED, await shop.refund(paid)
    again = await shop.collect(10_000)
    await shop.collect(10_000)
    await shop.refund(again)
    yield Code.REFUND_EXISTS, await shop.refund(again)


async def thrown_out(browser: Browser) -> Answer:
    """The first answer of an address that failed too often."""
    wrong = {"X-API-Key": "kpay_test_wrong", "X-Secret-Key": "sk_test_wrong"}
    for _ in range(100):
        answer = await browser.send("GET", f"{BASE}/me", headers=wrong)
        if answer.status == 429:
            return answer
    raise AssertionError("an address may fail for ever")
