"""The refusals of an operation in the document: by status, each code with an example."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from kpay.catalogue.data import catalogue
from kpay.core.refusals import ANSWERS, Code
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
    Code.INVALID_PHONE_NUMBER: "phoneNumber must be a mobile number of CMR: digits only, beginning "
    "with 237.",
    Code.NOT_A_TEST_NUMBER: "The sandbox knows only test numbers, such as 237653456789.",
    Code.TRANSFER_EXCEEDS_BALANCE: "Insufficient balance: the CMR wallet does not hold 50,000 XAF.",
    Code.INVALID_CREDENTIALS: "Invalid API credentials",
    Code.INVALID_TOKEN: "The token is missing, expired or not ours: get one with POST "
    "/api/v1/payments/token and send it as Authorization: Bearer <token>.",
    Code.TOO_MANY_FAILURES: "Too many requests from your address had wrong credentials: correct "
    "them, and try again after Retry-After.",
    Code.APPLICATION_NOT_YOURS: "The application does not belong to the connected user: use the id "
    "that GET /api/v1/payments/me gives.",
    Code.NOT_FOUND: "There is no withdrawal with this id.",
    Code.NO_WALLET: "There is no wallet in GAB: collect a payment there first, or name another "
    "sourceCountry.",
    Code.METHOD_NOT_ALLOWED: "/api/v1/payments/withdraw takes POST.",
    Code.EXTERNAL_ID_USED: "A withdrawal with externalId PAYOUT-CROSS-001 already exists.",
    Code.NOT_CANCELLABLE: "Only a withdrawal that is PENDING can be cancelled: this one was "
    "already sent to the operator, or has ended.",
    Code.NOT_OPEN: "Only an operation of the sandbox that is PROCESSING can be finished.",
    Code.BODY_TOO_SLOW: "The body must arrive within 10 seconds.",
    Code.BODY_TOO_LARGE: "The body must be under 65,536 bytes.",
    Code.WITHDRAWAL_EXCEEDS_BALANCE: "Insufficient balance: the CMR wallet does not have 50,000 "
    "XAF available.",
    Code.INTERNAL: "Something went wrong on our side: quote the requestId to support.",
    Code.NO_RATE: "There is no usable exchange rate from XAF to XOF at the moment; try again in "
    "30 seconds.",
    Code.BUSY: "Too many requests are waiting: try again in a second.",
    Code.DATABASE_UNAVAILABLE: "The database cannot be reached: try again in a moment.",
}

_EXISTING = {Code.EXTERNAL_ID_USED: "wdr_01jyegwm00f4dtc3y0mxq5r8hn"}

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
    "Authenticate": {
        "description": "How to authenticate: ApiKey, or Bearer.",
        "required": True,
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}
REQUEST_ID = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}


def responses(codes: Iterable[Code]) -> dict[str, Any]:
    """One response for each status, and in it only the codes that can come with it."""
    ordered = sorted(codes, key=lambda code: (ANSWERS[code].status, list(Code).index(code)))
    grouped = groupby(ordered, key=lambda code: ANSWERS[code].status)
    return {str(status): _response(list(group)) for status, group in grouped}


def examples(codes: Iterable[Code]) -> dict[str, Any]:
    """What each code's answer looks like, by code."""
    return {
        code: {"summary": code, "value": _envelope(code)} for code in Code if code in set(codes)
    }


def _response(codes: list[Code]) -> dict[str, Any]:
    answer = ANSWERS[codes[0]]
    headers: dict[str, Any] = dict(REQUEST_ID)
    if answer.retry_after is not None:
        headers["retry-after"] = {"$ref": "#/components/headers/RetryAfter"}
    if answer.challenge is not None:
        headers["www-authenticate"] = {"$ref": "#/components/headers/Authenticate"}
    narrowed = {
        "allOf": [
            {"$ref": REF.format(name="ErrorAnswer")},
            {"properties": {"statusCode": {"const": answer.status}, "code": {"enum": codes}}},
        ]
    }
    return {
        "description": f"{answer.error}: {', '.join(f'`{code}`' for code in codes)}.",
        "headers": headers,
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
