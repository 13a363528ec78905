"""What a call is: one request as plain data, how its answer is read, and whose work that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

from kpay_client._reading import Unreadable, read

T = TypeVar("T")
C = TypeVar("C", bound="_Dated")

Amount: TypeAlias = Decimal | int

DRAWN_PREFIX = "kpay-client-"
"""How an externalId begins that this client drew because the caller gave none."""

# By how much the clocks of a server's machines, and of what stands before them, may differ.
_CLOCKS_APART = timedelta(seconds=30)
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]+\Z")


class Guard(Enum):
    """What a call shows of its caller: nothing, the key pair, or a token given for it."""

    PUBLIC = "public"
    KEYS = "keys"
    TOKEN = "token"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read.

    `write` is there where the request changes something. `own_application` asks for the keys' own
    application to be filled in as `applicationId`.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    guard: Guard = Guard.KEYS
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    write: Write[T] | None = None
    own_application: bool = False

    @property
    def address(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Write(Generic[T]):
    """What lets a request that changes something be sent again after its answer was lost.

    When the first one arrived, the second is refused with the code `refused_as`, and `look` builds
    the call that shows what exists, by the refusal's `existingId` or by `known_id`. `is_own` says
    whether that is the work of a call that began at the given moment of the server's clock.
    """

    refused_as: str
    look: Callable[[str], Call[T]]
    is_own: Callable[[T, datetime], bool]
    external_id: str | None = None
    known_id: str | None = None
    idempotency_key: str = field(default_factory=lambda: str(uuid4()))


class _Dated(Protocol):
    """What was created at some moment."""

    @property
    def created_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and the cursor of the next one."""

    data: list[T]
    next_cursor: str | None


def for_application(call: Call[T], application_id: str) -> Call[T]:
    """The call with the application that it asked to have filled in."""
    body = {"applicationId": application_id, **(call.body or {})}
    return replace(call, body=body, own_application=False)


def following(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    """The call for the page after this one, or None at the end."""
    if page.next_cursor is None:
        return None
    return replace(call, query={**call.query, "cursor": page.next_cursor})


def creation(
    external_id: str,
    drawn: bool,
    look: Callable[[str], Call[C]],
    is_same: Callable[[C], bool],
) -> Write[C]:
    """How a creation under an externalId is sent again.

    One that was drawn for this call can be nobody else's. The caller's own may have been used
    before, by mistake and for the very same thing: what is older than the call is not its work.
    """

    def is_own(found: C, began: datetime) -> bool:
        if drawn:
            return True
        made = found.created_at
        return is_same(found) and made is not None and made >= began - _CLOCKS_APART

    return Write("external_id_used", look, is_own, external_id=external_id)


def own_or_drawn(external_id: str | None) -> tuple[str, bool]:
    """The externalId that is sent, and whether it was drawn."""
    if external_id is None:
        return f"{DRAWN_PREFIX}{uuid4()}", True
    return external_id, False


# What was sent and is shown again as it was: the rest is the server's to word.
_COMPARED = (
    "provider",
    "sourceCountry",
    "destinationCountry",
    "description",
    "externalId",
    "ifDelayed",
    "queueMinutes",
)


def agrees(sent: Mapping[str, object], shown: Mapping[str, Any]) -> bool:
    """Whether what is shown is what was asked for, as far as both say."""
    if shown.get("amount") != sent["amount"]:
        return False
    if not _same(_digits(sent.get("phoneNumber")), _digits(shown.get("phoneNumber"))):
        return False
    return all(_same(sent.get(name), shown.get(name)) for name in _COMPARED)


def _same(sent: object, shown: object) -> bool:
    return sent is None or shown is None or sent == shown


def _digits(number: object) -> str | None:
    return None if number is None else re.sub(r"\D", "", str(number))


def get(path: str, shape: type[T], guard: Guard = Guard.KEYS) -> Call[T]:
    return Call("GET", path, one(shape), guard)


def listing(path: str, shape: type[T], guard: Guard, query: Mapping[str, object]) -> Call[Page[T]]:
    def read_page(value: Any) -> Page[T]:
        if not isinstance(value, dict):
            raise Unreadable("a page is expected")
        cursor = value.get("nextCursor")
        if not isinstance(cursor, str | None):
            raise Unreadable("nextCursor: text is expected")
        return Page(each(shape)(value.get("data")), cursor)

    given = {name: str(value) for name, value in query.items() if value is not None}
    return Call("GET", path, read_page, guard, query=given)


def one(shape: type[T]) -> Callable[[Any], T]:
    return lambda value: read(shape, value)


def each(shape: type[T]) -> Callable[[Any], list[T]]:
    def read_each(value: Any) -> list[T]:
        if not isinstance(value, list):
            raise Unreadable("a list is expected")
        return [read(shape, row) for row in value]

    return read_each


def narrowed(
    external_id: str | None,
    country: str | None,
    since: datetime | None,
    until: datetime | None,
    page_size: int | None,
) -> dict[str, object]:
    return {
        "externalId": external_id,
        "country": country,
        "from": None if since is None else _iso(since, "since"),
        "to": None if until is None else _iso(until, "until"),
        "limit": page_size,
    }


def _iso(moment: datetime, name: str) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{name} must have a zone, such as datetime.now(UTC)")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def exact(amount: Amount) -> Amount:
    """The amount, if it is exact. Raises TypeError for a float, ValueError for no number."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise TypeError(
            f"an amount is an int or a Decimal, not {type(amount).__name__}: a float cannot hold "
            "most amounts exactly"
        )
    if not Decimal(amount).is_finite():
        raise ValueError(f"an amount is a number, not {amount}")
    return amount


def safe(identifier: str) -> str:
    """An identifier as a part of a path. Raises ValueError for what would be another path."""
    if not _SAFE_ID.match(identifier):
        raise ValueError(f"{identifier!r} is no identifier of KPay's")
    return identifier


def given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
