"""What rails call back with: judged, kept as it came, and what it is about is asked at once.

A callback decides nothing. It makes its instruction due now, and the status check that follows is
the one source of the outcome: so it does no harm to hear one twice, late, out of order, or in
contradiction to another. About what has ended, or went on elsewhere, it is an *inquiry*: a check
that can only find a contradiction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

import structlog

from kpay import metrics
from kpay.connectors.capabilities import (
    Aside,
    Callback,
    Doubted,
    Heard,
    Judged,
    JudgesCallbacks,
    NotNow,
)
from kpay.connectors.routing import Routing
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.database.pool import Database
from kpay.instructions.inquiries import ASKED_AFTER
from kpay.instructions.model import ASKED_AGAIN_AFTER
from kpay.instructions.store import clear_callbacks, hear

KEPT = timedelta(days=90)
# Of what a rail sends along, what its signature is made of; nobody's cookies or addresses.
_HEADERS_KEPT = (
    "content-type",
    "content-digest",
    "signature",
    "signature-date",
    "signature-input",
)

log = structlog.get_logger(__name__)


class Callbacks:
    """Takes callbacks of every rail that can tell its own."""

    def __init__(
        self,
        database: Database,
        routing: Routing,
        clock: Clock,
        something_due: Callable[[], None],
    ) -> None:
        self._database = database
        self._routing = routing
        self._clock = clock
        self._something_due = something_due

    def judge_of(self, environment: Environment, name: str) -> JudgesCallbacks | None:
        """The connector whose callbacks come to this place, if there is one."""
        connector = self._routing.named(environment, name)
        if connector is None or not isinstance(connector, JudgesCallbacks):
            return None
        return connector

    async def take(
        self, environment: Environment, name: str, judge: JudgesCallbacks, callback: Callback
    ) -> Judged:
        """What came of it. When it was heard, it is on disk.

        Only what is known to be the rail's is kept: otherwise anybody could fill the table.
        """
        judged = await judge.judge(callback)
        metrics.rail_callbacks.labels(name, _found(judged)).inc()
        if isinstance(judged, Heard):
            hastened = await hear(
                self._database,
                environment,
                name,
                digest=_digest(callback),
                reference=judged.reference,
                headers=json.dumps(_kept(callback)),
                body=callback.body,
                received_at=callback.received_at,
                proved=judged.proved,
                inquire_at=callback.received_at + ASKED_AFTER,
                inquire_again_after=ASKED_AGAIN_AFTER,
            )
            if hastened:
                self._something_due()
        elif not isinstance(judged, Aside):
            log.warning("rail_callback_not_taken", connector=name, why=judged.why)
        return judged

    async def clear_away(self, limit: int) -> int:
        """Take away up to `limit` of those that were kept long enough. Returns how many."""
        return await clear_callbacks(self._database, self._clock.now() - KEPT, limit)


def _found(judged: Judged) -> str:
    match judged:
        case Heard():
            return "heard"
        case Aside():
            return "aside"
        case Doubted():
            return "doubted"
        case NotNow():
            return "not_now"


def _kept(callback: Callback) -> dict[str, str]:
    return {
        name: callback.headers[name].replace("\0", "\ufffd")
        for name in _HEADERS_KEPT
        if name in callback.headers
    }


def _digest(callback: Callback) -> bytes:
    """Names a callback: sent again word for word, it is the same one."""
    signed = callback.headers.get("signature-input", "")
    return hashlib.sha256(signed.encode() + b"\0" + callback.body).digest()
