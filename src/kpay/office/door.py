"""Where the operator's own programs read what waits for a person, as plain ASGI beside the API.

    GET /office/reconciliation        wallets against our books, open breaks, days not finished
    GET /office/breaks                open breaks; ?all=true those that are closed or awaited too
    GET /office/breaks/{id}           one, with the rail's lines
    GET /office/contradictions        open ones; ?all=true those that were settled too

One token of the operator's opens all of it, and all that it does is read: what is closed or settled
is so by a person who says why (the back office, the commands). Without a token nothing is here.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from kpay import metrics
from kpay.access.throttle import Throttle
from kpay.contradictions.flow import Contradictions
from kpay.core.clock import Clock
from kpay.core.ids import parse_public_id
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.office.report import read_report
from kpay.office.shapes import shown_break, shown_contradiction, shown_line, shown_report
from kpay.reconciliation.breaks import PREFIX as BREAK
from kpay.reconciliation.breaks import Breaks
from kpay.web.address import Addresses
from kpay.web.context import begin_request
from kpay.web.endpoint import Receive, Scope, Send, write_json
from kpay.web.errors import error_answer, refusal_of
from kpay.web.reading import read_query

PREFIX = "/office/"


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    all: bool = False


class OfficeDoor:
    """An ASGI application for every address under PREFIX."""

    def __init__(
        self,
        token: str | None,
        database: Database,
        breaks: Breaks,
        contradictions: Contradictions,
        addresses: Addresses,
        clock: Clock,
    ) -> None:
        self._token = token
        self._database = database
        self._breaks = breaks
        self._contradictions = contradictions
        self._addresses = addresses
        self._clock = clock
        self._throttle = Throttle()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = begin_request()
        headers: list[tuple[bytes, bytes]] = []
        try:
            status, body = 200, msgspec.json.encode(await self._answer(scope))
        except Exception as problem:
            status, body, headers = error_answer(refusal_of(problem), request_id)
        method = scope["method"] if scope["method"] == "GET" else "other"
        measure = metrics.requests.labels(method, f"{PREFIX}{{what}}", status)
        measure.observe(time.perf_counter() - started)
        await write_json(send, status, body, request_id, headers)

    async def _answer(self, scope: Scope) -> Any:
        self._authenticate(scope)
        if scope["method"] != "GET":
            raise Refusal(Code.METHOD_NOT_ALLOWED, "The office is read with GET.", allow=("GET",))
        match scope["path"].removeprefix(PREFIX).split("/"):
            case ["reconciliation"]:
                return shown_report(await read_report(self._database, self._breaks))
            case ["breaks"]:
                found = await self._breaks.list(open_only=not _every(scope))
                return {"breaks": [shown_break(one) for one in found]}
            case ["breaks", identifier]:
                return await self._break(identifier)
            case ["contradictions"]:
                told = await self._contradictions.list(open_only=not _every(scope))
                return {"contradictions": [shown_contradiction(one) for one in told]}
            case _:
                raise _nothing_here()

    async def _break(self, text: str) -> dict[str, Any]:
        identifier = parse_public_id(BREAK, text)
        if identifier is None:
            raise Refusal(Code.NOT_FOUND, f"The id of a break begins with {BREAK}_.")
        found, lines = await self._breaks.get(identifier)
        return shown_break(found) | {"lines": [shown_line(line) for line in lines]}

    def _authenticate(self, scope: Scope) -> None:
        """Refuses: not_found where there is no token, invalid_token, too_many_failures."""
        if self._token is None:
            raise _nothing_here()
        address, now = self._addresses.of(scope), self._clock.now()
        self._throttle.admit(address, "", now)
        if not hmac.compare_digest(_bearer(scope), self._token.encode()):
            refusal = Refusal(
                Code.INVALID_TOKEN,
                "Send Authorization: Bearer with the token of KPAY_OFFICE_TOKEN.",
            )
            raise self._throttle.wrong(address, "", now, refusal)


def _bearer(scope: Mapping[str, Any]) -> bytes:
    given = dict(scope["headers"]).get(b"authorization", b"")
    scheme, _, token = given.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _every(scope: Scope) -> bool:
    query: _Query = read_query(_Query, scope["query_string"])
    return query.all


def _nothing_here() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is nothing here: see docs/reconciliation.md.")
