"""What the document shows of these routes."""

from __future__ import annotations

from typing import Any

from kpay.core.routes import Example
from kpay.core.sheet import table

_REFUND: dict[str, Any] = {
    "id": "rfd_01jyegyx8gf9q2n7v4t5m0c3kd",
    "reference": "KPAY-RF-20260623-7GH2KM",
    "providerReference": "0197a0e8-b800-7d21-9f35-8b6c1e4a7d90",
    "status": "PENDING",
    "amount": 5000,
    "currency": "XAF",
    "originalPaymentId": "pay_01jyegwm00e8g9wv3kcaw7b2sd",
    "originalPaymentStatus": "COMPLETED",
    "externalId": "REFUND-1",
    "provider": "MTN_MOMO_CMR",
    "country": "CMR",
    "phoneNumber": "237653456789",
    "isTest": True,
    "message": "Refund request received. Processing via Mobile Money.",
    "createdAt": "2026-06-23T10:10:00.000Z",
}
_COMPLETED = {
    **_REFUND,
    "status": "COMPLETED",
    "message": "The payer has got back all that was paid.",
}
_CANCELLED = {
    **_REFUND,
    "status": "CANCELLED",
    "message": "The refund was cancelled: the whole amount is back in the wallet.",
}
_PROCESSING = {
    **_REFUND,
    "status": "PROCESSING",
    "phoneNumber": "237653456129",
    "message": "The operator is processing this refund.",
}
_MORE: dict[str, Any] = {
    "reason": "Out of stock",
    "completedAt": "2026-06-23T10:10:03.000Z",
    "failedAt": None,
    "failureReason": None,
}
REFUNDS = (
    Example(
        "All that was paid goes back",
        _REFUND,
        {"reason": "Out of stock", "externalId": "REFUND-1"},
    ),
)
DETAIL = (
    Example(
        "A refund that the payer has got",
        {
            **_COMPLETED,
            **_MORE,
            "attempts": [
                {
                    "number": 1,
                    "action": "submit",
                    "connector": "sandbox",
                    "sent": {
                        "operationType": "REFUND",
                        "reference": "0197a0e8-b800-7d21-9f35-8b6c1e4a7d90",
                        "provider": "MTN_MOMO_CMR",
                        "phoneNumber": "237653456789",
                        "amount": "5000",
                        "currency": "XAF",
                        "depositReference": "5f0e2c64-93b1-4b6d-a6ce-3c5d2f8e9b10",
                    },
                    "sentAt": "2026-06-23T10:10:00.000Z",
                    "outcome": "paid",
                    "answer": {"status": "COMPLETED"},
                    "answeredAt": "2026-06-23T10:10:03.000Z",
                }
            ],
        },
    ),
)
PAGE = (Example("One page", {"data": [_COMPLETED], "nextCursor": None}),)
FILE = (Example("One refund", table({**_COMPLETED, **_MORE}, without=("message",))),)
CANCEL = (Example("A refund that was called back", _CANCELLED),)
ASKED = (
    Example(
        "Its operator is delayed, and was asked to cancel it",
        {
            **_PROCESSING,
            "message": "The operator was asked to cancel this refund: if it still can, it ends "
            "FAILED and the whole amount is back in the wallet.",
        },
    ),
)
FINISH = (
    Example(
        "It is to fail", _PROCESSING, {"outcome": "FAILED", "failureCode": "PAYER_UNREACHABLE"}
    ),
)
