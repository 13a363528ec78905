"""What surrounds the money: balances, rates, operators, fees, health, the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from kpay.app import House
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.routes import Guard
from tests.client import Answer, Browser, Merchant
from tests.rails import ScriptedRail

BASE = "/api/v1/payments"
RATE = f"{BASE}/exchange-rate"


@pytest.fixture
def anybody(house: House) -> Browser:
    """Somebody without keys."""
    return Browser(house.asgi())


async def rate(merchant: Merchant, source: str, target: str) -> Answer:
    return await merchant.keys.send("GET", RATE, query={"from": source, "to": target})


async def test_balance_has_a_row_for_each_wallet_and_none_before_the_first_payment(
    merchant: Merchant,
) -> None:
    assert (await merchant.keys.send("GET", f"{BASE}/balance")).json == []
    for country in ("SEN", "CMR"):
        await merchant.collect(1_000, country)
    await merchant.withdraw(amount=100.5)

    answer = await merchant.keys.send("GET", f"{BASE}/balance")

    assert answer.json == [
        {
            "country": "CMR",
            "currency": "XAF",
            "balance": 950,
            "reservedBalance": Decimal("100.5"),
            "availableBalance": Decimal("849.5"),
        },
        {
            "country": "SEN",
            "currency": "XOF",
            "balance": 950,
            "reservedBalance": 0,
            "availableBalance": 950,
        },
    ]


async def test_overview_says_whose_wallets_they_are(merchant: Merchant) -> None:
    await merchant.collect(1_000)

    answer = await merchant.token.send("GET", "/api/wallets/overview")

    balance = await merchant.keys.send("GET", f"{BASE}/balance")
    assert answer.json == {
        "applicationId": merchant.application_id,
        "environment": "TEST",
        "wallets": balance.json,
    }


async def test_the_rate_of_a_currency_in_itself_is_one(merchant: Merchant) -> None:
    for currency in ("XAF", "XOF", "KES"):
        answer = await rate(merchant, currency, currency)
        assert (answer.status, answer["rate"]) == (200, 1)
        assert b'"rate":1,' in answer.raw


async def test_a_rate_comes_with_its_source_its_time_and_its_end(
    merchant: Merchant, clock: ManualClock
) -> None:
    first = await rate(merchant, "XAF", "XOF")
    assert first.json == {
        "from": "XAF",
        "to": "XOF",
        "rate": Decimal("1.0153"),
        "source": "file",
        "asOf": "2026-06-23T10:00:00.000Z",
        "expiresAt": "2026-06-23T11:00:00.000Z",
    }

    clock.advance(minutes=59)
    assert (await rate(merchant, "XAF", "XOF"))["expiresAt"] == first["expiresAt"]
    clock.advance(minutes=1)
    assert (await rate(merchant, "XAF", "XOF"))["expiresAt"] == "2026-06-23T12:00:00.000Z"


async def test_a_rate_there_and_back_is_one(merchant: Merchant) -> None:
    for target in ("XOF", "KES", "GHS"):
        there, back = await rate(merchant, "XAF", target), await rate(merchant, target, "XAF")
        assert abs(there["rate"] * back["rate"] - 1) < Decimal("1e-12")


async def test_a_rate_of_no_currency_of_ours_is_refused(merchant: Merchant) -> None:
    for source, target in (("XAF", "USD"), ("EUR", "XAF"), ("xaf", "XOF"), ("", "XOF")):
        answer = await rate(merchant, source, target)
        assert (answer.status, answer["code"]) == (400, "unsupported_currency")
        assert "XAF, XOF" in answer["message"]
    for query in ({}, {"from": "XAF"}, {"to": "XAF"}):
        answer = await merchant.keys.send("GET", RATE, query=query)
        assert (answer.status, answer["code"]) == (400, "invalid_parameter")
        assert "from, to" in answer["message"]


async def predict(merchant: Merchant, number: object) -> Answer:
    return await merchant.keys.send("POST", f"{BASE}/predict-provider", {"phoneNumber": number})


async def test_the_provider_of_every_test_number_is_predicted(
    merchant: Merchant, house: House
) -> None:
    catalogue = house.catalogue
    for number in catalogue.test_numbers.values():
        answer = await predict(merchant, number.phone_number)
        assert answer.status == 201, (number, answer.raw)
        assert (answer["country"], answer["phoneNumber"]) == (number.country, number.phone_number)
        provider = catalogue.providers[answer["provider"]]
        assert (provider.country, provider.status) == (number.country, "active")


async def test_a_number_to_predict_may_have_a_plus_and_spaces(merchant: Merchant) -> None:
    answer = await predict(merchant, "+237 653 456 789")

    assert (answer.status, answer.json) == (
        201,
        {"country": "CMR", "provider": "MTN_MOMO_CMR", "phoneNumber": "237653456789"},
    )


async def test_the_sandbox_predicts_no_other_numbers(merchant: Merchant) -> None:
    for number in ("237650000001", "33612345678", "", "text"):
        answer = await predict(merchant, number)
        assert (answer.status, answer["code"]) == (400, "not_a_test_number")
    assert (await predict(merchant, 237653456789)).status == 400


async def test_production_predicts_any_number_of_a_supported_country(merchant: Merchant) -> None:
    live = await merchant.live()
    for number, provider in (
        ("237650000001", "MTN_MOMO_CMR"),
        ("+237 690 00 00 01", "ORANGE_CMR"),
        ("221761234567", "FREE_SEN"),
        ("221771234567", "ORANGE_SEN"),
        ("254712345678", "MPESA_KEN"),
    ):
        answer = await predict(live, number)
        assert (answer.status, answer["provider"]) == (201, provider)
    unknown = await predict(live, "33612345678")
    assert (unknown.status, unknown["code"]) == (400, "invalid_phone_number")


async def statuses(merchant: Merchant) -> dict[str, set[str]]:
    """The statuses of each provider, over its operation types, in the documented shape."""
    answer = await merchant.keys.send("GET", f"{BASE}/availability")
    assert answer.status == 200
    found: dict[str, set[str]] = {}
    for country in answer.json:
        assert set(country) == {"country", "providers"}
        for provider in country["providers"]:
            assert set(provider) == {"provider", "operationTypes"}
            kinds = provider["operationTypes"]
            assert {kind["operationType"] for kind in kinds} >= {"DEPOSIT", "PAYOUT"}
            assert all(set(kind) == {"operationType", "status"} for kind in kinds)
            assert provider["provider"].endswith(country["country"])
            found[provider["provider"]] = {kind["status"] for kind in kinds}
    assert [country["country"] for country in answer.json] == list(
        merchant.house.catalogue.countries
    )
    return found


async def test_availability_says_what_is_open_in_each_environment(
    merchant: Merchant, house: House
) -> None:
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await merchant.live()
    closed = {
        "test": {"WAVE_CIV", "WAVE_SEN"},
        "live": {"WAVE_CIV", "WAVE_SEN", "ORANGE_GAB"},
    }
    for each, word in ((merchant, "test"), (live, "live")):
        found = await statuses(each)
        assert set(found) == set(house.catalogue.providers)
        for provider, status in found.items():
            expected = "CLOSED" if provider in closed[word] else "OPERATIONAL"
            assert status == {expected}, (word, provider)


async def test_what_is_closed_in_production_is_refused_there(
    merchant: Merchant, house: House
) -> None:
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await merchant.live()

    answer = await live.withdraw(provider="ORANGE_GAB", phoneNumber="24174345678")

    assert (answer.status, answer["code"]) == (400, "provider_closed")
    assert "availability" in answer["message"]


async def test_without_a_rail_everything_is_closed_in_production(merchant: Merchant) -> None:
    assert set.union(*(await statuses(await merchant.live())).values()) == {"CLOSED"}


async def test_fees_and_limits_are_public(anybody: Browser) -> None:
    answer = await anybody.send("GET", "/api/public/platform-info")

    assert answer.status == 200
    assert (answer["paymentFeePercent"], answer["withdrawalFeePercent"]) == (5, 5)
    assert answer["transferFeePercent"] == 0
    rows = {row["currency"]: row for row in answer["currencies"]}
    assert set(rows) == {"XAF", "XOF", "KES", "CDF", "UGX", "RWF", "GHS", "ZMW", "SLE"}
    assert rows["XAF"] == {
        "currency": "XAF",
        "payment": {"min": 50, "max": 10_000_000},
        "withdrawal": {"min": 100, "max": 500_000},
        "transfer": {"min": 100, "max": 10_000_000},
    }


async def test_health_readiness_and_metrics_are_open_to_the_operator_s_tools(
    anybody: Browser, merchant: Merchant
) -> None:
    await merchant.collect(1_000)
    refused = await merchant.keys.send("GET", f"{BASE}/pay_nothing")
    assert refused.status == 404

    assert (await anybody.send("GET", "/healthz")).raw == b"alive\n"
    assert (await anybody.send("GET", "/readyz")).raw == b"ready\n"
    answer = await anybody.send("GET", "/metrics")
    assert (answer.status, answer.headers["content-type"][:10]) == (200, "text/plain")
    text = answer.raw.decode()
    for line in (
        r'kpay_request_seconds_count{method="POST",route="/api/v1/payments/init",status="201"}',
        r'kpay_request_seconds_count{method="GET",route="/api/v1/payments/{id}",status="404"}',
        'kpay_refusals_total{code="not_found"}',
        'kpay_attempts_total{action="submit",connector="sandbox",outcome="paid"}',
    ):
        assert re.search(f"^{re.escape(line)} [1-9]", text, re.MULTILINE), line
    assert "pay_nothing" not in text


@pytest.fixture
async def document(anybody: Browser) -> dict[str, Any]:
    """The OpenAPI document as it is served."""
    answer = await anybody.send("GET", "/api/docs/public-json")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    parsed: dict[str, Any] = answer.json
    return parsed


def references(part: Any) -> Iterator[str]:
    """Every `$ref` anywhere inside."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


async def test_the_document_has_every_route_with_its_guard_and_parameters(
    document: dict[str, Any], house: House
) -> None:
    guards = {Guard.KEYS: {"apiKey", "secretKey"}, Guard.TOKEN: {"token"}, Guard.PUBLIC: set()}
    assert document["openapi"].startswith("3.1")
    described = set()
    for route in house.routes():
        operation = document["paths"][route.path][route.method.lower()]
        described.add((route.path, route.method.lower()))
        assert {name for way in operation["security"] for name in way} == guards[route.guard]
        assert str(route.status) in operation["responses"]
        in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", route.path))
        assert ("requestBody" in operation) == (route.body is not None)
    assert described == {
        (path, method) for path, methods in document["paths"].items() for method in methods
    }
    ids = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


async def test_every_reference_in_the_document_resolves(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 10
    for reference in found:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert isinstance(target, dict)
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "secretKey", "token"}


async def test_the_document_names_the_fields_that_the_page_documents(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]
    operations = document["paths"]

    def fields_of(path: str, part: str) -> tuple[set[str], set[str]]:
        operation = operations[path]["post"]
        content = (operation["requestBody"] if part == "body" else operation["responses"][part])[
            "content"
        ]
        schema = schemas[content["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        return set(schema["properties"]), set(schema["required"])

    transfer, required = fields_of("/api/wallets/transfer", "body")
    assert required == {"applicationId", "sourceCountry", "destinationCountry", "amount"}
    assert transfer == required | {"description", "externalId"}
    withdrawal, required = fields_of(f"{BASE}/withdraw", "body")
    # What is chosen on the hosted page cannot be required here: the handler asks for it.
    assert required == {"amount"}
    assert {"provider", "phoneNumber", "returnUrl"} <= withdrawal
    assert {"sourceCountry", "externalId", "description", "metadata"} <= withdrawal
    answered, required = fields_of(f"{BASE}/withdraw", "201")
    converted = {"payoutCurrency", "payoutAmount", "exchangeRate"}
    assert converted <= answered
    assert not converted & required
