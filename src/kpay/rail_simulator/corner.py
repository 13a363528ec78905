"""The operator's corner, /simulator: what the wire does not show, and a hand on what goes wrong.

A test or a soak compares its own journal with `books` and `operations`, and steers with the rest.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import msgspec
from aiohttp import web

from kpay.catalogue.model import OperationType
from kpay.core.clock import Clock, ManualClock, iso
from kpay.core.money import Money, rail_text
from kpay.rail_simulator.account import Availability
from kpay.rail_simulator.agenda import Agenda
from kpay.rail_simulator.books import Status
from kpay.rail_simulator.callbacks import Delivery
from kpay.rail_simulator.lives import Life
from kpay.rail_simulator.misbehaviour import FAILURES, Plan
from kpay.rail_simulator.rail import Rail
from kpay.rail_simulator.scenario import ScenarioError, read_scenario
from kpay.rail_simulator.wire import Fault, invalid, transaction_id

_USUAL_LIMIT = 1_000
_MOST_SECONDS = 10_000_000


class _Availability(msgspec.Struct, forbid_unknown_fields=True):
    provider: str
    status: Availability
    operation: OperationType | None = None


class _End(msgspec.Struct, forbid_unknown_fields=True):
    """Which one ends, or every open one where no id is given; failed where a code is given."""

    operation: OperationType | None = None
    id: str | None = None
    failureCode: str | None = None  # noqa: N815  as on the wire


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    seconds: int


class Corner:
    """The routes of one simulator."""

    def __init__(self, rail: Rail, agenda: Agenda, clock: Clock) -> None:
        self._rail = rail
        self._agenda = agenda
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/simulator/books", self._books)
        add("GET", "/simulator/operations", self._operations)
        add("GET", "/simulator/received", self._received)
        add("GET", "/simulator/callbacks", self._callbacks)
        add("POST", "/simulator/availability", self._availability)
        add("POST", "/simulator/scenario", self._scenario)
        add("POST", "/simulator/end", self._end)
        add("POST", "/simulator/advance", self._advance)

    async def _books(self, _request: web.Request) -> web.StreamResponse:
        """Wallets, counts, and whatever does not add up."""
        books = self._rail.books
        paid = Counter(
            life.operation.order.client_reference
            for life in self._rail.lives.all.values()
            if life.operation.status is Status.COMPLETED
            and life.operation.order.type is OperationType.PAYOUT
            and life.operation.order.client_reference is not None
        )
        return _json(
            {
                "unsound": list(books.unsound()),
                "wallets": [
                    {
                        "country": place.country,
                        "currency": place.currency,
                        "available": rail_text(Money(wallet.available, place.currency)),
                        "reserved": rail_text(Money(wallet.reserved, place.currency)),
                    }
                    for place, wallet in sorted(books.wallets.items())
                ],
                "operations": books.counts(),
                "due": len(self._agenda),
                # A merchant that makes a new id for what may have been paid shows here.
                "clientReferencesPaidTwice": sorted(
                    reference for reference, times in paid.items() if times > 1
                ),
            }
        )

    async def _operations(self, request: web.Request) -> web.StreamResponse:
        """Every operation in the order of its acceptance; the filters are all exact."""
        query = request.query
        wanted = {
            name: query[name]
            for name in ("operation", "status", "clientReferenceId")
            if name in query
        }
        shown = (_shown(life) for life in self._rail.lives.all.values())
        rows = (row for row in shown if all(row[name] == value for name, value in wanted.items()))
        skip = _number(request, "skip", 0)
        limit = _number(request, "limit", _USUAL_LIMIT)
        return _json(list(islice(rows, skip, skip + limit)))

    async def _received(self, request: web.Request) -> web.StreamResponse:
        """The last requests after a number, with what they were answered."""
        after = _number(request, "after", 0)
        rows = [row for row in self._rail.received if row["number"] > after]
        return _json({"count": self._rail.received_count, "requests": rows})

    async def _callbacks(self, request: web.Request) -> web.StreamResponse:
        """How callbacks fared, and the last ones."""
        courier, about = self._rail.courier, request.query.get("id")
        rows = [_told(one) for one in courier.last if about in (None, one.about)]
        return _json({"counts": courier.counts, "callbacks": rows})

    async def _availability(self, request: web.Request) -> web.StreamResponse:
        """Open, delay or close an operator."""
        asked = await _read(request, _Availability)
        try:
            self._rail.lives.set_availability(asked.provider, asked.operation, asked.status)
        except KeyError:
            raise invalid(f"{asked.provider} is not a provider of this account") from None
        return _json({"status": "ACCEPTED"})

    async def _scenario(self, request: web.Request) -> web.StreamResponse:
        """Other rules from now on: TOML or JSON. Balances, fees and callbacks stay as they are."""
        try:
            self._rail.play(read_scenario((await request.read()).decode()))
        except (ScenarioError, UnicodeDecodeError) as problem:
            raise invalid(str(problem)) from None
        except KeyError as problem:
            raise invalid(f"{problem.args[0]} is not a provider of this account") from None
        return _json({"status": "ACCEPTED"})

    async def _end(self, request: web.Request) -> web.StreamResponse:
        """Decide how what is open ends: one operation, all of a type, or all."""
        asked = await _read(request, _End)
        if asked.failureCode is not None and not any(
            asked.failureCode in codes for codes in FAILURES.values()
        ):
            raise invalid(f"{asked.failureCode} is no failure code")
        ended = sum(
            self._rail.lives.end(life, asked.failureCode)
            for life in list(self._rail.lives.all.values())
            if asked.operation in (None, life.operation.order.type)
            and asked.id in (None, life.operation.order.id)
        )
        return _json({"ended": ended})

    async def _advance(self, request: web.Request) -> web.StreamResponse:
        """Move the clock of `--stepped`, and answer when all that was due has been done."""
        asked = await _read(request, _Advance)
        if not isinstance(self._clock, ManualClock):
            raise invalid("the clock is the machine's own: start with --stepped")
        if not 0 <= asked.seconds <= _MOST_SECONDS:
            raise invalid(f"seconds must be between 0 and {_MOST_SECONDS}")
        await self._agenda.advance(self._clock, asked.seconds)
        return _json({"now": iso(self._clock.now()), "due": len(self._agenda)})


def _shown(life: Life) -> dict[str, Any]:
    operation, order = life.operation, life.operation.order
    usual = Plan()
    return {
        "operation": str(order.type),
        "id": order.id,
        "status": str(operation.status),
        "failureCode": operation.failure_code,
        "amount": rail_text(order.amount),
        "currency": order.amount.currency,
        "country": order.country,
        "provider": order.provider,
        "phoneNumber": order.phone_number,
        "clientReferenceId": order.client_reference,
        "metadata": order.metadata,
        "created": iso(operation.created),
        "ended": None if operation.ended is None else iso(operation.ended),
        "providerTransactionId": transaction_id(operation),
        "timesPaid": int(operation.status is Status.COMPLETED),
        "submitted": life.submitted,
        "statusAsked": life.status_asked,
        "misbehaves": {
            name: getattr(life.plan, name)
            for name in Plan.__struct_fields__
            if getattr(life.plan, name) != getattr(usual, name)
        },
    }


def _told(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.about,
        "url": delivery.url,
        "first": iso(delivery.first),
        "answers": delivery.statuses,
        "delivered": delivery.delivered,
        "signature": delivery.signature,
        "body": msgspec.Raw(delivery.body),
    }


async def _read(request: web.Request, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=shape)
    except msgspec.DecodeError as problem:
        raise Fault(400, "INVALID_PARAMETER", f"{problem}.") from None


def _number(request: web.Request, name: str, usual: int) -> int:
    text = request.query.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid(f"'{name}' must be a whole number")
    return int(text)


def _json(said: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(said), content_type="application/json")
