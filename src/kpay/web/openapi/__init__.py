"""The OpenAPI 3.1 document, made from the same declarations that serve the routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kpay import __version__
from kpay.catalogue.data import catalogue
from kpay.core.routes import Route, refusals_of
from kpay.web.errors import ErrorAnswer
from kpay.web.openapi import operations, refusals, schemas, webhooks
from kpay.web.openapi.words import ABOUT, SECURITY_SCHEMES, TAGS

_encoder = msgspec.json.Encoder(decimal_format="number")


def document(routes: Sequence[Route], public_url: str) -> bytes:
    """The whole document as JSON."""
    types = [type_ for route in routes for type_ in (route.body, route.answer) if type_ is not None]
    of_types, components = schemas.described([*types, ErrorAnswer, webhooks.BODY], catalogue())
    of_type = {id(type_): schema for type_, schema in zip(types, of_types, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        made = operations.operation(route, routes, of_type)
        paths.setdefault(route.path, {})[route.method.lower()] = made
    codes = frozenset[Any]().union(*map(refusals_of, routes))
    used = {route.tag for route in routes} | {webhooks.TAG}
    return _encoder.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "KPay", "version": __version__, "description": ABOUT},
            "servers": [{"url": public_url}],
            "tags": [
                {"name": name, "description": text} for name, text in TAGS.items() if name in used
            ],
            "paths": paths,
            "webhooks": webhooks.operations(of_types[-1]),
            "components": {
                "schemas": components,
                "headers": refusals.HEADERS,
                "examples": refusals.examples(codes),
                "securitySchemes": SECURITY_SCHEMES,
            },
        }
    )
