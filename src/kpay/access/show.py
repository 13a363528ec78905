"""How new keys are shown: the one time their secrets are."""

from __future__ import annotations

from typing import Any

from kpay.access.flow import NewApplication
from kpay.access.model import KeyPair


def shown_pair(pair: KeyPair) -> dict[str, str]:
    return {"apiKey": pair.api_key, "secretKey": pair.secret_key}


def shown_application(new: NewApplication) -> dict[str, Any]:
    """A new application with every secret, as `kpay app create --json` prints it."""
    application = new.application
    return {
        "company": {"id": str(application.company.id), "name": application.company.name},
        "application": {"id": str(application.id), "name": application.name},
        "test": shown_pair(new.test),
        "live": None if new.live is None else shown_pair(new.live),
        "webhookSecret": new.webhook_secret,
        "gatewaySecret": new.gateway_secret,
    }
