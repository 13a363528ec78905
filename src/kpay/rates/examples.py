"""What the document shows of these routes."""

from __future__ import annotations

from decimal import Decimal

from kpay.core.routes import Example

RATE = (
    Example(
        "From XAF to XOF",
        {
            "from": "XAF",
            "to": "XOF",
            "rate": Decimal("1.0153"),
            "source": "file",
            "asOf": "2026-06-23T10:00:00.000Z",
            "expiresAt": "2026-06-23T11:00:00.000Z",
        },
    ),
)
