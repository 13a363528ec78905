"""My applications: a card each, and for each environment its keys, webhooks and terms."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from kpay.access.flow import AccessError, Office
from kpay.access.model import Application, KeyPair, PublicKey
from kpay.approvals.flow import Approvals
from kpay.core.book import Book, Environment
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.house import drawn
from kpay.dashboard.page import OVERVIEW, PREFIX, Gone, Page, Reach, Visit, book_address
from kpay.people.model import Membership, Right
from kpay.web.pages import Answer, redirect
from kpay.webhooks.flow import Secrets, Webhooks
from kpay.webhooks.model import Endpoint, Topic

_NOTHING: Mapping[str, str] = {}
_SETTINGS = f"{PREFIX}/app/{{application}}/{{environment}}/settings"


class Card(msgspec.Struct, frozen=True):
    """An application as its company's people look it over."""

    application: Application
    keys: Mapping[Environment, PublicKey]
    waiting: Mapping[Book, int]
    """How many requests for approval the visitor could decide."""


class Shelf(msgspec.Struct, frozen=True):
    """A company of the visitor's with all that it has."""

    membership: Membership
    cards: list[Card]


class Applications:
    """The overview, and the settings of an application in one environment."""

    def __init__(self, office: Office, webhooks: Webhooks, approvals: Approvals) -> None:
        self._office = office
        self._approvals = approvals
        self._webhooks = webhooks

    def pages(self) -> list[Page]:
        right = Right.APPLICATIONS
        return [
            Page("GET", f"{PREFIX}/applications", Reach.PERSON, self.overview),
            Page("GET", _SETTINGS, Reach.BOOK, self.settings, right),
            Page("POST", f"{_SETTINGS}/keys", Reach.BOOK, self.regenerate, right),
            Page("POST", f"{_SETTINGS}/webhooks/{{topic}}", Reach.BOOK, self.set_url, right),
            Page("POST", f"{_SETTINGS}/secret", Reach.BOOK, self.reveal, right),
        ]

    async def overview(self, visit: Visit) -> Answer:
        if visit.session.person.operator_role is not None:
            # Who runs KPay has no application: everybody comes here first after the door.
            return redirect(OVERVIEW)
        shelves = [
            Shelf(membership, await self._cards(visit, membership.company_id))
            for membership in visit.session.memberships
        ]
        return drawn(visit, "applications.html", shelves=shelves)

    async def settings(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def regenerate(self, visit: Visit) -> Answer:
        """A new pair, shown on this answer and never again: it is not led to another page."""
        if _owes_a_factor(visit):
            return redirect(SET_UP)
        key = (await self._office.keys(visit.application.id)).get(visit.book.environment)
        if visit.form.get("instead", "") != (key.api_key if key else ""):
            # Reloading what showed a pair sends the form again, and would end the pair just copied.
            return await self._shown(visit, 409, stale=True)
        try:
            pair = await self._office.regenerate_keys(
                visit.application.id, visit.book.environment, by=visit.session.actor
            )
        except AccessError:
            # Live keys of a company that was not approved: the page says so in the form's place.
            return await self._shown(visit, 409)
        return await self._shown(visit, pair=pair)

    async def set_url(self, visit: Visit) -> Answer:
        """Set a topic's URL, or take it away where the field was left empty."""
        if _owes_a_factor(visit):
            return redirect(SET_UP)
        name, url = visit.path["topic"], visit.form.get("url", "").strip()
        topic = next((each for each in Topic if each == name), None)
        if topic is None:
            raise Gone
        try:
            await self._set(visit, topic, url)
        except Refusal as refusal:
            if refusal.code is not Code.INVALID_WEBHOOK_URL:
                raise
            words = visit.speech.say(
                "This address cannot be used: it must be a public one, and begin with https:// "
                "in live."
            )
            return await self._shown(visit, 422, errors={name: words}, typed={name: url})
        return redirect(book_address(visit.book, "settings") + "?done=url#webhooks")

    async def reveal(self, visit: Visit) -> Answer:
        """The secret that webhooks are signed with, on this answer alone."""
        if _owes_a_factor(visit):
            return redirect(SET_UP)
        secret = await self._webhooks.show_secrets(visit.book, by=visit.session.actor)
        return await self._shown(visit, secret=secret)

    async def _cards(self, visit: Visit, company_id: UUID) -> list[Card]:
        waiting: Mapping[Book, int] = {}
        if visit.session.right(company_id, Right.APPROVE):
            person_id = visit.session.person.id
            waiting = await self._approvals.waiting_in(company_id, person_id)
        return [
            Card(
                application,
                await self._office.keys(application.id),
                {
                    book: count
                    for book, count in waiting.items()
                    if book.application_id == application.id
                },
            )
            for application in await self._office.of_company(company_id)
        ]

    async def _set(self, visit: Visit, topic: Topic, url: str) -> None:
        if url:
            await self._webhooks.set_url(visit.book, topic, url, by=visit.session.actor)
        elif topic in await self._endpoints(visit):
            await self._webhooks.remove_url(visit.book, topic, by=visit.session.actor)

    async def _endpoints(self, visit: Visit) -> dict[Topic, Endpoint]:
        return {each.topic: each for each in await self._webhooks.endpoints(visit.book)}

    async def _shown(
        self,
        visit: Visit,
        status: int = 200,
        *,
        pair: KeyPair | None = None,
        secret: Secrets | None = None,
        errors: Mapping[str, str] = _NOTHING,
        typed: Mapping[str, str] = _NOTHING,
        stale: bool = False,
    ) -> Answer:
        keys = await self._office.keys(visit.application.id)
        return drawn(
            visit,
            "settings.html",
            status,
            key=keys.get(visit.book.environment),
            endpoints=await self._endpoints(visit),
            topics=list(Topic),
            pair=pair,
            secret=secret,
            errors=errors,
            typed=typed,
            stale=stale,
            asked=visit.query.get("ask"),
            done=visit.query.get("done"),
        )


def _owes_a_factor(visit: Visit) -> bool:
    """Whether an owner would change what is live without a second factor: one is set up first."""
    company_id = visit.where.membership.company_id
    try:
        visit.session.check(company_id, Right.APPLICATIONS, visit.book.environment)
    except Refusal as refusal:
        if refusal.code is not Code.SECOND_FACTOR_NEEDED:
            raise
        return True
    return False
