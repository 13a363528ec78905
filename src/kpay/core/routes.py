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
from kpay.core.keyed import Keyed


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


class Route(msgspec.Struct, frozen=True):
    """One route. `body`, `query` and `answer` are msgspec types; None where there is none.

    A route that has `recall` takes an Idempotency-Key. Its handler makes what it makes under
    `call.keyed.operation_id` and commits it behind the fence (`Poster.post(…, keyed)`, or
    `ledger.fence.hold` in a transaction of its own); `recall` answers, from what is committed, a
    request whose first answer was lost, or says None where nothing was.

    `also_counts` names a further quota that a request counts in, by its body; see `access.quota`.
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
    examples: Mapping[str, Any] = msgspec.field(default_factory=dict)
    recall: Callable[[Call], Awaitable[Reply | None]] | None = None
    also_counts: Callable[[Any], str | None] | None = None
