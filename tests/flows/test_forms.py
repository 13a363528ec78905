"""What a KPay client may store or compare has the documented form, in real answers.

docs/moving.md is the list; it is read here, so that what it says is what is tested. The second half
calls as public clients in PHP, Node.js and Go do, and reads what they read.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.web.openapi import document
from tests.client import Answer, Browser, Merchant
from tests.forms import FORMS, form_of, type_of
from tests.hosted import RETURN, Visitor, init, signed
from tests.receivers import listening
from tests.route_table import route_table

BASE = "/api/v1/payments"
MOVING = (Path(__file__).parents[2] / "docs" / "moving.md").read_text(encoding="utf-8")
STATUSES = {"PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"}
OPEN = "237653456129"
FAILING = "237653456119"

Fields = Mapping[str, str]


def row_of(route: str) -> str:
    """A route's cell in the table of fields."""
    return cell_of(f"`{route}`")


def cell_of(name: str) -> str:
    """The cell after the one that says this."""
    found = re.search(rf"^\| {re.escape(name)} \| (.+) \|$", MOVING, re.MULTILINE)
    assert found is not None, name
    return found[1]


def fields_of(text: str) -> Fields:
    """`name` kind, … as a mapping; what stands in braces is left out."""
    outside = re.sub(r"{[^}]*}+", "", text)
    return dict(re.findall(r"`([\w-]+)` ([\w ]+\??)(?=[,;]|$)", outside))


def inside(text: str, name: str) -> Fields:
    """The fields in the braces after a name."""
    found = re.search(rf"`{name}` {{(.+?)}}", text)
    assert found is not None, name
    return fields_of(found[1])


def hold(answered: Mapping[str, Any], fields: Fields) -> None:
    """Every field is there, of its type and in its form."""
    assert fields, "a table without fields"
    for name, kind in fields.items():
        assert name in answered, name
        value = answered[name]
        if kind.endswith("?") and value is None:
            continue
        kind = kind.removesuffix("?")
        if kind in FORMS:
            assert form_of(value) == kind, (name, value)
        else:
            assert type_of(value) == kind, (name, value)


def test_the_page_s_forms_are_those_that_are_tested() -> None:
    rows = re.findall(r"^\| ([\w ]+) \| `(.+)` \| (?:`(.+)`|.+) \|$", MOVING, re.MULTILINE)
    documented = {name: pattern.replace(r"\|", "|") for name, pattern, _ in rows}

    assert documented == FORMS
    for name, _, example in rows:
        if example and "…" not in example:
            assert form_of(example) == name


async def test_whose_keys_they_are(merchant: Merchant) -> None:
    answer = await merchant.keys.send("GET", f"{BASE}/me")

    row = row_of("GET /api/v1/payments/me")
    hold(answer.json, {"environment": "string"})
    for part in ("application", "company"):
        hold(answer[part], inside(row, part))
    assert answer["environment"] == "TEST"
    assert (await (await merchant.live()).keys.send("GET", f"{BASE}/me"))["environment"] == (
        "PRODUCTION"
    )
    assert form_of(merchant.new.test.api_key) == "API key"
    assert form_of(merchant.new.test.secret_key) == "secret key"


async def test_tokens(merchant: Merchant) -> None:
    for raw in (b"", b"{}"):
        answer = await merchant.keys.send("POST", f"{BASE}/token", raw=raw)
        assert answer.status == 201
        hold(answer.json, fields_of(row_of("POST /api/v1/payments/token")))
        assert answer["expiresIn"] == "30m"


async def test_payments_in_every_status(merchant: Merchant) -> None:
    asked = fields_of(row_of("POST /api/v1/payments/init"))
    shown = {**asked, **fields_of(row_of("GET /api/v1/payments/{id}"))}
    made = [
        await merchant.pay(metadata={"cart": "7c1e"}, description="Order"),
        await merchant.pay(phoneNumber=FAILING.replace("119", "069")),
        await merchant.pay(phoneNumber=OPEN),
    ]
    for answer in made:
        assert (answer.status, answer["status"]) == (201, "PENDING")
        hold(answer.json, asked)
        assert answer["reference"][5:13] == "20260623"
        hold((await merchant.payment(answer)).json, shown)
    await merchant.house.worker.run_until_idle()
    ended = [await merchant.payment(answer) for answer in made]
    for answer in ended:
        hold(answer.json, shown)
    assert [answer["status"] for answer in ended] == ["COMPLETED", "FAILED", "PROCESSING"]
    assert [form_of(answer["completedAt"]) for answer in ended] == ["moment", None, None]
    assert [form_of(answer["failedAt"]) for answer in ended] == [None, "moment", None]


async def test_withdrawals_in_every_status(merchant: Merchant) -> None:
    await merchant.collect(100_000)
    text = row_of("POST /api/v1/payments/withdraw")
    always, converted = (fields_of(part) for part in text.split("; where it was converted"))
    made = [
        await merchant.withdraw(),
        await merchant.withdraw(phoneNumber=FAILING),
        await merchant.withdraw(phoneNumber=OPEN),
        await merchant.withdraw(provider="MTN_MOMO_CIV", sourceCountry="CMR"),
        await merchant.withdraw(),
    ]
    for answer in made:
        assert (answer.status, answer["status"]) == (201, "PENDING")
        hold(answer.json, always)
        assert answer["reference"][8:16] == "20260623"
    hold(made[3].json, converted)
    assert not set(converted) & set(made[0].json)
    cancelled = await merchant.keys.send("POST", f"{BASE}/withdraw/{made[4]['id']}/cancel")
    hold(cancelled.json, always)
    await merchant.house.worker.run_until_idle()
    ended = [await merchant.payout(answer) for answer in made]
    assert {answer["status"] for answer in ended} | {"PENDING"} == STATUSES
    for answer in ended:
        hold(answer.json, always)


async def test_refunds_in_every_status(merchant: Merchant) -> None:
    fields = fields_of(row_of("POST /api/v1/payments/{id}/refund"))
    await merchant.collect(100_000)
    paid = [await merchant.collect(1_000) for _ in range(2)]
    made = [await merchant.refund(paid[0], externalId="R-1"), await merchant.refund(paid[1])]
    for answer in made:
        assert (answer.status, answer["status"]) == (201, "PENDING")
        hold(answer.json, fields)
        assert answer["reference"][8:16] == "20260623"
    cancelled = await merchant.keys.send("POST", f"{BASE}/refunds/{made[1]['id']}/cancel")
    await merchant.house.worker.run_until_idle()
    ended = [await merchant.refunded(made[0]), cancelled]
    for answer in ended:
        hold(answer.json, fields)
    assert [answer["status"] for answer in ended] == ["COMPLETED", "CANCELLED"]
    assert ended[0]["originalPaymentId"] == paid[0]["id"]


async def test_transfers(merchant: Merchant) -> None:
    await merchant.collect(100_000)
    row = row_of("POST /api/wallets/transfer")
    rest = {name: kind for name, kind in fields_of(row).items() if not name.endswith("Transaction")}
    for country in ("GAB", "SEN"):
        answer = await merchant.transfer(destinationCountry=country, externalId=f"to {country}")
        assert answer.status == 201
        hold(answer.json, rest)
        source, target = answer["sourceTransaction"], answer["destinationTransaction"]
        for side in (source, target):
            fields = dict(inside(row, "destinationTransaction"))
            assert fields.pop("reference") == "transfer out or in"
            hold(side, fields)
        assert answer["id"] == source["id"] != target["id"]
        assert (form_of(source["reference"]), form_of(target["reference"])) == (
            "transfer out",
            "transfer in",
        )
        assert source["reference"].split("-")[2] == target["reference"].split("-")[2]
        assert (source["type"], target["type"]) == ("WALLET_TRANSFER_OUT", "WALLET_TRANSFER_IN")


async def test_what_surrounds_the_money(merchant: Merchant) -> None:
    await merchant.collect(1_000)
    (balance,) = (await merchant.keys.send("GET", f"{BASE}/balance")).json
    hold(balance, rows_of("GET /api/v1/payments/balance"))
    rate = await merchant.keys.send(
        "GET", f"{BASE}/exchange-rate", query={"from": "XAF", "to": "XOF"}
    )
    hold(rate.json, fields_of(row_of("GET /api/v1/payments/exchange-rate")))
    predicted = await merchant.keys.send(
        "POST", f"{BASE}/predict-provider", {"phoneNumber": "237653456789"}
    )
    assert predicted.status == 201
    hold(predicted.json, fields_of(row_of("POST /api/v1/payments/predict-provider")))
    countries = (await merchant.keys.send("GET", f"{BASE}/availability")).json
    for country in countries:
        hold(country, {"country": "string", "providers": "array"})
        for provider in country["providers"]:
            hold(provider, {"provider": "string", "operationTypes": "array"})
            for kind in provider["operationTypes"]:
                hold(kind, {"operationType": "string", "status": "string"})
                assert kind["operationType"] in {"DEPOSIT", "PAYOUT", "REMITTANCE"}
                assert kind["status"] in {"OPERATIONAL", "DELAYED", "CLOSED"}


def rows_of(route: str) -> Fields:
    return fields_of(row_of(route).removeprefix("rows of "))


async def test_refusals_of_every_kind(merchant: Merchant) -> None:
    stranger = Browser(merchant.api).elsewhere()
    await merchant.transfer(externalId="used")
    refused = [
        await merchant.withdraw(amount="1000"),
        await stranger.send("GET", f"{BASE}/me"),
        await stranger.send("GET", "/api/wallets/overview"),
        await merchant.keys.send("GET", f"{BASE}/pay_nothing"),
        await merchant.keys.send("GET", "/api/v1/nothing"),
        await merchant.transfer(sourceCountry="GAB"),
    ]
    for answer in refused:
        hold(answer.json, {"statusCode": "number", "message": "string", "error": "string"})
        assert answer["statusCode"] == answer.status
        assert form_of(answer["requestId"]) == "request"
        assert answer.headers["x-request-id"] == answer["requestId"]
    keys = refused[1].json
    assert (keys["message"], keys["error"]) == ("Invalid API credentials", "Unauthorized")


# The hosted page and webhooks.


async def test_a_hosted_payment_and_the_way_back_from_it(
    merchant: Merchant, clock: ManualClock
) -> None:
    """As a shop checks a return: the four parts under its secret, and no older than ten minutes."""
    made = await init(merchant, externalId="ORDER-7")
    assert (made.status, made["mode"]) == (201, "GATEWAY")
    hold(made.json, fields_of(cell_of("`POST /api/v1/payments/init` with `returnUrl`")))
    chosen = ("provider", "country", "phoneNumber", "providerReference")
    assert {made[name] for name in chosen} == {None}

    visitor = Visitor.at(merchant, made)
    await visitor.choose()
    await merchant.house.worker.run_until_idle()
    location = (await visitor.look("/return")).headers["location"]

    query = dict(parse_qsl(urlsplit(location).query))
    fields = fields_of(cell_of("the query of a return"))
    assert location.startswith(f"{RETURN}?")
    assert list(query) == list(fields)
    hold(query, fields)
    assert (query["status"], query["externalId"]) == ("COMPLETED", "ORDER-7")
    assert query["sig"] == signed(merchant, query)
    assert int(query["ts"]) == int(clock.now().timestamp() * 1_000)
    assert None not in {(await merchant.payment(made))[name] for name in chosen}


async def test_webhooks_have_their_headers_and_their_fields(merchant: Merchant) -> None:
    async with listening() as shop:
        await merchant.keys.send("PUT", f"{BASE}/webhooks/generic", {"url": shop.url})
        await merchant.collect(10_000, metadata={"orderId": "12345"})
        await merchant.house.worker.run_until_idle()
        (heard,) = shop.heard

    body = json.loads(heard.raw)
    headers = fields_of(cell_of("the headers of a webhook"))
    assert set(headers) <= set(heard.headers)
    hold(heard.headers, headers)
    fields = fields_of(cell_of("the body of a webhook"))
    assert list(body)[: len(fields)] == list(fields)
    hold(body, fields)
    secret = merchant.new.webhook_secret.encode()
    assert heard.headers["X-KPAY-Signature"] == hmac.digest(secret, heard.raw, "sha256").hex()


# As public clients call and read. Written for this test, after what they rely on.


async def test_a_laravel_service_that_polls(merchant: Merchant, house: House) -> None:
    """It sends no Content-Type with GET, reads any 2xx, and decides on the status alone."""
    made = success(
        await merchant.keys.send(
            "POST",
            f"{BASE}/init",
            {
                "amount": 5000,
                "phoneNumber": "237653456789",
                "provider": "MTN_MOMO_CMR",
                "externalId": "SUB-42-1782208800",
                "description": "Abonnement mensuel",
                "customerName": "Awa Ndiaye",
                "customerEmail": "awa@example.com",
                "metadata": {"subscription_id": 42, "plan": "premium"},
            },
            headers={"Accept": "application/json", "Content-Type": "application/json"},
        )
    )
    stored = {"transaction_id": made["id"], "reference": made["reference"]}
    await house.worker.run_until_idle()

    polled = success(await merchant.keys.send("GET", f"{BASE}/{stored['transaction_id']}"))

    assert polled["reference"] == stored["reference"]
    assert {"COMPLETED": "completed"}.get(polled["status"], "pending") == "completed"
    assert polled["metadata"] == {"subscription_id": 42, "plan": "premium"}


@pytest.mark.parametrize("hosted", [True, False])
async def test_a_client_that_says_how_the_payer_pays(merchant: Merchant, hosted: bool) -> None:
    """Its `paymentMethod` is mobile money by phone and on the page, or a card that nobody takes."""
    schemas = json.loads(document(route_table(), ""))["components"]["schemas"]
    methods = schemas["PaymentRequest"]["properties"]["paymentMethod"]["enum"]
    assert methods == ["MOBILE_MONEY", None]

    ask = init if hosted else Merchant.pay
    for number, method in enumerate(methods):
        made = success(await ask(merchant, paymentMethod=method, externalId=f"ORDER-{number}"))
        assert made["mode"] == ("GATEWAY" if hosted else "USSD")
    for method in ("CARD", "PAYPAL", "card", ""):
        refused = await ask(merchant, paymentMethod=method, externalId="ORDER-3")
        assert (refused.status, refused["code"]) == (400, "method_not_configured"), method
        assert "MOBILE_MONEY" in refused["message"]
        assert method in refused["message"]
    # Nothing was made of it: the same order can be asked for again.
    success(await ask(merchant, externalId="ORDER-3"))


async def test_a_service_that_shows_the_message_of_a_refusal(merchant: Merchant) -> None:
    """It shows `message`, or `error` where there is none, to whoever was about to pay."""
    answer = await merchant.pay(amount=10)

    said = answer.json.get("message") or answer.json.get("error")
    assert isinstance(said, str)
    assert said == "amount must be between 50 and 10,000,000 XAF."
    assert not 200 <= answer.status < 300


async def test_a_node_payout_that_converts_and_checks_its_balance_first(
    merchant: Merchant,
) -> None:
    """It looks for enough in a currency, pays out, and stores net, fee and reference."""
    await merchant.collect(100_000)
    rows = success(await merchant.keys.send("GET", f"{BASE}/balance"))
    enough = next(row for row in rows if row["currency"] == "XAF")
    assert enough["availableBalance"] >= 50_000
    rate = success(
        await merchant.keys.send("GET", f"{BASE}/exchange-rate", query={"from": "XAF", "to": "XOF"})
    )

    paid = success(
        await merchant.withdraw(
            amount=50_000, provider="MTN_MOMO_CIV", sourceCountry="CMR", externalId="WD-1"
        )
    )

    assert paid["netAmount"] + paid["feeAmount"] == paid["amount"]
    assert abs(paid["payoutAmount"] - paid["netAmount"] * rate["rate"]) < 1
    assert re.match(r"^KPAY-WD-", paid["reference"])


async def test_a_go_client_that_takes_only_200_and_201(merchant: Merchant) -> None:
    made = await merchant.pay(metadata={"saleId": "S-1"})
    assert made.status == 201
    assert (await merchant.payment(made)).status == 200
    assert (await merchant.keys.send("GET", f"{BASE}/me")).status == 200


async def test_a_retry_after_a_lost_answer_is_told_apart_from_a_mistake(
    merchant: Merchant,
) -> None:
    """It takes 409 for done before, and asks for the first by the externalId that it kept."""
    await merchant.collect(100_000)
    await merchant.withdraw(externalId="WD-2")

    again = await merchant.withdraw(externalId="WD-2")

    assert again.status == 409
    found = success(
        await merchant.keys.send("GET", f"{BASE}/withdrawals", query={"externalId": "WD-2"})
    )
    assert [row["id"] for row in found["data"]] == [again["existingId"]]


async def test_dates_are_read_by_the_usual_parsers(merchant: Merchant) -> None:
    paid = await merchant.collect(1_000)
    for name in ("createdAt", "completedAt"):
        assert datetime.fromisoformat(paid[name]).tzinfo is not None
        read = datetime.strptime(paid[name], "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007
        assert (read.year, read.hour) == (2026, 10)


def success(answer: Answer) -> Any:
    assert 200 <= answer.status < 300, answer.raw
    return answer.json


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_the_page_names_every_status(status: str) -> None:
    assert f"`{status}`" in MOVING
