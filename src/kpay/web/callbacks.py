"""Where rails call back, as plain ASGI beside the API.

    POST /callbacks/{connector}        of production
    POST /callbacks/test/{connector}   of the test environment

It answers as soon as what came is on disk, and does nothing else with it: 200 taken, 401 not the
rail's own, 503 send it again.
"""

from __future__ import annotations

import time

from kpay import metrics
from kpay.connectors.capabilities import Aside, Callback, Doubted, Heard, Judged, NotNow
from kpay.connectors.opening import CALLBACKS as PREFIX
from kpay.connectors.opening import callback_path
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.core.refusals import ANSWERS
from kpay.instructions.callbacks import Callbacks
from kpay.web.context import begin_request
from kpay.web.endpoint import Receive, Scope, Send
from kpay.web.errors import refusal_of
from kpay.web.pages import Answer, send_answer
from kpay.web.reading import read_body

_METHODS = ("POST", "PUT")


class CallbackDoor:
    """An ASGI application for every address under PREFIX."""

    def __init__(self, callbacks: Callbacks, clock: Clock, public_url: str) -> None:
        self._callbacks = callbacks
        self._clock = clock
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = begin_request()
        try:
            answer = await self._answer(scope, receive)
        except Exception as problem:
            # What it is about stays due as before: nothing is lost, and it is sent again.
            refusal = refusal_of(problem)
            metrics.refusals.labels(refusal.code).inc()
            answer = Answer(ANSWERS[refusal.code].status)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        measure = metrics.requests.labels(method, f"{PREFIX}{{connector}}", answer.status)
        measure.observe(time.perf_counter() - started)
        await send_answer(send, answer, request_id)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        found = _place(scope["path"])
        judge = None if found is None else self._callbacks.judge_of(*found)
        if found is None or judge is None:
            return Answer(404)
        if scope["method"] not in _METHODS:
            return Answer(405, headers=((b"allow", b", ".join(m.encode() for m in _METHODS)),))
        environment, name = found
        callback = Callback(
            method=scope["method"],
            url=f"{self._public_url}{callback_path(environment, name)}",
            headers=_headers(scope),
            body=await read_body(receive),
            received_at=self._clock.now(),
        )
        judged = await self._callbacks.take(environment, name, judge, callback)
        return Answer(_status(judged))


def _place(path: str) -> tuple[Environment, str] | None:
    parts = path.removeprefix(PREFIX).split("/")
    match parts:
        case [name]:
            return Environment.PRODUCTION, name
        case ["test", name]:
            return Environment.TEST, name
        case _:
            return None


def _headers(scope: Scope) -> dict[str, str]:
    """By their names; several of one name are one, as HTTP reads them."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _status(judged: Judged) -> int:
    match judged:
        case Heard() | Aside():
            return 200
        case Doubted():
            return 401
        case NotNow():
            return 503
