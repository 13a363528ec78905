"""What the document shows of these routes: the shop of docs/statements.md."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kpay.core.routes import Example
from kpay.core.sheet import table

_COMPLETED: dict[str, Any] = {
    "id": "mov_CMR_3_2",
    "createdAt": "2026-06-24T08:00:03.000Z",
    "type": "WITHDRAWAL_COMPLETED",
    "operationId": "wdr_01jyp7nz80fq3v6xk2m9t4c1ha",
    "reference": "KPAY-WD-20260624-CRXS23",
    "externalId": "SUPPLIER-1",
    "description": "Supplier payment Côte d'Ivoire",
    "currency": "XAF",
    "amount": -50000,
    "reservedAmount": -50000,
    "balance": 40000,
    "reservedBalance": 0,
    "availableBalance": 40000,
    "grossAmount": 50000,
    "feeAmount": 2500,
    "netAmount": 47500,
    "provider": "MTN_MOMO_CIV",
    "counterCountry": "CIV",
    "counterAmount": Decimal("48226.75"),
    "counterCurrency": "XOF",
    "failureReason": None,
}
_RESERVED: dict[str, Any] = {
    **_COMPLETED,
    "id": "mov_CMR_3_1",
    "createdAt": "2026-06-24T08:00:00.000Z",
    "type": "WITHDRAWAL_RESERVED",
    "amount": 0,
    "reservedAmount": 50000,
    "balance": 90000,
    "reservedBalance": 50000,
    "grossAmount": None,
    "feeAmount": None,
    "netAmount": None,
}
_OPENING = {"balance": 90000, "reservedBalance": 0, "availableBalance": 90000}
_CLOSING = {"balance": 40000, "reservedBalance": 0, "availableBalance": 40000}
_TOTALS: list[dict[str, Any]] = [
    {
        "type": "WITHDRAWAL_RESERVED",
        "count": 1,
        "amount": 0,
        "reservedAmount": 50000,
        "feeAmount": 0,
    },
    {
        "type": "WITHDRAWAL_COMPLETED",
        "count": 1,
        "amount": -50000,
        "reservedAmount": -50000,
        "feeAmount": 2500,
    },
]
_NOTHING = {"line": None, **dict.fromkeys(_COMPLETED), "count": None}

MOVEMENTS = (
    Example(
        "A withdrawal: reserved, then paid", {"data": [_COMPLETED, _RESERVED], "nextCursor": None}
    ),
)
MOVEMENTS_FILE = (Example("A withdrawal: reserved, then paid", table(_COMPLETED, _RESERVED)),)
STATEMENT = (
    Example(
        "One day",
        {
            "country": "CMR",
            "currency": "XAF",
            "environment": "TEST",
            "from": "2026-06-24T00:00:00.000Z",
            "to": "2026-06-25T00:00:00.000Z",
            "opening": _OPENING,
            "movements": [_RESERVED, _COMPLETED],
            "totals": _TOTALS,
            "closing": _CLOSING,
        },
    ),
)
STATEMENT_FILE = (
    Example(
        "One day",
        table(
            *(
                {**_NOTHING, **line}
                for line in (
                    {
                        "line": "OPENING",
                        "createdAt": "2026-06-24T00:00:00.000Z",
                        "currency": "XAF",
                        **_OPENING,
                    },
                    {"line": "MOVEMENT", **_RESERVED},
                    {"line": "MOVEMENT", **_COMPLETED},
                    *({"line": "TOTAL", "currency": "XAF", **total} for total in _TOTALS),
                    {
                        "line": "CLOSING",
                        "createdAt": "2026-06-25T00:00:00.000Z",
                        "currency": "XAF",
                        **_CLOSING,
                    },
                )
            )
        ),
    ),
)
