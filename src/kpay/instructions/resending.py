"""Having a rail call back again, for an operator whose side was not heard, or did not listen.

A callback decides nothing here, so one that comes again only has the status asked for.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import ResendsCallbacks
from kpay.connectors.routing import Routing
from kpay.connectors.wire import NoAnswer
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.instructions.store import SQL


class Resending(msgspec.Struct, frozen=True):
    """What a rail said to that. `why_not` is None where it does."""

    environment: Environment
    connector: str
    why_not: str | None


async def resend_callback(database: Database, routing: Routing, reference: UUID) -> Resending:
    """Ask the rail that has our reference to call back about it again.

    Refuses: not_found, where no rail was ever handed it.
    """
    rows = await database.fetch(SQL["handed_over"], reference)
    if not rows:
        raise Refusal(
            Code.NOT_FOUND,
            f"No rail was handed {reference}: give the providerReference of an operation.",
        )
    row = rows[0]
    environment, name = Environment(row["environment"]), row["connector"]
    connector: object = routing.named(environment, name)
    if connector is None:
        return Resending(environment, name, "it is not in service")
    if not isinstance(connector, ResendsCallbacks):
        return Resending(environment, name, "it cannot call back again")
    try:
        why_not = await connector.resend_callback(OperationType(row["type"]), reference)
    except NoAnswer as problem:
        why_not = f"no answer: {problem}"
    return Resending(environment, name, why_not)
