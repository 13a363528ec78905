"""The field types that requests and answers share, as msgspec reads and documents them.

An amount is kept as the raw text of its JSON, so that no float ever stands between what the
merchant wrote and what the ledger holds; `core.money.read_amount` makes it exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from kpay.core.page import MOST, USUAL
from kpay.core.refusals import Code, Refusal

T = TypeVar("T")
R = TypeVar("R")

MOST_METADATA_BYTES = 4_096
_MOST_EXPONENT_DIGITS = 3

AmountJson: TypeAlias = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="A JSON number with at most two decimals, not in quotes.",
        examples=[10000],
        extra_json_schema={"type": "number", "exclusiveMinimum": 0},
    ),
]
MetadataJson: TypeAlias = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Any JSON object of yours, up to 4 kB, kept and given back as it is.",
        examples=[{"cart": "7c1e"}],
        extra_json_schema={"type": ["object", "null"]},
    ),
]
Number: TypeAlias = int | Decimal
# The catalogue, a floor above, knows which there are and how much may be moved: the document puts
# it in the place of these two words.
ENUM_OF = "enumOf"
BOUNDS_OF = "boundsOf"
PHONE_FORM = "Digits with the country's calling code; a + in front and spaces are passed over."
CountryCode: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        max_length=8,
        description="ISO 3166-1 alpha-3, such as CMR.",
        examples=["CMR"],
        extra_json_schema={ENUM_OF: "countries"},
    ),
]
ProviderCode: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        description="An operator in a country: MTN_MOMO_CMR.",
        examples=["MTN_MOMO_CMR"],
        extra_json_schema={ENUM_OF: "providers"},
    ),
]
PhoneNumber: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        max_length=32,
        description=PHONE_FORM,
        examples=["237653456789"],
    ),
]
ExternalId: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=255,
        description="Your own identifier of the operation. Used again it is a 409, so that a retry "
        "never moves money twice.",
        examples=["ORDER-1"],
    ),
]
ReturnUrl: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(
        description="Asks for the hosted page, and is where it leads back to with how it ended: a "
        "whole address of yours, https:// in production.",
        examples=["https://shop.example/paid"],
    ),
]
CancelUrl: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(
        description="With `returnUrl`: where the page leads back to when it was called off.",
        examples=["https://shop.example/basket"],
    ),
]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=1_000)]
ShortText: TypeAlias = Annotated[str, msgspec.Meta(max_length=255)]


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """Rows, newest first. `nextCursor` is null on the last page."""

    data: Annotated[list[T], msgspec.Meta(description="The rows of this page, newest first.")]
    next_cursor: Annotated[
        str | None,
        msgspec.Meta(description="Give it as `cursor` for the next page; null on the last one."),
    ]


# What lists are narrowed with.
ExternalIdFilter: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(description="Only what has this `externalId` of yours.", examples=["ORDER-1"]),
]
CountryFilter: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(
        description="Only this country's, ISO 3166-1 alpha-3.",
        examples=["CMR"],
        extra_json_schema={ENUM_OF: "countries"},
    ),
]
ProviderFilter: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(
        description="Only this operator's.",
        examples=["MTN_MOMO_CMR"],
        extra_json_schema={ENUM_OF: "providers"},
    ),
]
Since: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(
        description="Only what was made then or later. A date is its first moment, UTC.",
        examples=["2026-06-01T00:00:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Until: TypeAlias = Annotated[
    str | None,
    msgspec.Meta(
        description="Only what was made before then. A date is a whole day in UTC, all of it in.",
        examples=["2026-07-01T00:00:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Cursor: TypeAlias = Annotated[
    str | None, msgspec.Meta(description="The `nextCursor` of the page before, unchanged.")
]
Limit: TypeAlias = Annotated[
    int | None,
    msgspec.Meta(
        description=f"How many rows a page has; {USUAL} unless it is given.",
        examples=[USUAL],
        extra_json_schema={"minimum": 1, "maximum": MOST, "default": USUAL},
    ),
]
Bom: TypeAlias = Annotated[
    bool,
    msgspec.Meta(
        description="Whether the file begins with the mark by which Excel knows UTF-8.",
        examples=[True],
    ),
]


def page_of(
    rows: Sequence[R], limit: int, show: Callable[[R], T], cursor: Callable[[R], str]
) -> Page[T]:
    """A page made from one row more than it holds, which tells that there is another page."""
    shown = rows[:limit]
    return Page([show(row) for row in shown], cursor(shown[-1]) if len(rows) > limit else None)


def read_cursor(text: str | None, parse: Callable[[str], UUID | None]) -> UUID | None:
    """The row that a cursor stands for. Refuses: invalid_parameter."""
    if text is None:
        return None
    found = parse(text)
    if found is None:
        raise Refusal(
            Code.INVALID_PARAMETER, "cursor must be the nextCursor of the page before, unchanged."
        )
    return found


def json_text(raw: msgspec.Raw) -> str:
    """The text of a raw JSON value."""
    return bytes(raw).decode()


def no_metadata() -> msgspec.Raw:
    """What a request without metadata is read as."""
    return msgspec.Raw(b"null")


def metadata_text(raw: msgspec.Raw) -> str | None:
    """The merchant's own object as it was sent. Refuses: invalid_body."""
    text = json_text(raw)
    if text == "null":
        return None
    try:
        # Read once though it is kept as text: what PostgreSQL cannot hold must be refused here.
        _metadata.decode(text)
    except (msgspec.DecodeError, RecursionError):
        text = ""
    if not text or len(text) > MOST_METADATA_BYTES:
        raise Refusal(
            Code.INVALID_BODY,
            f"metadata must be a JSON object of at most {MOST_METADATA_BYTES} bytes, without "
            "numbers such as 1e999.",
        )
    return text


def _usual_float(text: str) -> float:
    """A number that every program can hold: PostgreSQL, for one, cannot hold 1e-99999."""
    _, _, exponent = text.lower().partition("e")
    if len(exponent.lstrip("+-0")) > _MOST_EXPONENT_DIGITS or math.isinf(float(text)):
        raise ValueError("a number is too large or too small")
    return float(text)


_metadata = msgspec.json.Decoder(dict[str, Any], float_hook=_usual_float)


def shown_metadata(text: str | None) -> Any:
    """The merchant's object in an answer: its own JSON, or null."""
    return None if text is None else msgspec.Raw(text.encode())
