"""The refusals of an operation in the document: by status, each code with an example."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any

from kpay.catalogue.data import catalogue
from kpay.core.refusals import ANSWERS, Code
from kpay.core.routes import Guard, Route, refusals_of
from kpay.web.openapi.schemas import REF

_WORLD = catalogue()

# A sentence for each code, as it is answered; a test asks for most of them and compares.
SENTENCES: dict[Code, str] = {
    Code.MALFORMED_BODY: "The body is empty: send a JSON object.",
    Code.INVALID_BODY: "Missing field: amount.",
    Code.INVALID_PARAMETER: "limit must be between 1 and 100.",
    Code.INVALID_AMOUNT: "amount must be a plain JSON number such as 5000, without quotes.",
    Code.AMOUNT_OUT_OF_BOUNDS: "amount must be between 100 and 500,000 XAF.",
    Code.CURRENCY_MISMATCH: "currency must be XAF, as MTN_MOMO_CMR collects, or left out.",
    Code.UNSUPPORTED_COUNTRY: f"sourceCountry must be one of {', '.join(_WORLD.countries)}.",
    Code.SAME_COUNTRY: "sourceCountry and destinationCountry must be two different countries.",
    Code.UNSUPPORTED_CURRENCY: "The currency 'USD' is not supported; use one of XAF, XOF, KES, "
    "CDF, UGX, RWF, GHS, ZMW, SLE.",
    Code.UNKNOWN_PROVIDER: f"provider must be one of {', '.join(sorted(_WORLD.providers))}.",
    Code.PROVIDER_SUSPENDED: "WAVE_SEN is temporarily suspended: use FREE_SEN or ORANGE_SEN "
    "meanwhile.",
    Code.PROVIDER_CLOSED: "ORANGE_GAB is closed in production: GET /api/v1/payments/availability "
    "says which are open.",
    Code.PROVIDER_NOT_ALLOWED: "This application may use only ORANGE_CMR.",
    Code.METHOD_NOT_CONFIGURED: "paymentMethod CARD is not configured here: MOBILE_MONEY is, and "
    "what leaving it out means.",
    Code.INVALID_ADDRESS: "returnUrl must be a whole address that begins with https://.",
    Code.INVALID_PHONE_NUMBER: "phoneNumber must be a mobile number of CMR: digits only, beginning "
    "with 237.",
    Code.NOT_A_TEST_NUMBER: "The sandbox knows only test numbers, such as 237653456789.",
    Code.INVALID_WEBHOOK_URL: "url must begin with https:// in production.",
    Code.TRANSFER_EXCEEDS_BALANCE: "Insufficient balance: the CMR wallet does not hold 50,000 XAF.",
    Code.STATEMENT_TOO_LONG: "This period has more than 1,000 movements: ask for a shorter one, or "
    "for CSV of any length at /api/wallets/CMR/statement/export.",
    Code.INVALID_CREDENTIALS: "Invalid API credentials",
    Code.INVALID_TOKEN: "The token is missing, expired or not ours: get one with POST "
    "/api/v1/payments/token and send it as Authorization: Bearer <token>.",
    Code.TOO_MANY_FAILURES: "Too many requests from your address had wrong credentials: correct "
    "them, and try again after Retry-After.",
    Code.RATE_LIMITED: "This key may make 100 requests a minute: try again in 60 seconds.",
    Code.APPLICATION_NOT_YOURS: "The application does not belong to the connected user: use the id "
    "that GET /api/v1/payments/me gives.",
    Code.NOT_FOUND: "There is no withdrawal with this id.",
    Code.NO_WALLET: "There is no wallet in GAB: collect a payment there first, or name another "
    "sourceCountry.",
    Code.METHOD_NOT_ALLOWED: "/api/v1/payments/withdraw takes POST.",
    Code.EXTERNAL_ID_USED: "A withdrawal with externalId PAYOUT-CROSS-001 already exists.",
    Code.INVALID_IDEMPOTENCY_KEY: "Idempotency-Key must be 1 to 255 printable characters, such as "
    "a UUID.",
    Code.IDEMPOTENCY_IN_PROGRESS: "A request with this Idempotency-Key is being carried out at "
    "this moment: send it again in a second for its answer.",
    Code.IDEMPOTENCY_KEY_REUSED: "This Idempotency-Key was sent before with another request: use a "
    "new key for a new request, and send the same bytes when it is the same.",
    Code.NOT_CANCELLABLE: "Only a withdrawal that is PENDING can be cancelled, or that waits for "
    "an operator which is delayed: this one is being paid already, or has ended.",
    Code.NOT_OPEN: "Only an operation of the sandbox that is PROCESSING can be finished.",
    Code.NOT_REFUNDABLE: "Only a payment that is COMPLETED can be refunded: this one is "
    "PROCESSING.",
    Code.REFUND_WINDOW_CLOSED: "A payment can be refunded for 7 days: this one could until "
    "2026-06-30T10:00:00.000Z. Pay it back with a withdrawal instead.",
    Code.REFUND_EXISTS: "This payment was refunded already, or is being refunded: only one that "
    "fails or is cancelled can be followed by another.",
    Code.BODY_TOO_SLOW: "The body must arrive within 10 seconds.",
    Code.BODY_TOO_LARGE: "The body must be under 65,536 bytes.",
    Code.WITHDRAWAL_EXCEEDS_BALANCE: "Insufficient balance: the CMR wallet does not have 50,000 "
    "XAF available.",
    Code.REFUND_EXCEEDS_BALANCE: "Insufficient balance: the CMR wallet does not have 10,000 XAF "
    "available, which is all that was paid.",
    Code.INTERNAL: "Something went wrong on our side: quote the requestId to support.",
    Code.NO_RATE: "There is no usable exchange rate from XAF to XOF at the moment; try again in "
    "30 seconds.",
    Code.BUSY: "Too many requests are waiting: try again in a second.",
    Code.DATABASE_UNAVAILABLE: "The database cannot be reached: try again in a moment.",
}

_EXISTING = {
    Code.EXTERNAL_ID_USED: "wdr_01jyegwm00f4dtc3y0mxq5r8hn",
    Code.REFUND_EXISTS: "rfd_01jyegyx8gf9q2n7v4t5m0c3kd",
}

HEADERS: dict[str, Any] = {
    "RequestId": {
        "description": "Names the request in our logs: quote it to support.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-f]{16,}$"},
        "example": "req_5c1f0a9b3e00002a",
    },
    "RetryAfter": {
        "description": "In how many seconds trying again can help.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "RetryAfterInProgress": {
        "description": "With `idempotency_in_progress`: in how many seconds to send it again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "Limit": {
        "description": "How many requests a minute may be made, where they are counted; of hosted "
        "pages, how many may be opened.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 100,
    },
    "Remaining": {
        "description": "How many of them are left.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 99,
    },
    "Reset": {
        "description": "In how many seconds all are there again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 60,
    },
    "Replayed": {
        "description": "There when this is the answer of an earlier request with the same "
        "Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
    "Authenticate": {
        "description": "How to authenticate: ApiKey, or Bearer.",
        "required": True,
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}
_QUOTA = {
    "x-ratelimit-limit": "Limit",
    "x-ratelimit-remaining": "Remaining",
    "x-ratelimit-reset": "Reset",
}
# What is answered before a request is counted.
_UNCOUNTED = (Code.INVALID_CREDENTIALS, Code.INVALID_TOKEN, Code.TOO_MANY_FAILURES)


def responses(route: Route) -> dict[str, Any]:
    """One response for each status, and in it only the codes that can come with it."""
    ordered = sorted(
        refusals_of(route), key=lambda code: (ANSWERS[code].status, list(Code).index(code))
    )
    grouped = groupby(ordered, key=lambda code: ANSWERS[code].status)
    return {str(status): _response(list(group), route) for status, group in grouped}


def headers(route: Route, codes: Collection[Code] = ()) -> dict[str, Any]:
    """The headers of a success, or of an answer with one of some codes."""
    names = {"x-request-id": "RequestId"}
    if route.guard is not Guard.PUBLIC and (not codes or set(codes) - set(_UNCOUNTED)):
        names |= _QUOTA
    # An answer is kept once the request was being carried out, unless the trouble was ours.
    kept = any(code in route.refuses and ANSWERS[code].status < 500 for code in codes)
    if route.recall is not None and (kept or not codes):
        names["idempotency-replayed"] = "Replayed"
    answers = [ANSWERS[code] for code in codes]
    if any(answer.retry_after is not None for answer in answers):
        names["retry-after"] = "RetryAfter"
    elif Code.IDEMPOTENCY_IN_PROGRESS in codes:
        names["retry-after"] = "RetryAfterInProgress"
    if any(answer.challenge is not None for answer in answers):
        names["www-authenticate"] = "Authenticate"
    return {name: {"$ref": f"#/components/headers/{part}"} for name, part in names.items()}


def examples(codes: Iterable[Code]) -> dict[str, Any]:
    """What each code's answer looks like, by code."""
    return {
        code: {"summary": code, "value": _envelope(code)} for code in Code if code in set(codes)
    }


def _response(codes: list[Code], route: Route) -> dict[str, Any]:
    answer = ANSWERS[codes[0]]
    narrowed = {
        "allOf": [
            {"$ref": REF.format(name="ErrorAnswer")},
            {"properties": {"statusCode": {"const": answer.status}, "code": {"enum": codes}}},
        ]
    }
    return {
        "description": f"{answer.error}: {', '.join(f'`{code}`' for code in codes)}.",
        "headers": headers(route, codes),
        "content": {
            "application/json": {
                "schema": narrowed,
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _envelope(code: Code) -> dict[str, Any]:
    answer = ANSWERS[code]
    envelope = {
        "statusCode": answer.status,
        "message": SENTENCES[code],
        "error": answer.error,
        "code": code,
        "requestId": "req_5c1f0a9b3e00002a",
    }
    existing = _EXISTING.get(code)
    return envelope if existing is None else {**envelope, "existingId": existing}
