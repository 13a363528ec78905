"""The OpenAPI 3.1 document, made from the same declarations that serve the routes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kpay import __version__
from kpay.core.routes import Guard, Route
from kpay.web.errors import ErrorAnswer

_SECURITY: dict[Guard, list[dict[str, list[str]]]] = {
    Guard.PUBLIC: [],
    Guard.KEYS: [{"apiKey": [], "secretKey": []}],
    Guard.TOKEN: [{"token": []}],
}

_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "secretKey": {"type": "apiKey", "in": "header", "name": "X-Secret-Key"},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}

_REF = "#/components/schemas/{name}"


def document(routes: Sequence[Route], public_url: str) -> bytes:
    """The whole document as JSON."""
    types = [type_ for route in routes for type_ in (route.body, route.answer) if type_ is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorAnswer], ref_template=_REF, schema_hook=_schema
    )
    schemas, components = _with_numbers(schemas), _with_numbers(components)
    of_type = {id(type_): schema for type_, schema in zip(types, schemas, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        links = _links(route, routes)
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, of_type, links)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "KPay", "version": __version__},
            "servers": [{"url": public_url}],
            "paths": paths,
            "components": {"schemas": components, "securitySchemes": _SCHEMES},
        }
    )


def _schema(type_: Any) -> dict[str, Any]:
    """Types that msgspec leaves to us: raw JSON is any JSON."""
    if type_ is msgspec.Raw:
        return {}
    # How msgspec is told that a type is not one of ours either.
    raise NotImplementedError


# msgspec documents a Decimal as text, its usual form; our answers write it as a number.
_DECIMAL = {"type": "string", "format": "decimal"}
_WHOLE = {"type": "integer"}


def _with_numbers(schema: Any) -> Any:
    """The same schemas with every Decimal, and every whole number or Decimal, as a number."""
    if isinstance(schema, list | tuple):
        return [_with_numbers(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema == _DECIMAL or schema.get("anyOf") == [_WHOLE, _DECIMAL]:
        return {"type": "number"}
    return {name: _with_numbers(part) for name, part in schema.items()}


def _operation(
    route: Route, of_type: Mapping[int, Any], links: Mapping[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "security": _SECURITY[route.guard],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            str(route.status): {
                "description": "Done.",
                "content": {"application/json": {"schema": of_type[id(route.answer)]}},
            },
            "default": {
                "description": "Refused: `code` says why, `message` what to change.",
                "content": {
                    "application/json": {"schema": {"$ref": _REF.format(name="ErrorAnswer")}}
                },
            },
        },
    }
    if links:
        operation["responses"][str(route.status)]["links"] = links
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": of_type[id(route.body)]}},
        }
    return operation


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
        _operation_id(route): {
            "operationId": _operation_id(route),
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


def _operation_id(route: Route) -> str:
    words = re.split(r"[^a-z0-9]+", route.path.lower())
    return "_".join([route.method.lower(), *(word for word in words if word)])


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in route.path.split("/")
        if part.startswith("{")
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    _, components = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": part,
        }
        for name, part in schema["properties"].items()
    ]
