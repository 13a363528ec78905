"""What the document shows of these routes."""

from __future__ import annotations

from typing import Any

from kpay.core.routes import Example
from kpay.core.sheet import table

_PAYMENT: dict[str, Any] = {
    "id": "pay_01jyegwm00e8g9wv3kcaw7b2sd",
    "reference": "KPAY-20260623-4FWK2S",
    "providerReference": "5f0e2c64-93b1-4b6d-a6ce-3c5d2f8e9b10",
    "status": "PENDING",
    "mode": "USSD",
    "amount": 5000,
    "currency": "XAF",
    "externalId": "ORDER-1",
    "provider": "MTN_MOMO_CMR",
    "country": "CMR",
    "phoneNumber": "237653456789",
    "isTest": True,
    "message": "Payment request received. The payer will be asked to confirm it.",
    "createdAt": "2026-06-23T10:00:00.000Z",
}
_COMPLETED = {
    **_PAYMENT,
    "status": "COMPLETED",
    "message": "The payment is complete and credited to the wallet.",
}
_MORE: dict[str, Any] = {
    "netAmount": 4750,
    "feeAmount": 250,
    "description": "Order 1",
    "customerName": "Awa Ndiaye",
    "customerEmail": None,
    "metadata": {"cart": "7c1e"},
    "completedAt": "2026-06-23T10:00:03.000Z",
    "failedAt": None,
    "failureReason": None,
}
_LINE = {**_COMPLETED, "expiresAt": None, **_MORE, "metadata": '{"cart": "7c1e"}'}
_HOSTED = {
    **_PAYMENT,
    "id": "pay_01jyegwm00d5w7r2m8q4x6b1tz",
    "reference": "KPAY-20260623-9HM3WT",
    "providerReference": None,
    "mode": "GATEWAY",
    "externalId": "ORDER-2",
    "provider": None,
    "country": None,
    "phoneNumber": None,
    "message": "Send the payer to gatewayUrl: they choose there how to pay.",
    "gatewayUrl": "https://pay.example.com/gateway/gw_" + "a5v2" * 13,
    "expiresAt": "2026-06-23T10:30:00.000Z",
}
_PROCESSING = {
    **_PAYMENT,
    "status": "PROCESSING",
    "phoneNumber": "237653456129",
    "message": "The payer is asked to confirm the payment on their phone.",
}
PAYMENTS = (
    Example(
        "On the payer's phone",
        _PAYMENT,
        {
            "amount": 5000,
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
            "externalId": "ORDER-1",
            "description": "Order 1",
            "customerName": "Awa Ndiaye",
            "metadata": {"cart": "7c1e"},
        },
    ),
    Example(
        "On the hosted page",
        _HOSTED,
        {
            "amount": 5000,
            "currency": "XAF",
            "externalId": "ORDER-2",
            "returnUrl": "https://shop.example/paid",
            "cancelUrl": "https://shop.example/basket",
            "description": "Order 2",
        },
    ),
)
DETAIL = (
    Example(
        "A payment that was paid",
        {
            **_COMPLETED,
            **_MORE,
            "attempts": [
                {
                    "number": 1,
                    "action": "submit",
                    "connector": "sandbox",
                    "sent": {
                        "operationType": "DEPOSIT",
                        "reference": "5f0e2c64-93b1-4b6d-a6ce-3c5d2f8e9b10",
                        "provider": "MTN_MOMO_CMR",
                        "phoneNumber": "237653456789",
                        "amount": "5000",
                        "currency": "XAF",
                    },
                    "sentAt": "2026-06-23T10:00:00.000Z",
                    "outcome": "paid",
                    "answer": {"status": "COMPLETED"},
                    "answeredAt": "2026-06-23T10:00:03.000Z",
                }
            ],
            "refunds": [],
            "refundedAmount": 0,
        },
    ),
)
PAGE = (Example("One page", {"data": [_COMPLETED], "nextCursor": None}),)
FILE = (Example("One payment", table(_LINE, without=("message",))),)
FINISH = (Example("It is to be paid", _PROCESSING, {"outcome": "COMPLETED"}),)
