"""JSON whose numbers stay what they are: no float stands between an amount and its digits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Beyond these, digits written out in full are a page of zeros rather than an amount.
_MOST_PLAIN_EXPONENT = 40


def loads(text: bytes) -> Any:
    """Read JSON: whole numbers as int, others as Decimal. Raises ValueError for anything else."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def dumps(value: object) -> bytes:
    """Write JSON: a Decimal as a number with exactly its digits.

    Raises TypeError for what JSON has no form for, ValueError for a number that is not finite.
    """
    return "".join(_parts(value)).encode()


def _parts(value: object) -> list[str]:
    if isinstance(value, Decimal):
        return [_number(value)]
    if isinstance(value, Mapping):
        members: list[str] = []
        for name, member in value.items():
            if not isinstance(name, str):
                raise TypeError(f"a name in JSON is text, not {name!r}")
            members += [",", json.dumps(name), ":", *_parts(member)]
        return ["{", *members[1:], "}"]
    if isinstance(value, list | tuple):
        items: list[str] = []
        for item in value:
            items += [",", *_parts(item)]
        return ["[", *items[1:], "]"]
    return [json.dumps(value, allow_nan=False)]


def _number(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is no number that JSON has")
    plain = value.is_zero() or abs(value.adjusted()) <= _MOST_PLAIN_EXPONENT
    return f"{value:f}" if plain else f"{value:E}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON has")
