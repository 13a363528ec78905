"""Reads what a request carries into its route's types, or refuses with what to change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from kpay.core.refusals import Code, Refusal
from kpay.web.patience import Patience

MOST_BODY_BYTES = 65_536
BODY_WITHIN_SECONDS = 10

_patience = Patience(
    BODY_WITHIN_SECONDS,
    Refusal(Code.BODY_TOO_SLOW, f"The body must arrive within {BODY_WITHIN_SECONDS} seconds."),
)

# A complaint may quote what was sent; it need not quote all of it.
_MOST_SHOWN = 200


async def read_body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    """The whole body. Refuses: body_too_large, body_too_slow."""
    return await _patience.wait(_whole_body(receive))


async def _whole_body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks = [body]
        size = len(body)
        while message.get("more_body") and size <= MOST_BODY_BYTES:
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        body = b"".join(chunks)
    if len(body) > MOST_BODY_BYTES:
        raise Refusal(Code.BODY_TOO_LARGE, f"The body must be under {MOST_BODY_BYTES:,} bytes.")
    return body


class BodyReader:
    """Decodes one route's JSON body."""

    def __init__(self, type_: Any, *, optional: bool) -> None:
        self._type = type_
        self._decoder = msgspec.json.Decoder(type_)
        self._optional = optional
        self._names = [f'"{field.encode_name}"'.encode() for field in msgspec.structs.fields(type_)]

    def read(self, body: bytes) -> Any:
        """The body as the route's type. Refuses: malformed_body, invalid_body."""
        if not body:
            if self._optional:
                return self._type()
            raise Refusal(Code.MALFORMED_BODY, "The body is empty: send a JSON object.")
        try:
            # The decoder passes over raw values unread, so the whole is looked at here.
            body.decode()
            decoded = self._decoder.decode(body)
        except msgspec.ValidationError as problem:
            raise Refusal(Code.INVALID_BODY, self._explain(body, str(problem))) from problem
        except msgspec.DecodeError as problem:
            raise Refusal(
                Code.MALFORMED_BODY, f"The body is not well-formed JSON: {problem}."
            ) from problem
        except UnicodeDecodeError as problem:
            raise Refusal(Code.MALFORMED_BODY, "The body must be JSON in UTF-8.") from problem
        except RecursionError as problem:
            raise Refusal(Code.MALFORMED_BODY, "The body is nested too deeply.") from problem
        self._check_no_field_twice(body)
        if b"\\u0000" in body:
            raise Refusal(Code.INVALID_BODY, "Text must not contain the NUL character, \\u0000.")
        return decoded

    def _check_no_field_twice(self, body: bytes) -> None:
        """Of two amounts nobody could say which was meant. Refuses: malformed_body."""
        # Counting is cheap and nearly always enough: a name has one spelling without an escape.
        if b"\\u" not in body:
            for name in self._names:
                if body.count(name) > 1:
                    break
            else:
                return
        try:
            members = json.loads(body, object_pairs_hook=list, parse_int=str, parse_float=str)
        except RecursionError as problem:
            raise Refusal(Code.MALFORMED_BODY, "The body is nested too deeply.") from problem
        twice = [name for name, count in Counter(name for name, _ in members).items() if count > 1]
        if twice:
            raise Refusal(
                Code.MALFORMED_BODY, f"A field is given more than once: {', '.join(twice)}."
            )

    def _explain(self, body: bytes, problem: str) -> str:
        """What to change, all at once where fields are unknown or missing."""
        try:
            given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, RecursionError):
            return "The body must be a JSON object."
        fields = msgspec.structs.fields(self._type)
        known = [field.encode_name for field in fields]
        unknown = [name for name in given if name not in known]
        if unknown:
            names = ", ".join(name[:50] for name in unknown[:10])
            return f"Unknown field: {names}. The fields are {', '.join(known) or 'none'}."
        missing = [
            field.encode_name
            for field in fields
            if field.required and field.encode_name not in given
        ]
        if missing:
            return f"Missing field: {', '.join(missing)}."
        return f"A field is not as documented: {problem[:_MOST_SHOWN]}."


def read_query(type_: Any, query_string: bytes) -> Any:
    """The query as the route's type. Refuses: invalid_parameter."""
    given = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    pairs = dict(given)
    if len(pairs) < len(given):
        twice = [name for name, count in Counter(name for name, _ in given).items() if count > 1]
        shown = ", ".join(name[:50] for name in twice[:10])
        raise Refusal(Code.INVALID_PARAMETER, f"A parameter is given more than once: {shown}.")
    if any("\x00" in text for pair in pairs.items() for text in pair):
        raise Refusal(Code.INVALID_PARAMETER, "A parameter must not contain the NUL character.")
    fields = msgspec.structs.fields(type_)
    try:
        query = msgspec.convert(pairs, type_, strict=False)
    except msgspec.ValidationError as problem:
        names = [field.encode_name for field in fields]
        raise Refusal(
            Code.INVALID_PARAMETER, f"{problem}. The parameters are {', '.join(names)}."
        ) from problem
    for field in fields:
        # The decoder takes the word null for nothing where a number is wanted; it is no number.
        if field.encode_name in pairs and getattr(query, field.name) is None:
            raise Refusal(Code.INVALID_PARAMETER, f"{field.encode_name} must not be null.")
    return query
