"""An application's terms: fees, how often it may call, its operators, its limits.

Each form is looked over before anything changes: what would be another than it is, and nothing else
of the form, is sent once more to be changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from kpay.access.changes import FEE_MOST_BPS, changes
from kpay.access.flow import USUAL_RATE_LIMIT, AccessError, Office
from kpay.access.model import Application, Terms
from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.core.limits import Limits
from kpay.core.money import UNIT, Money
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import application_place, configures, must_prove, named
from kpay.dashboard.office_deeds import operations, terms_changed
from kpay.dashboard.page import OFFICE, Gone, Page, Reach, Visit
from kpay.people.model import OperatorRight
from kpay.settings import MOST_RATE_LIMIT
from kpay.web.pages import Answer, redirect

_ONE = f"{OFFICE}/applications/{{application}}"
_SURE = "sure"
_TERMS = ("payment_fee_bps", "payout_fee_bps", "rate_limit")
_PROVIDER = "provider."
_TRANSFER = "TRANSFER"
_MOST_UNITS = 1_000_000_000_000
_NOTHING: Mapping[str, str] = {}

Change: TypeAlias = tuple[str, str, str]
"""A name, what it is now, and what it would be."""


class Bound(msgspec.Struct, frozen=True):
    """The bounds of one operation in one currency, as they hold."""

    operation: str
    currency: str
    limits: Limits | None
    own: bool


class Land(msgspec.Struct, frozen=True):
    """A country with its operators."""

    name: str
    providers: list[Provider]


class Wish(msgspec.Struct, frozen=True):
    """What a form asks for; None is what is not asked for, and stays."""

    payment_fee_bps: int | None = None
    payout_fee_bps: int | None = None
    rate_limit: int | None = None
    providers: list[str] | None = None

    def of(self, terms: Terms) -> Terms:
        """The terms as they would be then."""
        allowed, rate = terms.allowed_providers, terms.rate_limit
        if self.providers is not None:
            allowed = frozenset(self.providers) or None
        if self.rate_limit is not None:
            rate = None if self.rate_limit == USUAL_RATE_LIMIT else self.rate_limit
        fees = (self.payment_fee_bps, self.payout_fee_bps)
        return msgspec.structs.replace(
            terms,
            payment_fee_bps=terms.payment_fee_bps if fees[0] is None else fees[0],
            payout_fee_bps=terms.payout_fee_bps if fees[1] is None else fees[1],
            allowed_providers=allowed,
            rate_limit=rate,
        )


class TermsPages:
    """The page of an application, and its forms."""

    def __init__(self, office: Office, catalogue: Catalogue) -> None:
        self._office = office
        self._catalogue = catalogue

    def pages(self) -> list[Page]:
        ours, changes_ = Reach.OPERATOR, OperatorRight.CONFIGURE
        return [
            Page("GET", _ONE, ours, self.show, OperatorRight.VIEW),
            Page("POST", f"{_ONE}/terms", ours, self.change_terms, changes_),
            Page("POST", f"{_ONE}/providers", ours, self.change_providers, changes_),
            Page("POST", f"{_ONE}/limit", ours, self.set_limit, changes_),
            Page("POST", f"{_ONE}/usual", ours, self.lift_limit, changes_),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def change_terms(self, visit: Visit) -> Answer:
        """Fees in basis points, and requests a minute."""
        given = {name: visit.form[name] for name in _TERMS if name in visit.form}
        read = {name: _read_term(name, text) for name, text in given.items()}
        errors = {name: self._error(visit, name) for name, number in read.items() if number is None}
        if errors:
            return await self._shown(visit, 422, errors=errors)
        payment, payout, rate = (read.get(name) for name in _TERMS)
        return await self._change(visit, "terms", Wish(payment, payout, rate))

    async def change_providers(self, visit: Visit) -> Answer:
        """The only operators that it may use, or every one."""
        if visit.form.get("which") not in ("all", "some"):
            raise Gone
        chosen: list[str] = []
        if visit.form["which"] == "some":
            marked = [
                name.removeprefix(_PROVIDER) for name in visit.form if name.startswith(_PROVIDER)
            ]
            chosen = sorted(code for code in marked if code in self._catalogue.providers)
            if not chosen:
                words = visit.speech.say("Choose at least one operator, or all.")
                return await self._shown(visit, 422, errors={"providers": words})
        return await self._change(visit, "providers", Wish(providers=chosen))

    async def set_limit(self, visit: Visit) -> Answer:
        """Its own bounds for one operation in one currency."""
        operation, currency = self._bounded(visit)
        least, most = (_read_units(visit.form.get(name, "")) for name in ("least", "most"))
        if least is None or most is None or least > most:
            words = visit.speech.say(
                "Write two whole amounts, the least above 0 and no more than the most."
            )
            return await self._shown(visit, 422, errors={"limit": words})
        limits = Limits(Money(least * UNIT, currency), Money(most * UNIT, currency))
        return await self._change_limit(visit, operation, currency, limits)

    async def lift_limit(self, visit: Visit) -> Answer:
        """What is usual again for one operation in one currency."""
        operation, currency = self._bounded(visit)
        return await self._change_limit(visit, operation, currency, None)

    async def _change(self, visit: Visit, part: str, wish: Wish) -> Answer:
        """Show what would change, or change it where that was seen."""
        led = must_prove(visit)
        if led is not None:
            return led
        application = await self._application(visit)
        changed = changes(application.terms, wish.of(application.terms))
        if not changed:
            return _back(application, "same")
        if _SURE not in visit.form:
            fields = _only(visit.form, changed)
            seen = terms_changed(visit.speech, changed)
            return self._asked(visit, application, part, seen, fields)
        await self._office.configure(
            application.id,
            payment_fee_bps=wish.payment_fee_bps,
            payout_fee_bps=wish.payout_fee_bps,
            allowed_providers=wish.providers,
            rate_limit=wish.rate_limit,
            by=visit.session.actor,
        )
        return _back(application, "changed")

    async def _change_limit(
        self, visit: Visit, operation: str, currency: str, limits: Limits | None
    ) -> Answer:
        led = must_prove(visit)
        if led is not None:
            return led
        application = await self._application(visit)
        now = self._bound(application.terms, operation, currency)
        if now.limits == limits or (limits is None and not now.own):
            return _back(application, "same")
        if _SURE not in visit.form:
            usual = self._bound(Terms(), operation, currency).limits
            name = f"{operations(visit.speech)[operation]}, {currency}"
            seen = (name, _spelled(visit, now.limits), _spelled(visit, limits or usual))
            part = "usual" if limits is None else "limit"
            return self._asked(visit, application, part, [seen], visit.form)
        actor = visit.session.actor
        if limits is None:
            await self._office.lift_limit(application.id, operation, currency, by=actor)
        else:
            await self._office.set_limit(application.id, operation, limits, by=actor)
        return _back(application, "changed")

    def _asked(
        self,
        visit: Visit,
        application: Application,
        part: str,
        seen: list[Change],
        fields: Mapping[str, str],
    ) -> Answer:
        """The form once more, to be looked over: what is now, and what would be."""
        kept = {name: value for name, value in fields.items() if name != "csrf"}
        return drawn(
            visit,
            "office/sure.html",
            application=application,
            here=application_place(application.id),
            part=part,
            seen=seen,
            fields=kept,
        )

    async def _application(self, visit: Visit) -> Application:
        """What the address names. Raises Gone."""
        try:
            return await self._office.application(named(visit, "application"))
        except AccessError:
            raise Gone from None

    def _bounded(self, visit: Visit) -> tuple[str, str]:
        """The operation and the currency that a form is about. Raises Gone."""
        operation, currency = visit.form.get("operation", ""), visit.form.get("currency", "")
        if operation not in operations(visit.speech) or currency not in self._currencies():
            raise Gone
        return operation, currency

    def _currencies(self) -> list[str]:
        return sorted({country.currency for country in self._catalogue.countries.values()})

    def _bound(self, terms: Terms, operation: str, currency: str) -> Bound:
        own = terms.limits.get((operation, currency))
        usual = (
            terms.transfer_limits(currency)
            if operation == _TRANSFER
            else self._catalogue.limits.get((OperationType(operation), currency))
        )
        return Bound(operation, currency, own or usual, own is not None)

    def _error(self, visit: Visit, name: str) -> str:
        say = visit.speech.say
        if name == "rate_limit":
            most = visit.speech.number(MOST_RATE_LIMIT)
            return say("Write a whole number up to %(most)s, or nothing.", most=most)
        most = visit.speech.number(FEE_MOST_BPS)
        return say("Write a whole number from 0 to %(most)s.", most=most)

    def _lands(self, visit: Visit) -> list[Land]:
        lands = [
            Land(visit.speech.country(code), list(self._catalogue.of_country(code)))
            for code in self._catalogue.countries
        ]
        return sorted(lands, key=lambda land: land.name.casefold())

    async def _shown(
        self, visit: Visit, status: int = 200, *, errors: Mapping[str, str] = _NOTHING
    ) -> Answer:
        application = await self._application(visit)
        terms, currencies = application.terms, self._currencies()
        every = [
            self._bound(terms, operation, currency)
            for operation in operations(visit.speech)
            for currency in currencies
        ]
        return drawn(
            visit,
            "office/application.html",
            status,
            here=application_place(application.id),
            application=application,
            terms=terms,
            keys=await self._office.keys(application.id),
            lands=self._lands(visit),
            operations=operations(visit.speech),
            currencies=currencies,
            own=[bound for bound in every if bound.own],
            usual=[bound for bound in every if not bound.own],
            changes=configures(visit),
            errors=errors,
            typed=visit.form if errors else _NOTHING,
            most_fee=FEE_MOST_BPS,
            done=visit.query.get("done"),
        )


def _read_term(name: str, text: str) -> int | None:
    """A fee or a rate as it was typed; None for what is none. A rate left empty is as usual."""
    text = text.strip()
    if name == "rate_limit":
        return USUAL_RATE_LIMIT if not text else _read_whole(text, 0, MOST_RATE_LIMIT)
    return _read_whole(text, 0, FEE_MOST_BPS)


def _read_units(text: str) -> int | None:
    """Whole units of a currency, with spaces or without."""
    return _read_whole("".join(text.split()), 1, _MOST_UNITS)


def _read_whole(text: str, least: int, most: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return None
    return int(text) if least <= int(text) <= most else None


def _only(form: Mapping[str, str], changed: Mapping[str, object]) -> dict[str, str]:
    """The fields of what would change: what is not seen to change is not sent again."""
    named_by = {
        "payment_fee_bps": "paymentFeeBps",
        "payout_fee_bps": "payoutFeeBps",
        "rate_limit": "rateLimit",
    }
    return {name: value for name, value in form.items() if named_by.get(name, "") in ("", *changed)}


def _spelled(visit: Visit, limits: Limits | None) -> str:
    if limits is None:
        return visit.speech.say("no bounds")
    return f"{visit.speech.money(limits.least)} – {visit.speech.money(limits.most)}"


def _back(application: Application, done: str) -> Answer:
    # To its head, where it says what was done.
    return redirect(f"{application_place(application.id)}?done={done}#main")
