"""Callbacks: whether one is pawaPay's own, and which of our references it is about.

What it says of the outcome is not believed, only that there is something to ask about: callbacks
repeat, overtake each other and may be forged, and a status check tells the same without all that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kpay.connectors.capabilities import Aside, Callback, Doubted, Heard, Judged, NotNow
from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.signatures import BadSignature, Message, PublicKey, public_key, verify
from kpay.connectors.wire import NoAnswer
from kpay.core.clock import Clock

_KEYS = "/v2/public-key/http"
_ID_FIELDS = ("depositId", "payoutId", "refundId")
_STATEMENT_FIELD = "statementId"
_COVERED = ("@method", "@authority", "@path", "content-digest")
# It sends one again for a quarter of an hour, perhaps under its first signature.
_OLDEST = timedelta(minutes=20)
# New keys are looked for when one is named that we do not know, and not for every such callback.
_KEYS_AGAIN_AFTER = timedelta(minutes=1)
# And once a day, so that one which was taken back is not believed for ever.
_KEYS_KEPT = timedelta(days=1)


class CallbackJudge:
    """Knows pawaPay's keys, as it publishes them."""

    def __init__(self, client: PawapayClient, clock: Clock, *, unsigned: bool) -> None:
        self._client = client
        self._clock = clock
        self._unsigned = unsigned
        self._keys: Mapping[str, PublicKey] = {}
        self._looked_at: datetime | None = None

    async def judge(self, callback: Callback) -> Judged:
        message = Message(callback.method, callback.url, callback.headers, callback.body)
        # Where the account does not sign its callbacks, one that claims a signature must have it.
        proved = not self._unsigned or "signature" in callback.headers
        if proved:
            key_id = message.key_id
            if key_id is None:
                return Doubted("it is not signed")
            try:
                key = await self._key(key_id)
            except NoAnswer as problem:
                return NotNow(f"the keys cannot be fetched: {problem}")
            if key is None:
                return Doubted("it is signed with a key that is not pawaPay's")
            try:
                verify(message, key, callback.received_at, required=_COVERED, oldest=_OLDEST)
            except BadSignature as problem:
                return Doubted(str(problem))
        told = _told(callback.body)
        reference = _uuid(told, *_ID_FIELDS)
        if reference is not None:
            return Heard(reference, proved)
        if _uuid(told, _STATEMENT_FIELD) is not None:
            # Whoever ordered it comes back for it.
            return Aside("it is about a statement")
        return Doubted("it names no operation")

    async def _key(self, key_id: str) -> PublicKey | None:
        now = self._clock.now()
        known = key_id in self._keys
        look_at = _KEYS_KEPT if known else _KEYS_AGAIN_AFTER
        if self._looked_at is None or now - self._looked_at >= look_at:
            try:
                self._keys = await self._fetch()
            except NoAnswer:
                # While none could be had at all, the next callback tries again.
                if not known:
                    raise
            self._looked_at = now
        return self._keys.get(key_id)

    async def _fetch(self) -> dict[str, PublicKey]:
        answer = await self._client.get(_KEYS)
        rows = answer.read()
        if answer.status != 200 or not isinstance(rows, list):
            raise NoAnswer(f"{_KEYS} answered {answer.status}")
        found = {}
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("id"), str):
                try:
                    found[row["id"]] = public_key(str(row.get("key")))
                except ValueError:
                    # A kind of key that we do not know: what it signs is then not believed.
                    continue
        return found


def _told(body: bytes) -> dict[str, Any]:
    """What a callback says; nothing where it is no JSON object."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _uuid(told: Mapping[str, Any], *fields: str) -> UUID | None:
    """The first of some fields that names something."""
    for field in fields:
        try:
            return UUID(told[field])
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
    return None
