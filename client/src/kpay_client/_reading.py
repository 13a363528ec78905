"""From an answer's JSON to its dataclass: the fields' own types say how each is read."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Reader = Callable[[Any], Any]

RAW = "raw"
"""The field that keeps the whole answer, with what this version does not know of it."""
NAME = "json"
"""The key in a field's metadata of its name in JSON, where that is not its own in camelCase."""


class Unreadable(ValueError):
    """An answer that is not of the shape it has to be."""


def read(shape: type[T], value: Any) -> T:
    """An answer as `shape`, a dataclass. Raises Unreadable, naming the field.

    What the shape does not know is no error: it stays in `raw`.
    """
    hint: Any = shape
    reader: Callable[[Any], T] = _reader(hint)
    return reader(value)


@cache
def _reader(hint: Hashable) -> Reader:
    if hint in _PLAIN:
        return _PLAIN[hint]
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(typing.cast("type[Any]", hint))
    if isinstance(hint, types.UnionType):
        present = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        return _optional(_reader(present[0]))
    if typing.get_origin(hint) is tuple:
        return _tuple(_reader(typing.get_args(hint)[0]))
    raise TypeError(f"nothing reads {hint}")


def _dataclass_reader(shape: type[Any]) -> Reader:
    hints = typing.get_type_hints(shape)
    fields = [
        (field.name, field.metadata.get(NAME, _camel(field.name)), _reader(hints[field.name]))
        for field in dataclasses.fields(shape)
        if field.name != RAW
    ]

    def make(value: Any) -> Any:
        found = _object(value)
        arguments = {}
        for name, member, reader in fields:
            try:
                arguments[name] = reader(found.get(member))
            except Unreadable as problem:
                raise Unreadable(f"{member}: {problem}") from None
        return shape(**arguments, raw=found)

    return make


def _optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _tuple(reader: Reader) -> Reader:
    def read_each(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Unreadable(f"a list is expected, not {_short(value)}")
        return tuple(map(reader, value))

    return read_each


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"an object is expected, not {_short(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"text is expected, not {_short(value)}")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unreadable(f"true or false is expected, not {_short(value)}")
    return value


def _decimal(value: Any) -> Decimal:
    """A number, or the text of one: a rate with all its digits comes as text."""
    if isinstance(value, Decimal | int | str) and not isinstance(value, bool):
        try:
            number = Decimal(value)
        except ArithmeticError:
            raise Unreadable(f"a number is expected, not {_short(value)}") from None
        if number.is_finite():
            return number
    raise Unreadable(f"a number is expected, not {_short(value)}")


def _integer(value: Any) -> int:
    number = _decimal(value)
    if isinstance(value, str) or number != number.to_integral_value():
        raise Unreadable(f"a whole number is expected, not {_short(value)}")
    return int(number)


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        raise Unreadable(f"a moment is expected, not {_short(value)}") from None
    if moment.tzinfo is None:
        raise Unreadable(f"a moment with its zone is expected, not {_short(value)}")
    return moment


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_PLAIN: Mapping[Any, Reader] = {
    str: _text,
    bool: _boolean,
    Decimal: _decimal,
    int: _integer,
    datetime: _moment,
    Any: lambda value: value,
}
