"""Reconciliation's whole story: plan a day → ask balances → order, read and match each statement.

All of it is due work in the database (promise 10): a wallet's day is claimed, goes from stage to
stage, and is taken up again where it stood when a process has died. No transaction is open while a
rail is spoken to, and a rail that does not answer is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import structlog

from kpay import metrics
from kpay.catalogue.model import Catalogue
from kpay.connectors.routing import Routing
from kpay.connectors.statements import Line, NotReady, TellsStatements, TicketLost
from kpay.connectors.wire import NoAnswer
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.database.pool import Database, outside_transaction
from kpay.reconciliation import breaks, store
from kpay.reconciliation.matching import Matching
from kpay.reconciliation.model import Cut
from kpay.reconciliation.store import Claimed

# A rail's statement of a day is whole some time after the day.
READY_AFTER = timedelta(hours=1)
# No statement reaches further back, and no more days are made up for at once.
MOST_DAYS = 31
# Longer than it takes to read a part of a statement.
CLAIM = timedelta(minutes=10)
_NOT_READY = timedelta(minutes=1)
_AFTER_TROUBLE = timedelta(minutes=10)

log = structlog.get_logger(__name__)


class Reconciliation:
    """Holds our books against those of every rail that tells its statements."""

    def __init__(
        self, database: Database, catalogue: Catalogue, routing: Routing, clock: Clock, ids: Ids
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._routing = routing
        self._clock = clock
        self._ids = ids
        self._planned: tuple[frozenset[tuple[Environment, str]], date] | None = None

    @property
    def rails(self) -> Sequence[tuple[Environment, str]]:
        """The rails that tell statements."""
        return [
            (environment, name)
            for environment, name, connector in self._routing.all()
            if isinstance(connector, TellsStatements)
        ]

    async def work(self, limit: int) -> int:
        """Go on with up to `limit` of what is due. Returns how many steps were made."""
        rails = self.rails
        if not rails:
            return 0
        await self._plan(rails)
        done = 0
        while done < limit and (await self._ask(rails) or await self._go_on(rails)):
            done += 1
        if done:
            await self.count()
        return done

    async def plan(self, day: date) -> None:
        """Have a day done, with those since the last one. A day that is not over is not done.

        Days of a wallet follow each other, so one before the first that was done is left out.
        """
        for environment, connector in self.rails:
            await self._plan_until(environment, connector, min(day, self.latest))

    @property
    def latest(self) -> date:
        """The last day of which rails have a whole statement."""
        return (self._clock.now() - READY_AFTER).date() - timedelta(days=1)

    async def count(self) -> int:
        """How many breaks wait for an operator, as the metric says as well."""
        waiting = await breaks.count_open(self._database)
        metrics.open_breaks.set(waiting)
        return waiting

    # Plan: every day of every rail, once.

    async def _plan(self, rails: Sequence[tuple[Environment, str]]) -> None:
        planned = frozenset(rails), self.latest
        if self._planned != planned:
            for environment, connector in rails:
                await self._plan_until(environment, connector, self.latest)
            self._planned = planned

    async def _plan_until(self, environment: Environment, connector: str, day: date) -> None:
        last = await store.last_day(self._database, environment, connector)
        first = day if last is None else max(last + _DAY, day - (MOST_DAYS - 1) * _DAY)
        days = [first + number * _DAY for number in range((day - first).days + 1)]
        if days:
            await store.plan(self._database, environment, connector, days, self._clock.now())

    # Ask: which wallets there are, and what each holds.

    async def _ask(self, rails: Sequence[tuple[Environment, str]]) -> bool:
        now = self._clock.now()
        due = await store.claim_day(self._database, rails, now, now + CLAIM)
        if due is None:
            return False
        environment, connector, day = due
        outside_transaction()
        try:
            balances = await self._rail(environment, connector).balances()
        except NoAnswer as problem:
            log.warning("rail_balances_not_told", connector=connector, why=str(problem))
            again = self._clock.now() + _AFTER_TROUBLE
            await store.day_troubled(
                self._database, environment, connector, day, again, str(problem)
            )
        else:
            now = self._clock.now()
            await store.day_told(self._database, environment, connector, day, balances, now)
        return True

    # Order, read and match: each wallet's day, stage by stage.

    async def _go_on(self, rails: Sequence[tuple[Environment, str]]) -> bool:
        now = self._clock.now()
        claimed = await store.claim(self._database, rails, now, now + CLAIM)
        if claimed is None:
            return False
        try:
            if await self._fetch(claimed):
                await self._match(claimed)
        except NotReady:
            await self._wait(claimed, "read", claimed.ticket, _NOT_READY, "is being made")
        except TicketLost as problem:
            await self._wait(claimed, "order", None, _AFTER_TROUBLE, str(problem))
        except NoAnswer as problem:
            log.warning(
                "rail_statement_not_told",
                connector=claimed.place.connector,
                day=str(claimed.day),
                why=str(problem),
            )
            await self._wait(claimed, claimed.stage, claimed.ticket, _AFTER_TROUBLE, str(problem))
        return True

    async def _fetch(self, claimed: Claimed) -> bool:
        """Order a statement, then read it. Whether it is all here, and this process's to match."""
        if claimed.stage == "match":
            return True
        rail = self._rail(claimed.place.environment, claimed.place.connector)
        outside_transaction()
        if claimed.ticket is None:
            ticket = await rail.order_statement(claimed.place.wallet, claimed.day)
            # Who reads it comes back for it: a statement is hardly made at once.
            await store.go_on(self._database, claimed, "read", self._clock.now(), ticket=ticket)
            return False
        await self._read(rail, claimed, claimed.ticket)
        return await store.go_on(
            self._database, claimed, "match", self._until(), ticket=claimed.ticket
        )

    async def _read(self, rail: TellsStatements, claimed: Claimed, ticket: str) -> None:
        """Keep every line, part by part."""
        await store.clear_lines(self._database, claimed)
        number, part = 1, list[Line]()
        async for line in rail.read_statement(claimed.place.wallet, claimed.day, ticket):
            if line.amount.currency != claimed.place.wallet.currency:
                raise NoAnswer("a line of the statement is in another currency than its wallet")
            part.append(line)
            if len(part) == store.PART:
                number = await self._keep(claimed, number, part)
                part = []
        await self._keep(claimed, number, part)

    async def _keep(self, claimed: Claimed, number: int, part: Sequence[Line]) -> int:
        """Returns the number of the line that comes next.

        The claim is held anew: a long statement takes longer than it. Whoever took it over
        meanwhile reads the same lines, so what both have written is the same.
        """
        if part:
            await store.add_lines(self._database, claimed, number, part)
            await store.go_on(self._database, claimed, "read", self._until(), ticket=claimed.ticket)
        return number + len(part)

    async def _match(self, claimed: Claimed) -> None:
        first = await store.first_day(self._database, claimed.place)
        matching = Matching(
            self._database,
            self._clock,
            self._ids,
            claimed,
            Cut(claimed.day, first),
            await self._providers(claimed),
        )
        await store.finish(self._database, claimed, await matching.match())

    async def _providers(self, claimed: Claimed) -> list[str]:
        """Whose money the wallet holds."""
        wallet = claimed.place.wallet
        own = set() if wallet.provider else await store.own_wallets(self._database, claimed)
        return [
            provider.code
            for provider in self._catalogue.providers.values()
            if (provider.country, provider.currency) == (wallet.country, wallet.currency)
            and wallet.provider in (None, provider.code)
            and provider.code not in own
        ]

    async def _wait(
        self,
        claimed: Claimed,
        stage: str,
        ticket: str | None,
        wait: timedelta,
        why: str,
    ) -> None:
        again = self._clock.now() + wait
        await store.go_on(self._database, claimed, stage, again, ticket=ticket, trouble=why)

    def _until(self) -> datetime:
        return self._clock.now() + CLAIM

    def _rail(self, environment: Environment, name: str) -> TellsStatements:
        connector = self._routing.named(environment, name)
        if connector is None or not isinstance(connector, TellsStatements):
            raise NoAnswer(f"{name} tells no statements now")
        return connector


_DAY = timedelta(days=1)
