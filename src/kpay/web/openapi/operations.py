"""One route as an operation of the document: parameters, body, answers, links."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kpay.catalogue.data import catalogue
from kpay.core.routes import Example, Guard, Route
from kpay.idempotency.model import LONGEST_KEY
from kpay.web.openapi import refusals, schemas

_SECURITY: dict[Guard, list[dict[str, list[str]]]] = {
    Guard.PUBLIC: [],
    Guard.KEYS: [{"apiKey": [], "secretKey": []}],
    Guard.TOKEN: [{"token": []}],
}

_HEADERS = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "One of your own for each request, such as a UUID: the same request with "
        "the same key is carried out once, and answered as it was the first time.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_KEY,
            "pattern": "^[ -~]*[!-~][ -~]*$",
        },
        "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    }
]

_DONE = {
    200: "The answer.",
    201: "Done: when this is answered, it is on disk.",
    202: "Accepted: it happens at the next turn.",
}


def operation(route: Route, routes: Sequence[Route], of_type: Mapping[int, Any]) -> dict[str, Any]:
    """Everything about one route. `of_type` has the schema of each type by its identity."""
    made: dict[str, Any] = {
        "tags": [route.tag],
        "summary": route.summary,
        "description": inspect.getdoc(route.handler) or "",
        "operationId": operation_id(route),
        "security": _SECURITY[route.guard],
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(route),
            *(_HEADERS if route.recall is not None else ()),
        ],
        "responses": {
            str(route.status): _done(route, of_type[id(route.answer)], _links(route, routes)),
            **_also(route, of_type[id(route.answer)]),
            **refusals.responses(route),
        },
    }
    if route.body is not None:
        made["requestBody"] = {
            "required": not route.body_optional,
            "content": {
                "application/json": {
                    "schema": of_type[id(route.body)],
                    "examples": {
                        _name(example): {"summary": example.summary, "value": example.body}
                        for example in route.examples
                        if example.body is not None
                    },
                }
            },
        }
    return made


def operation_id(route: Route) -> str:
    """The operation's name, from its method and its path."""
    words = re.split(r"[^a-z0-9]+", route.path.lower())
    return "_".join([route.method.lower(), *(word for word in words if word)])


def _done(route: Route, schema: Any, links: Mapping[str, Any]) -> dict[str, Any]:
    done = _success(route, schema, _DONE[route.status], route.examples)
    return {**done, "links": links} if links else done


def _also(route: Route, schema: Any) -> dict[str, Any]:
    """The further success of a route that has one."""
    also = route.also
    if also is None:
        return {}
    return {str(also.status): _success(route, schema, also.description, also.examples)}


def _success(
    route: Route, schema: Any, description: str, examples: Sequence[Example]
) -> dict[str, Any]:
    return {
        "description": description,
        "headers": refusals.headers(route),
        "content": {
            route.media: {
                "schema": schema,
                "examples": {
                    _name(example): {"summary": example.summary, "value": example.answer}
                    for example in examples
                },
            }
        },
    }


def _name(example: Example) -> str:
    """An example's name among the others, which its summary is made of."""
    return re.sub(r"[^a-z0-9]+", "-", example.summary.lower()).strip("-")


def _links(made: Route, routes: Sequence[Route]) -> dict[str, Any]:
    """Where what a route makes can be looked at or ended: each route at the address that shows it.

    A client learns from them what to call next; so does the test that calls routes one after the
    other with the identifiers of the answers before.
    """
    if made.method != "POST" or made.status != 201 or "id" not in _fields(made.answer):
        return {}
    homes = tuple(
        route.path
        for route in routes
        if route.path.endswith("{id}") and _shows(route.answer, made.answer)
    )
    return {
        operation_id(route): {
            "operationId": operation_id(route),
            "parameters": {"id": "$response.body#/id"},
        }
        for route in routes
        if route.path.startswith(homes)
    }


def _shows(shown: Any, made: type[Any]) -> bool:
    """Whether one answer is about what the other is: the same, or the same with more fields."""
    return isinstance(shown, type) and issubclass(shown, made)


def _fields(type_: Any) -> tuple[str, ...]:
    return getattr(type_, "__struct_fields__", ())


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", route.path)
    return [_parameter(name, "path", route.path_types.get(name, str)) for name in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    return [
        _parameter(field.encode_name, "query", field.type, required=field.required)
        for field in msgspec.structs.fields(route.query)
    ]


def _parameter(name: str, place: str, type_: Any, *, required: bool = True) -> dict[str, Any]:
    schema = schemas.of_parameter(type_, catalogue())
    told = {part: schema[part] for part in ("description",) if part in schema}
    rest = {part: value for part, value in schema.items() if part not in told}
    return {"name": name, "in": place, "required": required, **told, "schema": rest}
