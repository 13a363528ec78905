"""Carries a request with an Idempotency-Key out once, and answers it however often it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog
from msgspec.structs import replace

from kpay.core.book import Book
from kpay.core.keyed import Keyed
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.core.routes import Call, Download, Reply, Route
from kpay.database.pool import UNAVAILABLE
from kpay.idempotency.flow import Keys
from kpay.idempotency.model import Stored, is_final
from kpay.ledger.fence import overtaken
from kpay.web.context import current_request
from kpay.web.errors import error_body, refusal_of

REPLAYED = (b"idempotency-replayed", b"true")

Make: TypeAlias = Callable[[Keyed], Awaitable[Reply | Download]]
Recall: TypeAlias = Callable[[Keyed], Awaitable[Reply | None]]
Encode: TypeAlias = Callable[[Any], bytes]

log = structlog.get_logger(__name__)


class Once:
    """Answers keyed requests; `encode` writes the body of a reply."""

    def __init__(self, keys: Keys, encode: Encode) -> None:
        self._keys = keys
        self._encode = encode

    async def answer(
        self, route: Route, call: Call, key: str, fingerprint: bytes
    ) -> tuple[Stored, bool]:
        """A route's answer, and whether it is of an earlier request. Raises Refusal, as it does."""
        recall = route.recall
        if recall is None:
            raise RuntimeError("a route that takes no Idempotency-Key was given one")
        return await self.carry_out(
            call.book,
            key,
            fingerprint,
            lambda keyed: route.handler(replace(call, keyed=keyed)),
            lambda keyed: recall(replace(call, keyed=keyed)),
        )

    async def carry_out(
        self, book: Book, key: str, fingerprint: bytes, make: Make, recall: Recall
    ) -> tuple[Stored, bool]:
        """What `make` answers, and whether it did so earlier. Raises what `make` refuses.

        `make` commits what it makes under the operation's identifier behind the fence, and `recall`
        answers from what was committed, as of a Route.
        """
        claimed = await self._keys.claim(book, key, fingerprint)
        if isinstance(claimed, Stored):
            return claimed, True
        # An earlier attempt may have got as far as to commit. None of them can any more.
        if claimed.attempt > 1:
            recalled = await self._recall(recall, claimed)
            if recalled is not None:
                return await self._keep(claimed, recalled), True
        return await self._keep(claimed, await self._make(make, claimed)), False

    async def _recall(self, recall: Recall, keyed: Keyed) -> Reply | None:
        try:
            return await recall(keyed)
        except Exception:
            # Whatever it was, nothing was carried out and nothing is known: the next one looks.
            await self._keys.release(keyed)
            raise

    async def _make(self, make: Make, keyed: Keyed) -> Reply:
        try:
            reply = await make(keyed)
            if not isinstance(reply, Reply):
                raise RuntimeError("a file is no answer that could be kept")
            return reply
        except Exception as problem:
            refusal = refusal_of(problem)
            if not is_final(refusal):
                # It may have been committed all the same: the next attempt looks first.
                await self._keys.release(keyed)
            else:
                await self._keep_refusal(keyed, refusal)
            raise refusal from problem

    async def _keep(self, keyed: Keyed, reply: Reply) -> Stored:
        answer = Stored(reply.status, self._encode(reply.body))
        try:
            await self._keys.keep(keyed, answer)
        except UNAVAILABLE as problem:
            # It was done and can be told. Who asks again is answered from what was committed.
            log.warning("answer_not_kept", problem=repr(problem))
        return answer

    async def _keep_refusal(self, keyed: Keyed, refusal: Refusal) -> None:
        """A refusal is told only when it is on record: otherwise a later attempt may succeed."""
        body = error_body(refusal, current_request.get() or "")
        try:
            kept = await self._keys.keep(keyed, Stored(ANSWERS[refusal.code].status, body))
        except UNAVAILABLE as problem:
            raise Refusal(
                Code.DATABASE_UNAVAILABLE,
                "The database cannot be reached: try again with the same Idempotency-Key.",
            ) from problem
        if not kept:
            raise overtaken()
