"""What the document shows of these routes: the two transfers of the page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kpay.core.routes import Example
from kpay.core.sheet import table

_APPLICATION = "e7c3b4f5-8d9e-4a1b-9c2d-3e4f5a6b7c8d"

_SAME: dict[str, Any] = {
    "id": "a1b2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
    "sourceTransaction": {
        "id": "a1b2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
        "reference": "TRF-OUT-ABC123",
        "type": "WALLET_TRANSFER_OUT",
        "amount": 50000,
        "currency": "XAF",
        "country": "CMR",
    },
    "destinationTransaction": {
        "id": "e5f6a7b8-9c0d-4e1f-8a2b-3c4d5e6f7a8b",
        "reference": "TRF-IN-ABC123",
        "type": "WALLET_TRANSFER_IN",
        "amount": 50000,
        "currency": "XAF",
        "country": "GAB",
    },
    "exchangeRate": 1,
    "description": "Fund transfer CMR to GAB",
    "externalId": "TRF-2026-001",
    "createdAt": "2026-06-23T10:00:00.000Z",
    "fx": {
        "rate": "1",
        "source": "fixed",
        "asOf": "2026-06-23T10:00:00.000Z",
        "marginBps": 0,
    },
}
_ACROSS: dict[str, Any] = {
    "id": "c3d4e5f6-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
    "sourceTransaction": {
        "id": "c3d4e5f6-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
        "reference": "TRF-OUT-DEF456",
        "type": "WALLET_TRANSFER_OUT",
        "amount": 100000,
        "currency": "XAF",
        "country": "CMR",
    },
    "destinationTransaction": {
        "id": "a7b8c9d0-1e2f-4a3b-8c4d-5e6f7a8b9c0d",
        "reference": "TRF-IN-DEF456",
        "type": "WALLET_TRANSFER_IN",
        "amount": 101530,
        "currency": "XOF",
        "country": "SEN",
    },
    "exchangeRate": Decimal("1.0153"),
    "description": "Supply Senegal wallet",
    "externalId": "TRF-2026-002",
    "createdAt": "2026-06-23T10:05:00.000Z",
    "fx": {
        "rate": "1.0153",
        "source": "file",
        "asOf": "2026-06-23T10:05:00.000Z",
        "marginBps": 0,
    },
}


def _line(transfer: dict[str, Any]) -> dict[str, Any]:
    """A transfer as a line of a file."""
    source, destination = transfer["sourceTransaction"], transfer["destinationTransaction"]
    parts = ("reference", "country", "amount", "currency")
    return {
        "id": transfer["id"],
        **{f"source{part.capitalize()}": source[part] for part in parts},
        **{f"destination{part.capitalize()}": destination[part] for part in parts},
        "exchangeRate": transfer["exchangeRate"],
        "rate": transfer["fx"]["rate"],
        "rateSource": transfer["fx"]["source"],
        "rateAsOf": transfer["fx"]["asOf"],
        "description": transfer["description"],
        "externalId": transfer["externalId"],
        "createdAt": transfer["createdAt"],
    }


TRANSFERS = (
    Example(
        "Same currency (XAF to XAF)",
        _SAME,
        {
            "applicationId": _APPLICATION,
            "sourceCountry": "CMR",
            "destinationCountry": "GAB",
            "amount": 50000,
            "description": "Fund transfer CMR to GAB",
            "externalId": "TRF-2026-001",
        },
    ),
    Example(
        "Cross-currency (XAF to XOF)",
        _ACROSS,
        {
            "applicationId": _APPLICATION,
            "sourceCountry": "CMR",
            "destinationCountry": "SEN",
            "amount": 100000,
            "description": "Supply Senegal wallet",
            "externalId": "TRF-2026-002",
        },
    ),
)
DETAIL = (Example("A transfer across currencies", _ACROSS),)
PAGE = (Example("The last two", {"data": [_ACROSS, _SAME], "nextCursor": None}),)
FILE = (Example("The last two", table(_line(_ACROSS), _line(_SAME))),)
