"""What the document shows of these routes."""

from __future__ import annotations

from typing import Any

from kpay.core.routes import Example

_WALLETS: list[dict[str, Any]] = [
    {
        "country": "CMR",
        "currency": "XAF",
        "balance": 100000,
        "reservedBalance": 10000,
        "availableBalance": 90000,
    },
    {
        "country": "SEN",
        "currency": "XOF",
        "balance": 101530,
        "reservedBalance": 0,
        "availableBalance": 101530,
    },
]
BALANCE = (Example("Two wallets, a withdrawal open on one", _WALLETS),)
OVERVIEW = (
    Example(
        "The same with a token",
        {
            "applicationId": "e7c3b4f5-8d9e-4a1b-9c2d-3e4f5a6b7c8d",
            "environment": "TEST",
            "wallets": _WALLETS,
        },
    ),
)
