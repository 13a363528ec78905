"""Contradictions: what rails say against our books, each with its evidence, until it is settled.

What is done here does the same as `kpay contradiction settle`, and leaves the ledger as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from kpay.catalogue.model import Catalogue
from kpay.contradictions.flow import Contradictions
from kpay.contradictions.model import (
    MOST_NOTE,
    Contradiction,
    ContradictionFilter,
    Cursor,
    Decision,
    What,
    next_action,
)
from kpay.core.ids import parse_uuid
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import (
    ENVIRONMENTS,
    configures,
    contradiction_place,
    must_prove,
    named,
    note_of,
    operation_words,
    public_id_of,
)
from kpay.dashboard.page import CONTRADICTIONS, Gone, Page, Reach, Visit
from kpay.dashboard.speech import Speech
from kpay.dashboard.telling import status_words
from kpay.dashboard.typed import phone_words
from kpay.people.model import OperatorRight
from kpay.web.pages import Answer, redirect

_ONE = f"{CONTRADICTIONS}/{{operation}}"
_PER_PAGE = 50
_STATE, _WHAT, _ENVIRONMENT, _AFTER = "state", "what", "environment", "after"
_FILTERS = (_STATE, _WHAT, _ENVIRONMENT)
# Without a word it is what waits for somebody.
_STATES = {"": True, "settled": False, "all": None}
_BETWEEN = "."


class Shown(msgspec.Struct, frozen=True):
    """One as the page has it: its words, what to do about it, and what it is known by."""

    one: Contradiction
    key: str
    public_id: str
    type: str
    what: str
    operator: str
    next: str | None
    """None once it is settled."""
    evidence: str


class Asked(msgspec.Struct, frozen=True):
    """The filters as the address has them; what none of our links says narrows nothing."""

    state: str
    what: What | None
    environment: str
    after: Cursor | None

    @property
    def narrows(self) -> bool:
        return bool(self.state or self.what or self.environment)

    @property
    def wanted(self) -> ContradictionFilter:
        return ContradictionFilter(
            # One more than is shown tells that there are more.
            _PER_PAGE + 1,
            is_open=_STATES[self.state],
            what=self.what,
            environment=ENVIRONMENTS.get(self.environment),
            after=self.after,
        )


class ContradictionPages:
    """The list, and all that was found of one operation, with the form that settles."""

    def __init__(self, contradictions: Contradictions, catalogue: Catalogue) -> None:
        self._contradictions = contradictions
        self._catalogue = catalogue

    def pages(self) -> list[Page]:
        looks, changes, ours = OperatorRight.VIEW, OperatorRight.CONFIGURE, Reach.OPERATOR
        return [
            Page("GET", CONTRADICTIONS, ours, self.index, looks),
            Page("GET", _ONE, ours, self.show, looks),
            Page("POST", f"{_ONE}/settle", ours, self.settle, changes),
        ]

    async def index(self, visit: Visit) -> Answer:
        asked = _read(visit.query)
        found = await self._contradictions.page(asked.wanted)
        shown, more = found[:_PER_PAGE], len(found) > _PER_PAGE
        return drawn(
            visit,
            "office/contradictions.html",
            here=CONTRADICTIONS,
            asked=asked,
            whats=what_words(visit.speech),
            lines=[self._shown(visit.speech, one) for one in shown],
            waiting=await self._contradictions.count(),
            older=_address(visit, _key(shown[-1])) if more else None,
            newest=_address(visit) if asked.after else None,
        )

    async def show(self, visit: Visit) -> Answer:
        return await self._one(visit)

    async def settle(self, visit: Visit) -> Answer:
        """Say how the one that the form names was settled, once: of two people the first did."""
        led = must_prove(visit)
        if led is not None:
            return led
        meant, note = _parse(visit.form.get("meant", "")), note_of(visit, MOST_NOTE)
        operation_id = named(visit, "operation")
        if meant is None or meant.operation_id != operation_id:
            raise Gone
        if note is None:
            return await self._one(visit, 422)
        try:
            await self._contradictions.settle(
                visit.session.actor,
                operation_id,
                Decision.NOTED,
                note,
                what=meant.what,
                reference=meant.reference,
            )
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
            return redirect(f"{contradiction_place(operation_id)}?done=already#main")
        return redirect(f"{contradiction_place(operation_id)}?done=settled#main")

    async def _one(self, visit: Visit, status: int = 200) -> Answer:
        operation_id = named(visit, "operation")
        try:
            found = await self._contradictions.of_operation(operation_id)
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
            raise Gone from None
        wrong = status != 200
        return drawn(
            visit,
            "office/contradiction.html",
            status,
            here=contradiction_place(operation_id),
            shown=[self._shown(visit.speech, one) for one in found],
            statuses=status_words(visit.speech),
            phone=phone_words,
            changes=configures(visit),
            most_note=MOST_NOTE,
            asked=visit.form.get("meant") if wrong else visit.query.get("ask"),
            typed=visit.form.get("note", "") if wrong else "",
            wrong=wrong,
            done=visit.query.get("done"),
        )

    def _shown(self, speech: Speech, one: Contradiction) -> Shown:
        provider = self._catalogue.providers.get(one.provider or "")
        operator = one.provider or "–"
        if provider is not None:
            operator = f"{provider.operator} {speech.country(provider.country)}"
        return Shown(
            one,
            key=_key(one),
            public_id=public_id_of(one.type, one.operation_id),
            type=operation_words(speech)[one.type],
            what=what_words(speech)[one.what],
            operator=operator,
            next=None if one.settled else speech.say(next_action(one.type, one.what)),
            evidence=json.dumps(one.evidence, indent=2, ensure_ascii=False),
        )


def what_words(speech: Speech) -> dict[What, str]:
    """What speaks against what, as a line and a filter have it."""
    say = speech.say
    return {
        What.PAID_AFTER_FAILED: say("paid after it had failed here"),
        What.PAID_AFTER_CANCELLED: say("paid after it was called back here"),
        What.PAID_AFTER_REFUSED: say("paid after it was refused and chosen anew"),
        What.REFUSED_AFTER_COMPLETED: say("refused after it was complete here"),
        What.PAID_DIFFERENTLY: say("paid differently than we told"),
    }


def _read(query: Mapping[str, str]) -> Asked:
    state, environment = query.get(_STATE, ""), query.get(_ENVIRONMENT, "")
    return Asked(
        state=state if state in _STATES else "",
        what=_what(query.get(_WHAT, "")),
        environment=environment if environment in ENVIRONMENTS else "",
        after=_parse(query.get(_AFTER, "")),
    )


def _what(word: str) -> What | None:
    return next((what for what in What if what == word), None)


def _key(one: Contradiction) -> str:
    """What names it among all: in an address, in a form, on its page."""
    return _BETWEEN.join((str(one.operation_id), one.what, str(one.reference)))


def _parse(key: str) -> Cursor | None:
    operation, _, rest = key.partition(_BETWEEN)
    word, _, last = rest.partition(_BETWEEN)
    operation_id, what, reference = parse_uuid(operation), _what(word), parse_uuid(last)
    if operation_id is None or what is None or reference is None:
        return None
    return Cursor(operation_id, what, reference)


def _address(visit: Visit, after: str | None = None) -> str:
    """The list with the same filters, from one on."""
    kept = {name: visit.query[name] for name in _FILTERS if visit.query.get(name)}
    if after is not None:
        kept[_AFTER] = after
    return f"{CONTRADICTIONS}?{urlencode(kept)}" if kept else CONTRADICTIONS
