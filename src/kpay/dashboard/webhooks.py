"""Webhooks of an application: where they are heard, each delivery with its attempts, and again.

What is asked for here goes through the same flows as the API. That a person asked for it is on
record before it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kpay.audit.model import Action, Details, Subject
from kpay.core.clock import Clock, iso
from kpay.core.ids import parse_public_id, parse_uuid, public_id
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.asking import owes_a_factor
from kpay.dashboard.deliveries import (
    BEFORE,
    EVENTS,
    FILTERS,
    PER_PAGE,
    by_day,
    read,
    read_status,
    status_words,
    why_not,
)
from kpay.dashboard.house import drawn
from kpay.dashboard.office_deeds import topics
from kpay.dashboard.page import PREFIX, Gone, Page, Reach, Visit, book_address, transaction_address
from kpay.events.model import PREFIX as EVENT
from kpay.people.model import Right
from kpay.web.pages import Answer, redirect
from kpay.webhooks.flow import MOST_REPLAYED, Webhooks
from kpay.webhooks.model import TEST_EVENT, Delivery, Status, Topic
from kpay.webhooks.store import ReplayFilter

_HERE = f"{PREFIX}/app/{{application}}/{{environment}}/webhooks"
_ONE = f"{_HERE}/delivery/{{delivery}}"


class Period(msgspec.Struct, frozen=True):
    """What is to be sent again: from a moment on, up to before another."""

    since: datetime
    until: datetime
    status: Status | None


class WebhookPages:
    """The list, one delivery, and their forms."""

    def __init__(self, webhooks: Webhooks, clock: Clock) -> None:
        self._webhooks = webhooks
        self._clock = clock

    def pages(self) -> list[Page]:
        right = Right.APPLICATIONS
        return [
            Page("GET", _HERE, Reach.BOOK, self.show, right),
            Page("POST", f"{_HERE}/replay", Reach.BOOK, self.replay_period, right),
            Page("POST", f"{_HERE}/{{topic}}/test", Reach.BOOK, self.test, right),
            Page("POST", f"{_HERE}/{{topic}}/resume", Reach.BOOK, self.resume, right),
            Page("GET", _ONE, Reach.BOOK, self.show_one, right),
            Page("POST", f"{_ONE}/replay", Reach.BOOK, self.replay, right),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def show_one(self, visit: Visit) -> Answer:
        return await self._one(visit)

    async def replay(self, visit: Visit) -> Answer:
        """Send one event again, or a test."""
        delivery = await self._delivery(visit)
        subject = Subject("transaction", delivery.payment_id)
        told = {"event": delivery.type, "applicationId": str(visit.application.id)}
        led = await self._ask(visit, Action.REPLAY_ASKED, told, subject)
        if led is not None:
            return led
        try:
            await self._webhooks.replay_one(visit.book, delivery.id)
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
            words = visit.speech.say("No address is set that hears this: set one first.")
            return await self._one(visit, 409, words)
        return redirect(f"{_place(visit, delivery)}?done=replayed#main")

    async def replay_period(self, visit: Visit) -> Answer:
        """Send what happened in some time again, once that was looked over."""
        period, say = self._period(visit), visit.speech.say
        if period is None:
            words = say("Write two moments, the second after the first.")
            return await self._shown(visit, 422, wrong=words)
        if not await self._webhooks.endpoints(visit.book):
            return await self._shown(
                visit, 409, wrong=say("No address is set that hears this: set one first.")
            )
        if "sure" not in visit.form:
            return await self._shown(visit, period=period)
        told = {"since": iso(period.since), "until": iso(period.until), "status": period.status}
        led = await self._ask(visit, Action.PERIOD_REPLAYED, told)
        if led is not None:
            return led
        wanted = ReplayFilter(
            limit=MOST_REPLAYED,
            status=period.status,
            since=period.since,
            until=period.until,
            after=parse_uuid(visit.form.get("after", "")),
        )
        replayed = await self._webhooks.replay(visit.book, wanted)
        if replayed.looked_at == wanted.limit:
            # As many as one statement takes: the page offers to go on after the last of them.
            return await self._shown(
                visit, period=period, after=replayed.last, queued=replayed.queued
            )
        return redirect(f"{_here(visit)}?done=replayed&count={replayed.queued}#main")

    async def test(self, visit: Visit) -> Answer:
        """Send a test to one address, and show what came back."""
        topic = await self._topic(visit)
        led = await self._ask(visit, Action.WEBHOOK_TESTED, {"topic": topic})
        if led is not None:
            return led
        delivery = await self._webhooks.test(visit.book, topic)
        return redirect(f"{_place(visit, delivery)}?done=tested#main")

    async def resume(self, visit: Visit) -> Answer:
        """Send to an address again that is paused."""
        topic = await self._topic(visit)
        if owes_a_factor(visit, Right.APPLICATIONS):
            return redirect(SET_UP)
        await self._webhooks.resume(visit.book, topic, by=visit.session.actor)
        return redirect(f"{_here(visit)}?done=resumed#main")

    async def _ask(
        self, visit: Visit, action: Action, details: Details, subject: Subject | None = None
    ) -> Answer | None:
        """Put on record that a person asks for something; or where who may not yet is led to."""
        if owes_a_factor(visit, Right.APPLICATIONS):
            return redirect(SET_UP)
        actor = visit.session.actor
        await self._webhooks.record(visit.book, actor, action, details, subject)
        return None

    async def _topic(self, visit: Visit) -> Topic:
        """What the address names, where a URL hears it. Raises Gone."""
        for endpoint in await self._webhooks.endpoints(visit.book):
            if endpoint.topic == visit.path["topic"]:
                return endpoint.topic
        raise Gone

    async def _delivery(self, visit: Visit) -> Delivery:
        """What the address names. Raises Gone."""
        identifier = parse_public_id(EVENT, visit.path["delivery"])
        if identifier is None or public_id(EVENT, identifier) != visit.path["delivery"]:
            raise Gone
        try:
            return await self._webhooks.delivery(visit.book, identifier)
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
            raise Gone from None

    def _period(self, visit: Visit) -> Period | None:
        since = _moment(visit.form.get("since", ""))
        until = _moment(visit.form.get("until", ""))
        if since is None or until is None or since >= until:
            return None
        return Period(since, until, read_status(visit.form.get("only", "")))

    async def _shown(
        self,
        visit: Visit,
        status: int = 200,
        *,
        wrong: str = "",
        period: Period | None = None,
        after: UUID | None = None,
        queued: int = 0,
    ) -> Answer:
        asked = read(visit)
        rows = await self._webhooks.page(visit.book, asked.wanted)
        shown, more = rows[:PER_PAGE], len(rows) > PER_PAGE
        count = visit.query.get("count", "")
        return drawn(
            visit,
            "webhooks.html",
            status,
            here=_here(visit),
            endpoints=await self._webhooks.endpoints(visit.book),
            topics=topics(visit.speech),
            days=by_day(shown),
            asked=asked,
            statuses=status_words(visit.speech),
            events=EVENTS,
            why_not=why_not(visit.speech),
            older=_address(visit, shown[-1].id) if more else None,
            newest=_address(visit) if asked.before else None,
            wrong=wrong,
            period=period,
            after=after,
            queued=queued,
            typed=_typed(visit, self._clock.now()),
            done=visit.query.get("done"),
            count=int(count) if count.isascii() and count.isdigit() and len(count) < 7 else 0,
        )

    async def _one(self, visit: Visit, status: int = 200, error: str = "") -> Answer:
        delivery = await self._delivery(visit)
        return drawn(
            visit,
            "delivery.html",
            status,
            here=_place(visit, delivery),
            back=_here(visit),
            delivery=delivery,
            transaction=transaction_address(visit.book, delivery.payment_id),
            attempts=await self._webhooks.attempts(visit.book, delivery.id),
            topics=topics(visit.speech),
            statuses=status_words(visit.speech),
            is_test=delivery.type == TEST_EVENT,
            why_not=why_not(visit.speech),
            error=error,
            done=visit.query.get("done"),
        )


def _here(visit: Visit) -> str:
    return book_address(visit.book, "webhooks")


def _place(visit: Visit, delivery: Delivery) -> str:
    return f"{_here(visit)}/delivery/{delivery.public_id}"


def _address(visit: Visit, before: UUID | None = None) -> str:
    """This page with the same filters, from a delivery on."""
    kept = {name: visit.query[name] for name in FILTERS if visit.query.get(name)}
    if before is not None:
        kept[BEFORE] = str(before)
    return f"{_here(visit)}?{urlencode(kept)}" if kept else _here(visit)


def _typed(visit: Visit, now: datetime) -> Mapping[str, str]:
    """What stands in the form of a period: what was typed, or the last day."""
    usual = {
        "since": _spelled(now - timedelta(days=1)),
        "until": _spelled(now + timedelta(minutes=1)),
    }
    return {**usual, "only": "FAILED", **visit.form}


def _spelled(moment: datetime) -> str:
    """As a browser's field for a moment has it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def _moment(text: str) -> datetime | None:
    """A moment in UTC as such a field sends it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is not None else found.replace(tzinfo=UTC)
