"""A key's story: claim it, carry the request out, keep its answer; forget it after some days.

A claim is committed before anything is done, with the identifier under which it will be done. When
a process dies, at whatever point, the claim runs out. Whoever sends the request again then finds
the operation, and is answered from it; or that there is none, and there can be none, for the fence
(`ledger.fence`) lets no attempt commit that was overtaken. Then it is carried out anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import UNAVAILABLE, Database
from kpay.idempotency import store
from kpay.idempotency.model import HOLD, KEEP, Known, Stored
from kpay.ledger.fence import overtaken

_SWEEP_EVERY = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Keys:
    """The verbs of idempotency keys. One per process."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._swept: datetime | None = None

    async def claim(self, book: Book, key: str, fingerprint: bytes) -> Keyed | Stored:
        """The right to carry a request out, or the answer that it has had.

        Refuses: idempotency_key_reused, idempotency_in_progress.
        """
        now = self._clock.now()
        keyed = await store.claim(
            self._database, book, key, fingerprint, self._ids.uuid(), now=now, until=now + HOLD
        )
        if keyed is not None:
            return keyed
        return _answer_of(await store.find(self._database, book, key), fingerprint)

    async def keep(self, keyed: Keyed, answer: Stored) -> bool:
        """Record the answer; every later request with the key is given it. False when overtaken."""
        return await store.keep(self._database, keyed, answer)

    async def release(self, keyed: Keyed) -> None:
        """There was no answer: let the next attempt begin at once, if the database can be told."""
        try:
            await store.release(self._database, keyed, self._clock.now())
        except UNAVAILABLE as problem:
            # The claim runs out by itself.
            log.warning("key_not_released", problem=repr(problem))

    async def sweep(self, limit: int) -> int:
        """Forget up to `limit` keys that are old enough, now and then. Returns how many."""
        now = self._clock.now()
        if self._swept is not None and self._swept <= now < self._swept + _SWEEP_EVERY:
            return 0
        swept = await store.sweep(self._database, now - KEEP, limit)
        if swept < limit:
            self._swept = now
        return swept


def _answer_of(known: Known | None, fingerprint: bytes) -> Stored:
    """What a key that is not ours to carry out has been answered, if it was for this request."""
    if known is not None and known.fingerprint != fingerprint:
        raise Refusal(
            Code.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was sent before with another request: use a new key for a new "
            "request, and send the same bytes when it is the same.",
        )
    if known is None or known.answer is None:
        # Just forgotten, as old as it was, or just begun by somebody else.
        raise overtaken()
    return known.answer
