"""What the document shows of these routes."""

from __future__ import annotations

from kpay.core.routes import Example

EVENTS = (
    Example(
        "A withdrawal and a payment that ended",
        {
            "data": [
                {
                    "id": "evt_01jyegwq2pf69s1b9wjn4hk3zc",
                    "event": "payout.completed",
                    "paymentId": "wdr_01jyegwm00f4dtc3y0mxq5r8hn",
                    "createdAt": "2026-06-23T10:00:03.000Z",
                },
                {
                    "id": "evt_01jyegq8v0evp9xnm2tafk5d7s",
                    "event": "payment.failed",
                    "paymentId": "pay_01jyegm5gaf6q8w3s1e0b7vtk4",
                    "createdAt": "2026-06-23T09:57:00.000Z",
                },
            ],
            "nextCursor": None,
        },
    ),
)
