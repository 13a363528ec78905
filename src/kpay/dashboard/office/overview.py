"""What the operator looks at first: what waits for an answer, what is paused, who was refused.

And the rails: which operators are open in each environment, and whose code speaks to them.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from kpay.catalogue.model import OFFERED, Catalogue, OperationType, Provider
from kpay.connectors.routing import Routing
from kpay.contradictions.flow import Contradictions
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.dashboard.deliveries import why_not
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import ENVIRONMENTS, public_id_of
from kpay.dashboard.page import OFFICE, OVERVIEW, RAILS, Page, Reach, Visit
from kpay.database.pool import Database
from kpay.instructions.waiting import WAITS_SINCE, Waiting, waiting
from kpay.people.model import OperatorRight
from kpay.people.staff import Staff
from kpay.reconciliation.breaks import count_open
from kpay.web.pages import Answer, redirect
from kpay.webhooks.flow import Webhooks

_MOST = 20
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Waits(msgspec.Struct, frozen=True):
    """What waits at a rail: its public id, its operator in words, and for how long."""

    one: Waiting
    public_id: str
    operator: str
    since: str


class Served(msgspec.Struct, frozen=True):
    """A provider in one environment: what each operation's status is, and by which connectors, in
    the order in which they are tried.
    """

    statuses: list[tuple[OperationType, str]]
    connector: str | None

    @property
    def alike(self) -> bool:
        return len({status for _, status in self.statuses}) == 1


class Rail(msgspec.Struct, frozen=True):
    """An operator of a country, in each environment."""

    provider: Provider
    served: dict[str, Served]


class Land(msgspec.Struct, frozen=True):
    """A country with its operators."""

    code: str
    name: str
    rails: list[Rail]


class OverviewPages:
    """The first page, and that of the rails."""

    def __init__(
        self,
        database: Database,
        staff: Staff,
        webhooks: Webhooks,
        contradictions: Contradictions,
        routing: Routing,
        catalogue: Catalogue,
        clock: Clock,
    ) -> None:
        self._database = database
        self._staff = staff
        self._webhooks = webhooks
        self._contradictions = contradictions
        self._routing = routing
        self._catalogue = catalogue
        self._clock = clock

    def pages(self) -> list[Page]:
        looks, ours = OperatorRight.VIEW, Reach.OPERATOR
        return [
            Page("GET", OFFICE, ours, self.first, looks),
            Page("GET", OVERVIEW, ours, self.show, looks),
            Page("GET", RAILS, ours, self.rails, looks),
        ]

    async def first(self, _visit: Visit) -> Answer:
        return redirect(OVERVIEW)

    async def show(self, visit: Visit) -> Answer:
        word = "test" if visit.query.get("environment") == "test" else "live"
        now = self._clock.now()
        # One more than is shown tells that there are more.
        waits = await waiting(self._database, ENVIRONMENTS[word], now, _MOST + 1)
        paused = await self._webhooks.paused(_MOST + 1)
        return drawn(
            visit,
            "office/overview.html",
            here=OVERVIEW,
            word=word,
            contradictions=await self._contradictions.count(),
            breaks=await count_open(self._database),
            minutes=WAITS_SINCE // _MINUTE,
            most=_MOST,
            waits=[self._waits(visit, one) for one in waits],
            paused=paused,
            why_not=why_not(visit.speech),
            refused=await self._staff.refused_sign_ins(_MOST),
        )

    async def rails(self, visit: Visit) -> Answer:
        lands = [
            Land(code, visit.speech.country(code), self._rails(code))
            for code in self._catalogue.countries
        ]
        lands.sort(key=lambda land: land.name.casefold())
        return drawn(visit, "office/rails.html", lands=lands)

    def _rails(self, country: str) -> list[Rail]:
        return [
            Rail(
                provider,
                {
                    word: self._served(environment, provider)
                    for word, environment in ENVIRONMENTS.items()
                },
            )
            for provider in self._catalogue.of_country(country)
        ]

    def _served(self, environment: Environment, provider: Provider) -> Served:
        order = [rail.name for rail in self._routing.rails(environment, provider)]
        statuses = [
            (operation, self._routing.status(environment, provider, operation))
            for operation in OFFERED
        ]
        return Served(statuses, " / ".join(order) or None)

    def _waits(self, visit: Visit, one: Waiting) -> Waits:
        provider = self._catalogue.providers.get(one.provider)
        operator = one.provider
        if provider is not None:
            operator = f"{provider.operator} {visit.speech.country(provider.country)}"
        return Waits(
            one,
            public_id_of(one.type, one.id),
            operator,
            how_long(visit, self._clock.now() - one.submitted_at),
        )


def how_long(visit: Visit, time: timedelta) -> str:
    """3 d 4 h, 2 h 5 min, 17 min."""
    say = visit.speech.say
    if time >= _DAY:
        return say("%(days)s d %(hours)s h", days=time // _DAY, hours=time % _DAY // _HOUR)
    if time >= _HOUR:
        return say(
            "%(hours)s h %(minutes)s min", hours=time // _HOUR, minutes=time % _HOUR // _MINUTE
        )
    return say("%(minutes)s min", minutes=time // _MINUTE)
