"""My applications: a card each, and for each environment its keys, webhooks and terms."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kpay.access.flow import AccessError, Office
from kpay.access.model import Application, KeyPair, PublicKey
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.drawing import HEADERS, draw
from kpay.dashboard.menu import menu
from kpay.dashboard.page import PREFIX, Page, Reach, Visit, book_address
from kpay.people.model import Membership, Right
from kpay.web.pages import Answer, redirect
from kpay.webhooks.flow import Webhooks
from kpay.webhooks.model import Endpoint, Topic

_SETTINGS = f"{PREFIX}/app/{{application}}/{{environment}}/settings"


class Card(msgspec.Struct, frozen=True):
    """An application as its company's people look it over."""

    application: Application
    keys: Mapping[Environment, PublicKey]


class Shelf(msgspec.Struct, frozen=True):
    """A company of the visitor's with all that it has."""

    membership: Membership
    cards: list[Card]


def pages(office: Office, webhooks: Webhooks) -> list[Page]:
    """The overview, and the settings of an application in one environment."""

    async def overview(visit: Visit) -> Answer:
        shelves = [
            Shelf(
                membership,
                [
                    Card(application, await office.keys(application.id))
                    for application in await office.of_company(membership.company_id)
                ],
            )
            for membership in visit.session.memberships
        ]
        return _drawn(visit, "applications.html", shelves=shelves)

    async def settings(visit: Visit) -> Answer:
        return await shown(visit)

    async def shown(visit: Visit, status: int = 200, **more: object) -> Answer:
        keys = await office.keys(visit.application.id)
        given = {
            "key": keys.get(visit.book.environment),
            "endpoints": await _endpoints(visit),
            "topics": list(Topic),
            "pair": None,
            "secret": None,
            "errors": {},
            "typed": {},
            "asked": visit.query.get("ask"),
            "done": visit.query.get("done"),
            **more,
        }
        return _drawn(visit, "settings.html", status, **given)

    async def _endpoints(visit: Visit) -> dict[Topic, Endpoint]:
        return {each.topic: each for each in await webhooks.endpoints(visit.book)}

    async def regenerate(visit: Visit) -> Answer:
        """A new pair, shown on this answer and never again: it is not led to another page."""
        visit.session.check(
            visit.where.membership.company_id, Right.APPLICATIONS, visit.book.environment
        )
        try:
            pair: KeyPair = await office.regenerate_keys(
                visit.application.id, visit.book.environment
            )
        except AccessError:
            # Live keys of a company that was not approved: the page says so in the form's place.
            return await shown(visit, 409)
        return await shown(visit, pair=pair)

    async def set_url(visit: Visit) -> Answer:
        topic, url = visit.path["topic"], visit.form.get("url", "").strip()
        if topic not in set(Topic):
            raise Refusal(Code.NOT_FOUND, "There is no such topic.")
        visit.session.check(
            visit.where.membership.company_id, Right.APPLICATIONS, visit.book.environment
        )
        try:
            if url:
                await webhooks.set_url(visit.book, Topic(topic), url)
            else:
                await webhooks.remove_url(visit.book, Topic(topic))
        except Refusal as refusal:
            if refusal.code is Code.NOT_FOUND:
                return redirect(book_address(visit.book, "settings"))
            if refusal.code is not Code.INVALID_WEBHOOK_URL:
                raise
            words = visit.speech.say(
                "This address cannot be used: it must be a public one, and begin with https:// "
                "in live."
            )
            return await shown(visit, 422, errors={topic: words}, typed={topic: url})
        return redirect(book_address(visit.book, "settings") + "?done=url#webhooks")

    async def reveal(visit: Visit) -> Answer:
        """The secret that webhooks are signed with, on this answer alone."""
        visit.session.check(
            visit.where.membership.company_id, Right.APPLICATIONS, visit.book.environment
        )
        return await shown(visit, secret=await webhooks.secrets(visit.book))

    return [
        Page("GET", f"{PREFIX}/applications", Reach.PERSON, overview),
        Page("GET", _SETTINGS, Reach.BOOK, settings, Right.APPLICATIONS),
        Page("POST", f"{_SETTINGS}/keys", Reach.BOOK, regenerate, Right.APPLICATIONS),
        Page("POST", f"{_SETTINGS}/webhooks/{{topic}}", Reach.BOOK, set_url, Right.APPLICATIONS),
        Page("POST", f"{_SETTINGS}/secret", Reach.BOOK, reveal, Right.APPLICATIONS),
    ]


def _drawn(visit: Visit, template: str, status: int = 200, **given: object) -> Answer:
    return Answer(
        status, draw(template, visit.speech, visit=visit, menu=menu(visit), **given), HEADERS
    )
