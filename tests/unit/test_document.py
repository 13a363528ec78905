"""The OpenAPI document: valid by its own meta-schema, complete, and true of its own examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from kpay.catalogue.data import catalogue
from kpay.core.refusals import ANSWERS, OF_PEOPLE, Code, Refusal
from kpay.core.routes import Guard, Route, refusals_of
from kpay.idempotency.model import read_key
from kpay.instructions.model import ENDS, Status
from kpay.web.openapi import document, refusals
from kpay.webhooks.model import TEST_EVENT, Topic, headers_of
from kpay.webhooks.model import Status as DeliveryStatus
from tests.route_table import name_of, route_table

ROUTES = route_table()
DOCUMENT: dict[str, Any] = json.loads(document(ROUTES, "https://pay.example.com"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

every_route = pytest.mark.parametrize("route", ROUTES, ids=name_of)


def operation_of(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]
    return operation


def content_of(part: dict[str, Any]) -> dict[str, Any]:
    (content,) = part["content"].values()
    assert isinstance(content, dict)
    return content


def problems(schema: dict[str, Any], value: object) -> list[str]:
    """What is wrong with a value by a schema of the document, formats included."""
    whole = {**schema, "components": DOCUMENT["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


def test_the_document_is_valid_by_the_meta_schema_of_openapi_3_1() -> None:
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(DOCUMENT)] == []


def test_the_meta_schema_would_notice_what_is_wrong() -> None:
    broken = {**DOCUMENT, "paths": {"no-slash": {"get": {"responses": 7}}}}

    assert list(OPENAPI_31_VALIDATOR.iter_errors(broken))


def test_every_schema_is_one_of_json_schema_2020_12() -> None:
    for name, schema in SCHEMAS.items():
        jsonschema_rs.meta.validate({"$schema": _DIALECT, **schema})
        assert schema["description"], name


_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def parts(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object anywhere inside, with where it is."""
    if isinstance(value, dict):
        yield path, value
        for name, part in value.items():
            yield from parts(part, f"{path}/{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from parts(part, f"{path}/{number}")


def test_every_reference_leads_somewhere() -> None:
    references = {part["$ref"] for _, part in parts(DOCUMENT) if "$ref" in part}

    assert len(references) > 30
    for reference in references:
        target: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def test_nothing_of_how_it_is_made_is_left_in_it() -> None:
    names = {name for _, part in parts(DOCUMENT) for name in part}

    assert not {"enumOf", "boundsOf"} & names


# Complete: a route that is added one day says all of this in its own declaration.


@every_route
def test_every_route_says_what_it_does_what_it_looks_like_and_where_it_belongs(
    route: Route,
) -> None:
    operation = operation_of(route)

    assert operation["summary"], "the route's own summary"
    assert len(operation["description"]) > 40, "the docstring of the handler"
    assert operation["tags"] == [route.tag]
    assert route.tag in {tag["name"] for tag in DOCUMENT["tags"]}, "words.TAGS describes each tag"
    assert route.examples, "examples in the declaration"
    assert all(example.summary for example in route.examples)
    names = content_of(operation["responses"][str(route.status)])["examples"]
    assert len(names) == len(route.examples), "two examples of one summary"
    if route.body is not None:
        assert all(example.body is not None for example in route.examples), "what is sent"


@every_route
def test_every_parameter_is_described(route: Route) -> None:
    for parameter in operation_of(route)["parameters"]:
        assert parameter["description"], parameter["name"]
        assert parameter["schema"]["type"] in (
            "string",
            "integer",
            "boolean",
        ), "a parameter is never null"
        assert None not in parameter["schema"].get("enum", ())
    assert set(route.path_types) == set(re.findall(r"{(\w+)}", route.path)), "path_types"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_described(name: str) -> None:
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        assert schema.get("description"), f"{name}.{field}"


@every_route
def test_a_request_is_closed_and_an_answer_is_open_for_more_fields(route: Route) -> None:
    answers = [schema for path, schema in parts(_resolved(route.answer)) if "properties" in schema]

    assert all("additionalProperties" not in schema for schema in answers)
    if route.body is not None:
        content = content_of(operation_of(route)["requestBody"])
        assert (
            SCHEMAS[content["schema"]["$ref"].rpartition("/")[2]]["additionalProperties"] is False
        )


def _resolved(type_: Any) -> list[Any]:
    schemas, components = msgspec.json.schema_components([type_], schema_hook=lambda _type: {})
    return [*schemas, components]


# True of itself.


@every_route
def test_every_example_is_as_the_schema_beside_it_says(route: Route) -> None:
    operation = operation_of(route)
    places = [content_of(operation["responses"][str(route.status)])]
    if route.also is not None:
        places.append(content_of(operation["responses"][str(route.also.status)]))
    if route.body is not None:
        places.append(content_of(operation["requestBody"]))

    for content in places:
        assert content["examples"]
        for name, example in content["examples"].items():
            assert problems(content["schema"], example["value"]) == [], name


def test_every_example_of_a_field_is_as_its_schema_says() -> None:
    for path, schema in parts(SCHEMAS):
        if path.endswith("/properties"):
            continue
        for example in schema.get("examples", ()):
            assert problems(schema, example) == [], path


@every_route
def test_every_refusal_is_under_its_status_with_an_example_and_its_headers(route: Route) -> None:
    operation = operation_of(route)

    for code in refusals_of(route):
        answer = ANSWERS[code]
        response = operation["responses"][str(answer.status)]
        content = content_of(response)
        assert content["examples"][code] == {"$ref": f"#/components/examples/{code}"}
        value = DOCUMENT["components"]["examples"][code]["value"]
        assert problems(content["schema"], value) == []
        assert problems(content["schema"], {**value, "code": "something_else"}) != []
        says_when = answer.retry_after is not None or (
            answer.status == ANSWERS[Code.IDEMPOTENCY_IN_PROGRESS].status
            and route.recall is not None
        )
        assert ("retry-after" in response["headers"]) == says_when
        assert ("www-authenticate" in response["headers"]) == (answer.challenge is not None)
        assert "x-request-id" in response["headers"]


def test_every_code_has_a_sentence() -> None:
    assert set(refusals.SENTENCES) == set(Code) - OF_PEOPLE
    assert all(len(sentence) > 10 for sentence in refusals.SENTENCES.values())


def test_what_follows_from_a_declaration_is_declared() -> None:
    for route in ROUTES:
        codes = refusals_of(route)
        assert Code.INTERNAL in codes
        assert (Code.INVALID_CREDENTIALS in codes) == (route.guard is Guard.KEYS)
        assert (Code.INVALID_TOKEN in codes) == (route.guard is Guard.TOKEN)
        assert (Code.MALFORMED_BODY in codes) == (route.body is not None)
        assert (Code.RATE_LIMITED in codes) == (route.guard is not Guard.PUBLIC)
        assert (Code.IDEMPOTENCY_KEY_REUSED in codes) == (route.recall is not None)
        follows = refusals_of(msgspec.structs.replace(route, refuses=()))
        assert (Code.INVALID_PARAMETER in follows) == (route.query is not None)
        assert not set(route.refuses) & follows


def test_every_code_but_one_is_some_route_s() -> None:
    """A method that an address does not take is refused by no operation of it."""
    declared = frozenset[Code]().union(*map(refusals_of, ROUTES))

    assert set(Code) - declared == {Code.METHOD_NOT_ALLOWED} | OF_PEOPLE


# What is enforced, as it is enforced.


def test_what_the_catalogue_knows_is_listed_where_it_is_asked_for() -> None:
    world = catalogue()
    withdrawal = SCHEMAS["WithdrawalRequest"]["properties"]
    payment = SCHEMAS["PaymentRequest"]["properties"]

    assert set(SCHEMAS["TransferRequest"]["properties"]["sourceCountry"]["enum"]) == set(
        world.countries
    )
    assert set(withdrawal["sourceCountry"]["enum"]) == {*world.countries, None}
    assert set(withdrawal["provider"]["enum"]) == {*world.providers, None}
    currencies = {country.currency for country in world.countries.values()}
    assert set(payment["currency"]["enum"]) == {*currencies, None}
    # What answers hold is left open: one more country must not break a client.
    assert "enum" not in SCHEMAS["PaymentAnswer"]["properties"]["country"]


def test_statuses_environments_and_operations_are_listed() -> None:
    assert SCHEMAS["Status"]["enum"] == sorted(Status)
    assert SCHEMAS["Environment"]["enum"] == ["PRODUCTION", "TEST"]
    assert SCHEMAS["TypeStatus"]["properties"]["operationType"]["enum"] == ["DEPOSIT", "PAYOUT"]
    webhooks = SCHEMAS["DeliveryAnswer"]["properties"]
    assert webhooks["topic"]["enum"] == list(Topic)
    assert webhooks["status"]["enum"] == list(DeliveryStatus)
    assert set(SCHEMAS["WebhookBody"]["properties"]["status"]["enum"]) == {*ENDS, "TEST"}
    assert SCHEMAS["Code"]["enum"] == sorted(Code)


def test_bounds_are_told_as_they_are_enforced() -> None:
    transfer = SCHEMAS["TransferRequest"]["properties"]["amount"]["description"]
    payment = SCHEMAS["PaymentRequest"]["properties"]["amount"]["description"]
    withdrawal = SCHEMAS["WithdrawalRequest"]["properties"]["amount"]["description"]

    assert "100 to 10,000,000" in transfer
    assert "XAF 50 to 10,000,000" in payment
    assert "XAF 100 to 500,000" in withdrawal
    external_id = SCHEMAS["TransferRequest"]["properties"]["externalId"]
    assert (external_id["minLength"], external_id["maxLength"]) == (1, 255)


def test_what_may_be_null_says_so_and_what_may_not_does_not() -> None:
    answer = SCHEMAS["WithdrawalDetail"]
    transfer = SCHEMAS["TransferAnswer"]["properties"]

    assert answer["properties"]["completedAt"]["type"] == ["string", "null"]
    assert answer["properties"]["fx"]["anyOf"][1] == {"type": "null"}
    assert answer["properties"]["payoutAmount"]["type"] == "number"
    assert not {"payoutAmount", "payoutCurrency", "exchangeRate"} & set(answer["required"])
    assert transfer["externalId"]["type"] == ["string", "null"]
    assert transfer["createdAt"]["type"] == "string"


# Webhooks.


def test_every_event_is_a_webhook_with_an_example_of_its_body() -> None:
    events = {f"{who}.{end.lower()}" for who in ("payment", "payout", "refund") for end in ENDS}

    assert set(DOCUMENT["webhooks"]) == {*events, TEST_EVENT}
    for event, item in DOCUMENT["webhooks"].items():
        content = content_of(item["post"]["requestBody"])
        (example,) = content["examples"].values()
        assert problems(content["schema"], example["value"]) == []
        assert example["value"]["event"] == event
        sent = headers_of(event, "evt_", b"{}", ["whsec_aaaa"], datetime.now(UTC))
        # OpenAPI tells the type of a body with the body.
        assert {one["name"] for one in item["post"]["parameters"]} == set(sent) - {"Content-Type"}


def test_a_webhook_tells_the_fields_of_the_contract_in_their_order() -> None:
    content = content_of(DOCUMENT["webhooks"]["payment.completed"]["post"]["requestBody"])
    schema = SCHEMAS[content["schema"]["$ref"].rpartition("/")[2]]

    assert list(schema["properties"])[:12] == [
        "event",
        "paymentId",
        "reference",
        "status",
        "amount",
        "phoneNumber",
        "externalId",
        "metadata",
        "completedAt",
        "failedAt",
        "failureReason",
        "timestamp",
    ]


# What the header of a key and the count of requests add.


@every_route
def test_a_route_that_takes_an_idempotency_key_says_so_and_no_other_does(route: Route) -> None:
    operation = operation_of(route)
    named = {one["name"]: one for one in operation["parameters"] if one["in"] == "header"}
    answers = operation["responses"]
    replayed = {
        status for status, one in answers.items() if "idempotency-replayed" in one["headers"]
    }

    successes = {str(route.status)} | ({str(route.also.status)} if route.also else set())

    assert ("Idempotency-Key" in named) == (route.recall is not None)
    if route.recall is None:
        assert replayed == set()
        return
    assert (
        {*successes, "409"}
        <= replayed
        <= {*successes, "400", "403", "404"}
        | {
            "409",
            "422",
        }
    )
    schema = named["Idempotency-Key"]["schema"]
    for key, is_one in {"a": True, " a b ": True, "": False, "  ": False, "é": False}.items():
        assert (problems(schema, key) == []) is is_one, key
        if is_one:
            assert read_key(key) == key.strip()
        else:
            with pytest.raises(Refusal):
                read_key(key)


@every_route
def test_what_is_counted_says_what_is_left(route: Route) -> None:
    counted = {
        status
        for status, answer in operation_of(route)["responses"].items()
        if {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
        <= set(answer["headers"])
    }

    everything = set(operation_of(route)["responses"])
    # Wrong credentials are answered before anything is counted.
    assert counted == (set() if route.guard is Guard.PUBLIC else everything - {"401"})
