"""A request that carries an Idempotency-Key, and the right of one attempt to carry it out."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kpay.core.book import Book


class Keyed(msgspec.Struct, frozen=True):
    """One attempt at a request with an Idempotency-Key. `book` is the caller's own.

    What the request makes is made under `operation_id`, which every attempt of the key shares. Only
    the last attempt may commit it: `ledger.fence` holds that, in the transaction that does.
    """

    book: Book
    key: str
    attempt: int
    operation_id: UUID
