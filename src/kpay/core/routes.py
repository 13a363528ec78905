"""What an HTTP route is, as plain data: each noun's `api.py` declares its own, `web/` serves them.

A handler takes a `Call` and returns a `Reply`; it knows nothing of the server, of headers or of
status codes other than its own success. The same declaration makes the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from kpay.core.book import Book, Environment
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

    @property
    def environment(self) -> Environment:
        return self.book.environment


class Call(msgspec.Struct, frozen=True):
    """One request, authenticated and decoded. `body` and `query` are the route's own structs."""

    caller: Principal | None
    body: Any
    query: Any
    path: Mapping[str, str]

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


class Route(msgspec.Struct, frozen=True):
    """One route. `body`, `query` and `answer` are msgspec types; None where there is none.

    The handler's docstring describes it, `tag` is the chapter of the reference that it stands in,
    `path_types` are the annotated types of what stands in braces in the path, and `refuses` are the
    codes that it can be refused with beside those that follow from the rest of the declaration (see
    `refusals_of`).
    """

    method: str
    path: str
    summary: str
    guard: Guard
    handler: Callable[[Call], Awaitable[Reply]]
    answer: Any
    status: int = 200
    body: Any = None
    query: Any = None
    body_optional: bool = False
    examples: tuple[Example, ...] = ()
    tag: str = ""
    refuses: tuple[Code, ...] = ()
    path_types: Mapping[str, Any] = msgspec.field(default_factory=dict)


# What follows from a declaration: who may call, that a body or a query is read.
_OF_EVERY_ROUTE = (Code.INTERNAL,)
_OF_GUARD = {
    Guard.PUBLIC: (),
    Guard.KEYS: (Code.INVALID_CREDENTIALS, Code.TOO_MANY_FAILURES, Code.DATABASE_UNAVAILABLE),
    Guard.TOKEN: (Code.INVALID_TOKEN, Code.TOO_MANY_FAILURES, Code.DATABASE_UNAVAILABLE),
}
_OF_BODY = (Code.MALFORMED_BODY, Code.INVALID_BODY, Code.BODY_TOO_SLOW, Code.BODY_TOO_LARGE)
_OF_QUERY = (Code.INVALID_PARAMETER,)


def refusals_of(route: Route) -> frozenset[Code]:
    """Every code that a request to this route can be refused with, and no other."""
    return frozenset(
        (
            *_OF_EVERY_ROUTE,
            *_OF_GUARD[route.guard],
            *(_OF_BODY if route.body is not None else ()),
            *(_OF_QUERY if route.query is not None else ()),
            *route.refuses,
        )
    )
