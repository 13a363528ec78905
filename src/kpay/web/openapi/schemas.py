"""JSON Schema of our types: msgspec's own, put into the words of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from kpay.catalogue.model import Catalogue, OperationType
from kpay.core.fields import BOUNDS_OF, ENUM_OF

Schema: TypeAlias = dict[str, Any]

REF = "#/components/schemas/{name}"

# msgspec documents a Decimal as text, its usual form; our answers write it as a number.
_DECIMAL = {"type": "string", "format": "decimal"}
_WHOLE = {"type": "integer"}
_NULL = {"type": "null"}


def described(types: Iterable[Any], world: Catalogue) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each type, and the components that they refer to."""
    schemas, components = msgspec.json.schema_components(
        types, ref_template=REF, schema_hook=_raw_json
    )
    return [_mended(schema, world) for schema in schemas], _mended(components, world)


def of_parameter(type_: Any, world: Catalogue) -> Schema:
    """The schema of one parameter's type: where it stands, nothing can be null."""
    (schema,), _ = described([type_], world)
    return without_null(schema)


def without_null(schema: Schema) -> Schema:
    """The same schema for text that is there or is not."""
    types = schema.get("type")
    if not isinstance(types, list):
        return schema
    rest = [name for name in types if name != "null"]
    kept = {**schema, "type": rest[0] if len(rest) == 1 else rest}
    if "enum" in kept:
        kept["enum"] = [value for value in kept["enum"] if value is not None]
    return kept


def _raw_json(type_: Any) -> Schema:
    """Types that msgspec leaves to us: raw JSON is any JSON."""
    if type_ is msgspec.Raw:
        return {}
    # How msgspec is told that a type is not one of ours either.
    raise NotImplementedError


def _mended(schema: Any, world: Catalogue) -> Any:
    """The same, with numbers as numbers, null beside its type, and what the catalogue knows."""
    if isinstance(schema, list | tuple):
        return [_mended(part, world) for part in schema]
    if not isinstance(schema, dict):
        return schema
    mended = {name: _mended(part, world) for name, part in schema.items()}
    mended = _with_number(mended)
    mended = _with_null(mended)
    return _with_catalogue(mended, world)


def _with_number(schema: Schema) -> Schema:
    """A Decimal, and a whole number or a Decimal, as a number."""
    rest = {name: part for name, part in schema.items() if name != "anyOf"}
    among = schema.get("anyOf")
    if schema == _DECIMAL:
        return {"type": "number"}
    if among is not None and _WHOLE in among and {"type": "number"} in among:
        others = [part for part in among if part not in (_WHOLE, {"type": "number"})]
        if not others:
            return {**rest, "type": "number"}
        return {**rest, "anyOf": [{"type": "number"}, *others]}
    return schema


def _with_null(schema: Schema) -> Schema:
    """`string or null` in one, with its description; a default of null goes without saying."""
    if "default" in schema and schema["default"] is None:
        schema = {name: part for name, part in schema.items() if name != "default"}
    among = schema.get("anyOf")
    if among is None or len(among) != 2 or among[1] != _NULL or "type" not in among[0]:
        return schema
    rest = {name: part for name, part in schema.items() if name != "anyOf"}
    merged = {**among[0], **rest, "type": [among[0]["type"], "null"]}
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged


def _with_catalogue(schema: Schema, world: Catalogue) -> Schema:
    if ENUM_OF in schema:
        # Where every value is listed, a bound on their length says nothing more.
        left_out = (ENUM_OF, "maxLength")
        rest = {name: part for name, part in schema.items() if name not in left_out}
        null = [None] if "null" in schema["type"] else []
        schema = {**rest, "enum": [*_listed(world)[schema[ENUM_OF]], *null]}
    if BOUNDS_OF in schema:
        rest = {name: part for name, part in schema.items() if name != BOUNDS_OF}
        bounds = _bounds(OperationType(schema[BOUNDS_OF]), world)
        schema = {**rest, "description": f"{schema['description']} {bounds}"}
    return schema


def _listed(world: Catalogue) -> Mapping[str, list[str]]:
    currencies = {country.currency for country in world.countries.values()}
    return {
        "countries": list(world.countries),
        "providers": sorted(world.providers),
        "currencies": sorted(currencies),
    }


def _bounds(operation: OperationType, world: Catalogue) -> str:
    """The usual bounds in words: an application may have others, so no schema can hold them."""
    each = ", ".join(
        f"{currency} {limits.least.number:,} to {limits.most.number:,}"
        for (of, currency), limits in world.limits.items()
        if of is operation
    )
    return f"Unless the application has agreed on other bounds: {each}."
