"""What the document shows of these routes."""

from __future__ import annotations

from typing import Any

from kpay.core.routes import Example

_URL = "https://shop.example/webhooks/kpay"
_ENDPOINT: dict[str, Any] = {
    "topic": "generic",
    "url": _URL,
    "status": "ACTIVE",
    "failuresInARow": 0,
    "pausedSince": None,
    "pauseReason": None,
    "nextTryAt": None,
    "createdAt": "2026-06-23T09:00:00.000Z",
    "updatedAt": "2026-06-23T09:00:00.000Z",
}
_DELIVERY: dict[str, Any] = {
    "id": "evt_01jyegwq2pf69s1b9wjn4hk3zc",
    "event": "payment.completed",
    "paymentId": "pay_01jyegwm00e8g9wv3kcaw7b2sd",
    "topic": "generic",
    "status": "DELIVERED",
    "attemptCount": 1,
    "nextAttemptAt": None,
    "createdAt": "2026-06-23T10:00:03.000Z",
    "settledAt": "2026-06-23T10:00:03.000Z",
    "responseStatus": 200,
    "error": None,
    "durationMs": 42,
}
_AGAIN = {
    **_DELIVERY,
    "status": "PENDING",
    "nextAttemptAt": "2026-06-23T11:00:00.000Z",
    "settledAt": None,
}
_TEST = {
    **_DELIVERY,
    "id": "evt_01jyeed5x0e3b8m1q6r9t2v4wz",
    "event": "webhook.test",
    "paymentId": "pay_01jyeed5x0e3b8m1q6r9t2v4wz",
    "createdAt": "2026-06-23T09:01:00.000Z",
    "settledAt": "2026-06-23T09:01:00.000Z",
}
ENDPOINTS = (Example("One URL for everything", [_ENDPOINT]),)
PUT = (Example("Where everything is sent", _ENDPOINT, {"url": _URL}),)
DELETE = (Example("It was taken away", _ENDPOINT),)
RESUME = (Example("It is sent to again", _ENDPOINT),)
TEST = (Example("A test that was taken", _TEST, {"topic": "generic"}),)
REPLAY = (
    Example(
        "What failed on one day",
        {"queued": 12, "nextCursor": None},
        {"from": "2026-06-23T00:00:00Z", "to": "2026-06-24T00:00:00Z", "status": "FAILED"},
    ),
)
PAGE = (Example("One page", {"data": [_DELIVERY], "nextCursor": None}),)
DETAIL = (
    Example(
        "A payment that was told at once",
        {
            **_DELIVERY,
            "attempts": [
                {
                    "number": 1,
                    "url": _URL,
                    "headers": {
                        "Content-Type": "application/json",
                        "User-Agent": "KPAY-Webhook/1.0",
                        "X-KPAY-Event": "payment.completed",
                        "X-KPAY-Signature": "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0c"
                        "e8e108d8bd",
                        "webhook-id": "evt_01jyegwq2pf69s1b9wjn4hk3zc",
                        "webhook-timestamp": "1782208803",
                        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
                    },
                    "body": '{"event":"payment.completed","paymentId":"pay_01jyegwm00e8g9wv3kcaw7b2'
                    'sd","reference":"KPAY-20260623-4FWK2S","status":"COMPLETED","amount":5000,"pho'
                    'neNumber":"237653456789","externalId":"ORDER-1","metadata":{"cart":"7c1e"},"co'
                    'mpletedAt":"2026-06-23T10:00:03.000Z","failedAt":null,"failureReason":null,"ti'
                    'mestamp":"2026-06-23T10:00:03.000Z","currency":"XAF","isTest":true}',
                    "sentAt": "2026-06-23T10:00:03.000Z",
                    "responseStatus": 200,
                    "responseBody": "",
                    "error": None,
                    "durationMs": 42,
                }
            ],
        },
    ),
)
REPLAY_ONE = (Example("It is due again", _AGAIN),)
