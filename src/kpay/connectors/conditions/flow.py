"""The terms on which rails work at present, told by the rails, kept for every process.

The worker asks each rail that can tell; every process, whether it drives work or not, reads what
was kept. While a rail does not answer, what it told last holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import Condition, TellsConditions
from kpay.connectors.routing import Routing
from kpay.connectors.wire import NoAnswer
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.core.limits import Limits
from kpay.core.money import Money
from kpay.database.pool import Database, Row
from kpay.database.queries import beside

SQL = beside(__file__)

ASK_AGAIN_AFTER = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Conditions:
    """Asks rails, keeps what they tell, and lets the routing know."""

    def __init__(self, database: Database, routing: Routing, clock: Clock) -> None:
        self._database = database
        self._routing = routing
        self._clock = clock
        self._tried: dict[tuple[Environment, str], datetime] = {}

    @property
    def _telling(self) -> list[tuple[Environment, str, TellsConditions]]:
        return [
            (environment, name, connector)
            for environment, name, connector in self._routing.all()
            if isinstance(connector, TellsConditions)
        ]

    async def look(self) -> None:
        """Let the routing know what was kept."""
        if not self._telling:
            return
        found: dict[tuple[Environment, str], list[Condition]] = {}
        for row in await self._database.fetch(SQL["conditions"]):
            key = Environment(row["environment"]), row["connector"]
            found.setdefault(key, []).append(_condition(row))
        for (environment, name), conditions in found.items():
            self._routing.learn(environment, name, conditions)

    async def work(self, _limit: int) -> int:
        """Ask whichever rail was not asked for a minute. Returns how many have told something."""
        told = 0
        for environment, name, connector in self._telling:
            if await self._is_due(environment, name):
                told += await self._ask(environment, name, connector)
        if told:
            await self.look()
        return told

    async def _is_due(self, environment: Environment, name: str) -> bool:
        limit = self._clock.now() - ASK_AGAIN_AFTER
        tried = self._tried.get((environment, name))
        if tried is not None and tried > limit:
            return False
        told_at = await self._database.fetchval(SQL["conditions_told_at"], environment, name)
        return told_at is None or told_at <= limit

    async def _ask(self, environment: Environment, name: str, connector: TellsConditions) -> int:
        self._tried[environment, name] = self._clock.now()
        try:
            conditions = await connector.conditions()
        except NoAnswer as problem:
            log.warning("rail_conditions_not_told", connector=name, why=str(problem))
            return 0
        if not conditions:
            log.warning("rail_conditions_not_told", connector=name, why="it tells of no provider")
            return 0
        await self._keep(environment, name, conditions)
        return 1

    async def _keep(
        self, environment: Environment, name: str, conditions: Sequence[Condition]
    ) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(SQL["forget_conditions"], environment, name)
            await connection.execute(
                SQL["keep_conditions"],
                environment,
                name,
                [one.provider for one in conditions],
                [one.operation for one in conditions],
                [one.currency for one in conditions],
                [one.status for one in conditions],
                [one.decimals for one in conditions],
                [None if one.limits is None else one.limits.least.minor for one in conditions],
                [None if one.limits is None else one.limits.most.minor for one in conditions],
                self._clock.now(),
            )


def _condition(row: Row) -> Condition:
    currency = row["currency"]
    limits = None
    if row["least"] is not None:
        limits = Limits(Money(row["least"], currency), Money(row["most"], currency))
    return Condition(
        provider=row["provider"],
        operation=OperationType(row["operation"]),
        currency=currency,
        status=row["status"],
        decimals=row["decimals"],
        limits=limits,
    )
