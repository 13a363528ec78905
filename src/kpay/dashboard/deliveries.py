"""Deliveries as a list: its filters in the address, by day, and how far each has come in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date
from itertools import groupby, product
from uuid import UUID

import msgspec

from kpay.core.ids import parse_uuid
from kpay.dashboard.days import begins, ends, read_day
from kpay.dashboard.page import Visit
from kpay.dashboard.speech import Speech
from kpay.events.model import OPERATION_PREFIXES
from kpay.webhooks.model import TEST_EVENT, Delivery, Status
from kpay.webhooks.reasons import read_reason
from kpay.webhooks.store import DeliveryFilter

PER_PAGE = 50
_STATUS, _EVENT, _FROM, _TO, BEFORE = "status", "event", "from", "to", "before"
FILTERS = (_STATUS, _EVENT, _FROM, _TO)
_ENDS = ("completed", "failed", "cancelled")
EVENTS = [*(f"{noun}.{end}" for noun, end in product(OPERATION_PREFIXES, _ENDS)), TEST_EVENT]


class StatusWords(msgspec.Struct, frozen=True):
    """A status in one language, and the style's class of it: a colour beside the word."""

    name: str
    tone: str


class Day(msgspec.Struct, frozen=True):
    """The deliveries of what happened on one day, in UTC."""

    day: date
    rows: Sequence[Delivery]


class Asked(msgspec.Struct, frozen=True):
    """The filters as the address has them, and what of them could be read."""

    status: Status | None
    event: str | None
    since: date | None
    until: date | None
    before: UUID | None

    @property
    def narrows(self) -> bool:
        return any((self.status, self.event, self.since, self.until))

    @property
    def wanted(self) -> DeliveryFilter:
        return DeliveryFilter(
            limit=PER_PAGE,
            type=self.event,
            status=self.status,
            since=begins(self.since),
            until=ends(self.until),
            before=self.before,
        )


def status_words(speech: Speech) -> dict[Status, StatusWords]:
    """How far a delivery has come, in words."""
    say = speech.say
    return {
        Status.PENDING: StatusWords(say("waits to be sent"), "wait"),
        Status.DELIVERED: StatusWords(say("delivered"), "good"),
        Status.FAILED: StatusWords(say("not delivered"), "bad"),
        Status.CANCELLED: StatusWords(say("called off"), "off"),
    }


def why_not(speech: Speech) -> Callable[[str | None], str]:
    """Says why something was not taken, kept in English; what another program wrote as it is."""

    def said(told: str | None) -> str:
        found = read_reason(told or "")
        if found is None:
            return told or ""
        sentence, parts = found
        return speech.say(sentence, **parts)

    return said


def read(visit: Visit) -> Asked:
    """The filters of an address. What none of our own links and forms says narrows nothing."""
    query = visit.query
    event = query.get(_EVENT)
    return Asked(
        status=read_status(query.get(_STATUS, "")),
        event=event if event in EVENTS else None,
        since=read_day(query.get(_FROM, "")),
        until=read_day(query.get(_TO, "")),
        before=parse_uuid(query.get(BEFORE, "")),
    )


def read_status(word: str) -> Status | None:
    return next((status for status in Status if status == word), None)


def by_day(rows: Sequence[Delivery]) -> list[Day]:
    grouped = groupby(rows, key=lambda row: row.created_at.astimezone(UTC).date())
    return [Day(day, list(group)) for day, group in grouped]
