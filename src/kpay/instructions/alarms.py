"""What is said loudly when a rail needs a person."""

from __future__ import annotations

from uuid import UUID

import structlog

from kpay import metrics

log = structlog.get_logger(__name__)


def rail_alarm(connector: str, why: str, reference: UUID) -> None:
    """Asking again alone will not mend it: count it, and say what it is about."""
    metrics.rail_alarms.labels(connector).inc()
    log.error("rail_alarm", connector=connector, why=why, reference=str(reference))
