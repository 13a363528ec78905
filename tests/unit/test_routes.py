"""The route table: each address once, as the contract has it, and described in the document."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec
import pytest

from kpay.core.refusals import ANSWERS
from kpay.core.routes import Guard, Route, refusals_of
from kpay.web.openapi import document
from tests.route_table import name_of, route_table

# What the contract promises, and who may call it. More is welcome; less is not.
CONTRACT = {
    ("GET", "/api/v1/payments/me"): Guard.KEYS,
    ("POST", "/api/v1/payments/token"): Guard.KEYS,
    ("POST", "/api/wallets/transfer"): Guard.TOKEN,
    ("GET", "/api/wallets/transfer/{id}"): Guard.TOKEN,
    ("GET", "/api/wallets/transfers"): Guard.TOKEN,
    ("GET", "/api/wallets/overview"): Guard.TOKEN,
    ("POST", "/api/v1/payments/withdraw"): Guard.KEYS,
    ("GET", "/api/v1/payments/withdraw/{id}"): Guard.KEYS,
    ("GET", "/api/v1/payments/withdrawals"): Guard.KEYS,
    ("POST", "/api/v1/payments/withdraw/{id}/cancel"): Guard.KEYS,
    ("POST", "/api/v1/payments/init"): Guard.KEYS,
    ("GET", "/api/v1/payments/{id}"): Guard.KEYS,
    ("POST", "/api/v1/payments/{id}/refund"): Guard.KEYS,
    ("GET", "/api/v1/payments/balance"): Guard.KEYS,
    ("GET", "/api/v1/payments/exchange-rate"): Guard.KEYS,
    ("POST", "/api/v1/payments/predict-provider"): Guard.KEYS,
    ("GET", "/api/v1/payments/availability"): Guard.KEYS,
    ("GET", "/api/public/platform-info"): Guard.PUBLIC,
}


ROUTES = route_table()
DOCUMENT: dict[str, Any] = msgspec.json.decode(document(ROUTES, "https://pay.example.com"))


def operation_of(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]
    return operation


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, or the component that it refers to."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def test_every_address_is_declared_once() -> None:
    shapes = Counter((route.method, re.sub(r"{\w+}", "{}", route.path)) for route in ROUTES)

    assert [shape for shape, count in shapes.items() if count > 1] == []


def test_the_contract_s_routes_are_there_each_with_its_guard() -> None:
    guards = {(route.method, route.path): route.guard for route in ROUTES}

    assert {address: guards.get(address) for address in CONTRACT} == CONTRACT


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_what_begins_with_wallets_takes_tokens_and_what_begins_with_payments_takes_keys(
    route: Route,
) -> None:
    of_prefix = {
        "/api/wallets/": Guard.TOKEN,
        "/api/v1/payments": Guard.KEYS,
        "/api/public/": Guard.PUBLIC,
    }

    assert [guard for prefix, guard in of_prefix.items() if route.path.startswith(prefix)] == [
        route.guard
    ]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_every_route_is_in_the_document(route: Route) -> None:
    operation = operation_of(route)
    schemes = {name for wanted in operation["security"] for name in wanted}

    assert operation["summary"] == route.summary
    assert (
        schemes
        == {
            Guard.PUBLIC: set(),
            Guard.KEYS: {"apiKey", "secretKey"},
            Guard.TOKEN: {"token"},
        }[route.guard]
    )
    successes = {str(route.status)} | ({str(route.also.status)} if route.also else set())
    assert set(operation["responses"]) == successes | {
        str(ANSWERS[code].status) for code in refusals_of(route)
    }
    assert ("requestBody" in operation) == (route.body is not None)
    assert {part["name"] for part in operation["parameters"] if part["in"] == "path"} == set(
        re.findall(r"{(\w+)}", route.path)
    )


@pytest.mark.parametrize("route", [one for one in ROUTES if one.body], ids=name_of)
def test_every_field_of_a_body_is_in_the_document(route: Route) -> None:
    schema = resolve(operation_of(route)["requestBody"]["content"]["application/json"]["schema"])
    fields = msgspec.structs.fields(route.body)

    assert set(schema["properties"]) == {field.encode_name for field in fields}
    assert set(schema.get("required", ())) == {
        field.encode_name for field in fields if field.required
    }
    # An unknown field is a 400, and the document says so.
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("route", [one for one in ROUTES if one.query], ids=name_of)
def test_every_parameter_of_a_query_is_in_the_document(route: Route) -> None:
    names = {field.encode_name for field in msgspec.structs.fields(route.query)}

    assert names == {
        part["name"] for part in operation_of(route)["parameters"] if part["in"] == "query"
    }


def test_an_amount_is_a_number_in_the_document() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    for name in ("TransferRequest", "WithdrawalRequest", "PaymentRequest"):
        assert schemas[name]["properties"]["amount"]["type"] == "number"


def test_what_we_answer_as_a_number_is_a_number_in_the_document() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    for name, field in (
        ("Side", "amount"),
        ("TransferAnswer", "exchangeRate"),
        ("WithdrawalAnswer", "payoutAmount"),
        ("Bounds", "min"),
    ):
        assert schemas[name]["properties"][field]["type"] == "number"
    assert b'decimal"' not in msgspec.json.encode(DOCUMENT)


def test_what_is_made_links_to_every_route_of_its_id() -> None:
    linked = {
        link["operationId"]
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    }

    assert linked == {
        operation_of(route)["operationId"] for route in ROUTES if "{id}" in route.path
    }


def test_every_reference_of_the_document_leads_somewhere() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    references = set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', text))

    assert references <= set(DOCUMENT["components"]["schemas"])
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["servers"] == [{"url": "https://pay.example.com"}]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = Counter(operation_of(route)["operationId"] for route in ROUTES)

    assert set(names.values()) == {1}
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
