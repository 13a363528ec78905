"""What a process shows to programs: the API, and the doors of rails and of the office."""

from __future__ import annotations

from functools import partial

from kpay.access import api as access_api
from kpay.app.parts import Parts
from kpay.connectors import api as connectors_api
from kpay.core.routes import Route
from kpay.events import api as events_api
from kpay.office.door import OfficeDoor
from kpay.payments import api as payments_api
from kpay.payouts import api as payouts_api
from kpay.rates import api as rates_api
from kpay.refunds import api as refunds_api
from kpay.statements import api as statements_api
from kpay.transfers import api as transfers_api
from kpay.wallets import api as wallets_api
from kpay.web.address import Addresses
from kpay.web.callbacks import CallbackDoor
from kpay.webhooks import api as webhooks_api


def routes(parts: Parts) -> list[Route]:
    """Every route of the API, as each noun declares its own."""
    return [
        *access_api.routes(parts.gate),
        *wallets_api.routes(parts.database),
        *transfers_api.routes(parts.transfers, parts.gate),
        *statements_api.routes(parts.statements, parts.clock),
        *payments_api.routes(
            parts.payments,
            parts.gateways,
            parts.gate,
            partial(refunds_api.of_payment, parts.refunds),
        ),
        *payouts_api.routes(parts.payouts, parts.gateways, parts.gate),
        *refunds_api.routes(parts.refunds),
        *events_api.routes(parts.database),
        *webhooks_api.routes(parts.webhooks),
        *rates_api.routes(parts.rates),
        *connectors_api.routes(parts.catalogue, parts.routing, parts.predictions),
    ]


def callback_door(parts: Parts) -> CallbackDoor:
    """Where rails call back."""
    return CallbackDoor(parts.callbacks, parts.clock, parts.settings.public_url)


def office_door(parts: Parts) -> OfficeDoor:
    """Where the operator's own programs read what waits for a person."""
    return OfficeDoor(
        parts.settings.office_token,
        parts.database,
        parts.breaks,
        parts.contradictions,
        Addresses(parts.settings.trusted_proxies),
        parts.clock,
    )
