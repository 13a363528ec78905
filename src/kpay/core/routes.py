"""What an HTTP route is, as plain data: each noun's `api.py` declares its own, `web/` serves them.

A handler takes a `Call` and returns a `Reply`; it knows nothing of the server, of headers or of
status codes other than its own success. The same declaration makes the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from kpay.core.book import Book, Environment
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code


class Guard(Enum):
    """Who may call: anybody, a key pair (`/api/v1/payments/*`), or a token (`/api/wallets/*`)."""

    PUBLIC = "public"
    KEYS = "keys"
    TOKEN = "token"


class Principal(msgspec.Struct, frozen=True):
    """Who is calling: an application of a company, in the environment that its key picks."""

    key_id: UUID
    book: Book
    company_id: UUID
    api_key: str | None = None
    """The public half of the pair that was sent; a token does not say it."""
    address: str | None = None
    """Where the request with that pair came from, where that is known."""

    @property
    def environment(self) -> Environment:
        return self.book.environment


class Call(msgspec.Struct, frozen=True):
    """One request, authenticated and decoded. `body` and `query` are the route's own structs.

    `keyed` is there where the request carries an Idempotency-Key that its route takes.
    """

    caller: Principal | None
    body: Any
    query: Any
    path: Mapping[str, str]
    keyed: Keyed | None = None

    @property
    def principal(self) -> Principal:
        if self.caller is None:
            raise RuntimeError("a public route has no principal")
        return self.caller

    @property
    def book(self) -> Book:
        return self.principal.book


class Reply(msgspec.Struct, frozen=True):
    """A success: the bare resource, a struct or a list of them."""

    body: Any
    status: int = 200


class Example(msgspec.Struct, frozen=True):
    """One call as the document shows it: what is sent, if anything, and what is answered."""

    summary: str
    answer: Any
    body: Any = None


class Also(msgspec.Struct, frozen=True):
    """Another success that a route can have, with the same answer in another state."""

    status: int
    description: str
    examples: tuple[Example, ...] = ()


class Download(msgspec.Struct, frozen=True):
    """A success that is sent as it is made: a file of any length, in parts.

    What goes wrong before the first part is there is answered as for any route; afterwards the
    connection is broken off, so that no short file looks like a whole one. `file_name` is plain
    ASCII without quotes.
    """

    parts: AsyncGenerator[bytes, None]
    file_name: str


class Route(msgspec.Struct, frozen=True):
    """One route. `body`, `query` and `answer` are msgspec types; None where there is none.

    The handler's docstring describes it, `tag` is the chapter of the reference that it stands in,
    `path_types` are the annotated types of what stands in braces in the path, and `refuses` are the
    codes that it can be refused with beside those that follow from the rest of the declaration (see
    `refusals_of`). `media` is what a success is sent as; a route whose handler returns a Download
    says which.

    A route that has `recall` takes an Idempotency-Key. Its handler makes what it makes under
    `call.keyed.operation_id` and commits it behind the fence (`Poster.post(…, keyed)`, or
    `ledger.fence.hold` in a transaction of its own); `recall` answers, from what is committed, a
    request whose first answer was lost, or says None where nothing was.

    `also` is a further success, of another status.

    `also_counts` names a further quota that a request counts in, by its body; see `access.quota`.
    """

    method: str
    path: str
    summary: str
    guard: Guard
    handler: Callable[[Call], Awaitable[Reply | Download]]
    answer: Any
    status: int = 200
    body: Any = None
    query: Any = None
    body_optional: bool = False
    media: str = "application/json"
    examples: tuple[Example, ...] = ()
    tag: str = ""
    refuses: tuple[Code, ...] = ()
    path_types: Mapping[str, Any] = msgspec.field(default_factory=dict)
    recall: Callable[[Call], Awaitable[Reply | None]] | None = None
    also: Also | None = None
    also_counts: Callable[[Any], str | None] | None = None


# What follows from a declaration: who may call, what is read, that an Idempotency-Key is taken.
_OF_EVERY_ROUTE = (Code.INTERNAL,)
_OF_CALLERS = (Code.TOO_MANY_FAILURES, Code.RATE_LIMITED, Code.DATABASE_UNAVAILABLE)
_OF_GUARD = {
    Guard.PUBLIC: (),
    Guard.KEYS: (Code.INVALID_CREDENTIALS, *_OF_CALLERS),
    Guard.TOKEN: (Code.INVALID_TOKEN, *_OF_CALLERS),
}
_OF_BODY = (Code.MALFORMED_BODY, Code.INVALID_BODY, Code.BODY_TOO_SLOW, Code.BODY_TOO_LARGE)
_OF_QUERY = (Code.INVALID_PARAMETER,)
_OF_IDEMPOTENCY_KEY = (
    Code.INVALID_IDEMPOTENCY_KEY,
    Code.IDEMPOTENCY_IN_PROGRESS,
    Code.IDEMPOTENCY_KEY_REUSED,
)


def refusals_of(route: Route) -> frozenset[Code]:
    """Every code that a request to this route can be refused with, and no other."""
    return frozenset(
        (
            *_OF_EVERY_ROUTE,
            *_OF_GUARD[route.guard],
            *(_OF_BODY if route.body is not None else ()),
            *(_OF_QUERY if route.query is not None else ()),
            *(_OF_IDEMPOTENCY_KEY if route.recall is not None else ()),
            *route.refuses,
        )
    )
