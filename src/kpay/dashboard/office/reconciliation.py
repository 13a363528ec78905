"""Reconciliation: the breaks that a person has to look at, and each float with what explains it.

What is done here does the same as `kpay reconciliation close`: a break opens again when one of its
sides changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

import msgspec

from kpay.contradictions.flow import Contradictions
from kpay.contradictions.model import ContradictionFilter
from kpay.core.ids import parse_uuid, public_id
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import (
    ENVIRONMENTS,
    break_place,
    configures,
    must_prove,
    named,
    note_of,
    operation_words,
    public_id_of,
)
from kpay.dashboard.page import RECONCILIATION, Gone, Page, Reach, Visit
from kpay.dashboard.speech import Speech
from kpay.database.pool import Database
from kpay.people.model import OperatorRight
from kpay.reconciliation.breaks import MOST_NOTE, PREFIX, Break, BreakFilter, Breaks
from kpay.reconciliation.floats import Float, Part, Unfinished, floats, unfinished
from kpay.reconciliation.model import BEFORE_STATEMENTS, Kind, State, next_action
from kpay.reconciliation.store import Place
from kpay.web.pages import Answer, redirect

_FLOATS = f"{RECONCILIATION}/floats"
_ONE = f"{RECONCILIATION}/breaks/{{break}}"
_PER_PAGE = 50
_STATE, _KIND, _ENVIRONMENT, _AFTER = "state", "kind", "environment", "after"
_CONNECTOR, _COUNTRY = "connector", "country"
_FILTERS = (_STATE, _KIND, _ENVIRONMENT, _CONNECTOR, _COUNTRY)
# Without a word it is what waits for somebody.
_STATES = {"": State.OPEN, "awaited": State.AWAITED, "closed": State.CLOSED, "all": None}


class Shown(msgspec.Struct, frozen=True):
    """A break as the page has it."""

    one: Break
    public_id: str
    href: str
    kind: str
    wallet: str
    operation: str | None
    """Its type and public id, where our books have its reference."""
    next: str | None
    """None for what no person has to do anything about."""
    note: str | None


class Level(msgspec.Struct, frozen=True):
    """A float as the page has it: what explains the difference, and where its breaks are."""

    one: Float
    wallet: str
    parts: list[tuple[str, str, int | None]]
    breaks: str


class Asked(msgspec.Struct, frozen=True):
    """The filters as the address has them; what none of our links says narrows nothing."""

    state: str
    kind: Kind | None
    environment: str
    connector: str
    country: str

    @property
    def narrows(self) -> bool:
        return any((self.state, self.kind, self.environment, self.connector, self.country))


class ReconciliationPages:
    """The breaks, one of them with its form, and the report of floats."""

    def __init__(self, database: Database, breaks: Breaks, contradictions: Contradictions) -> None:
        self._database = database
        self._breaks = breaks
        self._contradictions = contradictions

    def pages(self) -> list[Page]:
        looks, changes, ours = OperatorRight.VIEW, OperatorRight.CONFIGURE, Reach.OPERATOR
        return [
            Page("GET", RECONCILIATION, ours, self.index, looks),
            Page("GET", _FLOATS, ours, self.report, looks),
            Page("GET", _ONE, ours, self.show, looks),
            Page("POST", f"{_ONE}/close", ours, self.close, changes),
        ]

    async def index(self, visit: Visit) -> Answer:
        asked, after = _read(visit.query), parse_uuid(visit.query.get(_AFTER, ""))
        wanted = BreakFilter(
            # One more than is shown tells that there are more.
            _PER_PAGE + 1,
            state=_STATES[asked.state],
            kind=asked.kind,
            environment=ENVIRONMENTS.get(asked.environment),
            connector=asked.connector or None,
            country=asked.country or None,
            after=after,
        )
        found = await self._breaks.page(wanted)
        shown, more = found[:_PER_PAGE], len(found) > _PER_PAGE
        return drawn(
            visit,
            "office/breaks.html",
            here=RECONCILIATION,
            asked=asked,
            kinds=kind_words(visit.speech),
            states=state_words(visit.speech),
            lines=[_shown(visit.speech, one) for one in shown],
            older=_address(visit, str(shown[-1].id)) if more else None,
            newest=_address(visit) if after else None,
        )

    async def report(self, visit: Visit) -> Answer:
        """Each rail's balance against our float, by how much they differ and why."""
        found = await floats(self._database)
        return drawn(
            visit,
            "office/floats.html",
            here=_FLOATS,
            levels=[_level(visit.speech, one) for one in found],
            unfinished=[
                (one, _stage(visit.speech, one)) for one in await unfinished(self._database)
            ],
        )

    async def show(self, visit: Visit) -> Answer:
        return await self._one(visit)

    async def close(self, visit: Visit) -> Answer:
        """Say why it is no matter any more, once: of two people the first did."""
        led = must_prove(visit)
        if led is not None:
            return led
        identifier, note = named(visit, "break"), note_of(visit, MOST_NOTE)
        if note is None:
            return await self._one(visit, 422)
        await self._found(visit)
        try:
            await self._breaks.close(visit.session.actor, identifier, note)
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
            return redirect(f"{break_place(identifier)}?done=already#main")
        return redirect(f"{break_place(identifier)}?done=closed#main")

    async def _found(self, visit: Visit) -> Break:
        """What the address names. Raises Gone."""
        breaks = await self._breaks.page(BreakFilter(1, id=named(visit, "break")))
        if not breaks:
            raise Gone
        return breaks[0]

    async def _one(self, visit: Visit, status: int = 200) -> Answer:
        found, lines = await self._breaks.get((await self._found(visit)).id)
        wrong = status != 200
        return drawn(
            visit,
            "office/break.html",
            status,
            here=break_place(found.id),
            back=RECONCILIATION,
            shown=_shown(visit.speech, found),
            states=state_words(visit.speech),
            lines=[(line, json.dumps(line.raw, indent=2, ensure_ascii=False)) for line in lines],
            contradicts=await self._contradicts(found),
            changes=configures(visit),
            most_note=MOST_NOTE,
            asked=wrong or visit.query.get("ask") == "close",
            typed=visit.form.get("note", "") if wrong else "",
            wrong=wrong,
            done=visit.query.get("done"),
        )

    async def _contradicts(self, found: Break) -> bool:
        """Whether its operation is held as a contradiction as well."""
        if found.instruction_id is None:
            return False
        wanted = ContradictionFilter(1, operation_id=found.instruction_id)
        return bool(await self._contradictions.page(wanted))


def kind_words(speech: Speech) -> dict[Kind, str]:
    """How the two sides differ, as a line and a filter have it."""
    say = speech.say
    return {
        Kind.MISSING_HERE: say("the rail has moved it, we have not"),
        Kind.MISSING_THERE: say("we have moved it, the rail has no line"),
        Kind.DIFFERENT_AMOUNT: say("another amount there than here"),
        Kind.DUPLICATE: say("moved there more than once"),
    }


def state_words(speech: Speech) -> dict[State, str]:
    """How far a break has come."""
    say = speech.say
    return {
        State.OPEN: say("open"),
        State.AWAITED: say("may come with the next day"),
        State.CLOSED: say("closed"),
    }


def _shown(speech: Speech, one: Break) -> Shown:
    operation = None
    if one.instruction_id is not None and one.type is not None:
        identifier = public_id_of(one.type, one.instruction_id)
        operation = f"{operation_words(speech)[one.type]} {identifier}"
    known = one.instruction_id is not None
    note = one.note
    if note == BEFORE_STATEMENTS:
        # The program's own words; a person's stay as they were written.
        note = speech.say(BEFORE_STATEMENTS)
    return Shown(
        one,
        public_id(PREFIX, one.id),
        break_place(one.id),
        kind_words(speech)[one.kind],
        _wallet(speech, one.place),
        operation,
        speech.say(next_action(one.kind, known=known)) if one.state is State.OPEN else None,
        note,
    )


def _level(speech: Speech, one: Float) -> Level:
    place = one.place
    query = urlencode(
        {
            _STATE: "all",
            _ENVIRONMENT: place.environment.word,
            _CONNECTOR: place.connector,
            _COUNTRY: place.wallet.country,
        }
    )
    parts = [
        (speech.say(part.text, **_named(speech, part)), speech.money(part.amount), part.count)
        for part in one.parts
    ]
    return Level(one, _wallet(speech, place), parts, f"{RECONCILIATION}?{query}")


def _named(speech: Speech, part: Part) -> dict[str, str]:
    """What a part's text names; a day as it is read in a sentence."""
    return {
        name: speech.day(date.fromisoformat(value)) if name == "day" else value
        for name, value in part.values.items()
    }


def _wallet(speech: Speech, place: Place) -> str:
    """Whose account it is at which rail."""
    wallet = place.wallet
    country = speech.country(wallet.country)
    return " · ".join(filter(None, (place.connector, country, wallet.currency, wallet.provider)))


def _stage(speech: Speech, one: Unfinished) -> str:
    say = speech.say
    stages = {
        "balances": say("asking for balances"),
        "order": say("ordering the statement"),
        "read": say("reading the statement"),
        "match": say("matching its lines"),
    }
    return stages.get(one.stage, one.stage)


def _read(query: Mapping[str, str]) -> Asked:
    state, environment = query.get(_STATE, ""), query.get(_ENVIRONMENT, "")
    return Asked(
        state=state if state in _STATES else "",
        kind=next((kind for kind in Kind if kind == query.get(_KIND)), None),
        environment=environment if environment in ENVIRONMENTS else "",
        connector=query.get(_CONNECTOR, "").replace("\0", ""),
        country=query.get(_COUNTRY, "").replace("\0", ""),
    )


def _address(visit: Visit, after: str | None = None) -> str:
    """The list with the same filters, from one on."""
    kept = {name: visit.query[name] for name in _FILTERS if visit.query.get(name)}
    if after is not None:
        kept[_AFTER] = after
    return f"{RECONCILIATION}?{urlencode(kept)}" if kept else RECONCILIATION
