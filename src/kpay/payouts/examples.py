"""What the document shows of these routes: the two withdrawals of the page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kpay.core.routes import Example
from kpay.core.sheet import table

_SAME: dict[str, Any] = {
    "id": "wdr_01jyegwm00f4dtc3y0mxq5r8hn",
    "reference": "KPAY-WD-20260623-ABC789",
    "providerReference": "0197a0e2-8000-7c4d-b2e7-6f1a9d3c5e80",
    "status": "PENDING",
    "mode": "USSD",
    "amount": 10000,
    "netAmount": 9500,
    "feeAmount": 500,
    "currency": "XAF",
    "externalId": "PAYOUT-CROSS-001",
    "provider": "ORANGE_GAB",
    "country": "GAB",
    "phoneNumber": "237653456789",
    "sourceCountry": "CMR",
    "isTest": True,
    "message": "Withdrawal request received. Processing via Mobile Money.",
    "createdAt": "2026-06-23T10:00:00.000Z",
}
_ACROSS: dict[str, Any] = {
    "id": "wdr_01jyp7nz80fq3v6xk2m9t4c1ha",
    "reference": "KPAY-WD-20260626-CRXS23",
    "providerReference": "c81d7b3a-60f4-4e52-9c81-4d7b0a6f3e25",
    "status": "PENDING",
    "mode": "USSD",
    "amount": 50000,
    "netAmount": 47500,
    "feeAmount": 2500,
    "currency": "XAF",
    "externalId": "PAYOUT-CROSS-002",
    "provider": "MTN_MOMO_CIV",
    "country": "CIV",
    "phoneNumber": "237653456789",
    "sourceCountry": "CMR",
    "isTest": True,
    "message": "Withdrawal request received. Processing via Mobile Money.",
    "createdAt": "2026-06-26T10:00:00.000Z",
    "payoutCurrency": "XOF",
    "payoutAmount": Decimal("48211.75"),
    "exchangeRate": Decimal("1.015"),
}
_PAID = {
    **_ACROSS,
    "status": "COMPLETED",
    "message": "The beneficiary has been paid.",
}
_MORE: dict[str, Any] = {
    "description": "Supplier payment Côte d'Ivoire",
    "metadata": None,
    "completedAt": "2026-06-26T10:00:03.000Z",
    "failedAt": None,
    "failureReason": None,
    "ifDelayed": "QUEUE",
    "queueMinutes": None,
    "queueUntil": None,
}
_HOSTED = {
    **_SAME,
    "id": "wdr_01jyegwm00a9k3n6v1z8c4f7rd",
    "reference": "KPAY-WD-20260623-5TQ8ZC",
    "providerReference": None,
    "mode": "GATEWAY",
    "externalId": "PAYOUT-HOSTED-001",
    "provider": None,
    "country": None,
    "phoneNumber": None,
    "message": "Send the beneficiary to gatewayUrl: they choose there where the money goes.",
    "gatewayUrl": "https://pay.example.com/gateway/gw_" + "a5v2" * 13,
    "expiresAt": "2026-06-23T10:30:00.000Z",
}
_CANCELLED = {
    **_SAME,
    "status": "CANCELLED",
    "message": "The withdrawal was cancelled: the whole amount is back in the wallet.",
}
_PROCESSING = {
    **_SAME,
    "status": "PROCESSING",
    "message": "The operator is processing this withdrawal.",
}
WITHDRAWALS = (
    Example(
        "Same currency: from Cameroon's wallet to Gabon",
        _SAME,
        {
            "amount": 10000,
            "provider": "ORANGE_GAB",
            "phoneNumber": "237653456789",
            "sourceCountry": "CMR",
            "externalId": "PAYOUT-CROSS-001",
            "description": "Supplier payment Gabon",
        },
    ),
    Example(
        "Cross-currency: from Cameroon's wallet to Côte d'Ivoire",
        _ACROSS,
        {
            "amount": 50000,
            "provider": "MTN_MOMO_CIV",
            "phoneNumber": "237653456789",
            "sourceCountry": "CMR",
            "externalId": "PAYOUT-CROSS-002",
            "description": "Supplier payment Côte d'Ivoire",
        },
    ),
    Example(
        "Not for longer than two hours, if its operator is delayed",
        _SAME,
        {
            "amount": 10000,
            "provider": "ORANGE_GAB",
            "phoneNumber": "237653456789",
            "sourceCountry": "CMR",
            "externalId": "PAYOUT-CROSS-001",
            "queueMinutes": 120,
        },
    ),
    Example(
        "On the hosted page: the beneficiary says where the money goes",
        _HOSTED,
        {
            "amount": 10000,
            "sourceCountry": "CMR",
            "externalId": "PAYOUT-HOSTED-001",
            "returnUrl": "https://shop.example/paid-out",
        },
    ),
)
DETAIL = (
    Example(
        "A withdrawal across currencies that was paid",
        {
            **_PAID,
            **_MORE,
            "fx": {
                "rate": "1.01498421052631578947",
                "source": "file",
                "asOf": "2026-06-26T10:00:00.000Z",
                "marginBps": 0,
            },
            "attempts": [
                {
                    "number": 1,
                    "action": "submit",
                    "connector": "sandbox",
                    "sent": {
                        "operationType": "PAYOUT",
                        "reference": "c81d7b3a-60f4-4e52-9c81-4d7b0a6f3e25",
                        "provider": "MTN_MOMO_CIV",
                        "phoneNumber": "237653456789",
                        "amount": "48212",
                        "currency": "XOF",
                    },
                    "sentAt": "2026-06-26T10:00:00.000Z",
                    "outcome": "paid",
                    "answer": {"status": "COMPLETED"},
                    "answeredAt": "2026-06-26T10:00:03.000Z",
                }
            ],
        },
    ),
)
PAGE = (Example("The last two", {"data": [_ACROSS, _SAME], "nextCursor": None}),)
_LINE = {**_PAID, "expiresAt": None, **_MORE}
FILE = (Example("One withdrawal", table(_LINE, without=("message",))),)
CANCEL = (Example("A withdrawal that was called back", _CANCELLED),)
ASKED = (
    Example(
        "Its operator is delayed, and was asked to cancel it",
        {
            **_PROCESSING,
            "message": "The operator was asked to cancel this withdrawal: if it still can, it ends "
            "FAILED and the whole amount is back in the wallet.",
        },
    ),
)
FINISH = (
    Example(
        "It is to fail", _PROCESSING, {"outcome": "FAILED", "failureCode": "RECIPIENT_NOT_FOUND"}
    ),
)
