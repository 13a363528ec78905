"""Refusals: the closed list of everything that can be answered with an error.

One enum of codes, one table from code to HTTP, one exception that carries a code and a sentence.
The sentence says what to change; nothing ever decides on it. Only `web.errors` writes a response.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Code(StrEnum):
    """What went wrong, in words that never change. Documented in docs/errors.md."""

    MALFORMED_BODY = "malformed_body"
    INVALID_BODY = "invalid_body"
    INVALID_PARAMETER = "invalid_parameter"
    INVALID_AMOUNT = "invalid_amount"
    AMOUNT_OUT_OF_BOUNDS = "amount_out_of_bounds"
    CURRENCY_MISMATCH = "currency_mismatch"
    UNSUPPORTED_COUNTRY = "unsupported_country"
    SAME_COUNTRY = "same_country"
    UNSUPPORTED_CURRENCY = "unsupported_currency"
    UNKNOWN_PROVIDER = "unknown_provider"
    PROVIDER_SUSPENDED = "provider_suspended"
    PROVIDER_CLOSED = "provider_closed"
    PROVIDER_NOT_ALLOWED = "provider_not_allowed"
    METHOD_NOT_CONFIGURED = "method_not_configured"
    INVALID_ADDRESS = "invalid_address"
    INVALID_PHONE_NUMBER = "invalid_phone_number"
    NOT_A_TEST_NUMBER = "not_a_test_number"
    INVALID_WEBHOOK_URL = "invalid_webhook_url"
    TRANSFER_EXCEEDS_BALANCE = "transfer_exceeds_balance"
    STATEMENT_TOO_LONG = "statement_too_long"
    INVALID_CREDENTIALS = "invalid_credentials"
    INVALID_TOKEN = "invalid_token"
    WRONG_SIGN_IN = "wrong_sign_in"
    WRONG_CODE = "wrong_code"
    SESSION_OVER = "session_over"
    SECOND_FACTOR_NEEDED = "second_factor_needed"
    NOT_ALLOWED = "not_allowed"
    WEAK_PASSWORD = "weak_password"
    EMAIL_TAKEN = "email_taken"
    ALREADY_MEMBER = "already_member"
    LAST_OWNER = "last_owner"
    INVITATION_OVER = "invitation_over"
    LINK_OVER = "link_over"
    TOO_MANY_FAILURES = "too_many_failures"
    RATE_LIMITED = "rate_limited"
    APPLICATION_NOT_YOURS = "application_not_yours"
    NOT_FOUND = "not_found"
    NO_WALLET = "no_wallet"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    EXTERNAL_ID_USED = "external_id_used"
    INVALID_IDEMPOTENCY_KEY = "invalid_idempotency_key"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    NOT_CANCELLABLE = "not_cancellable"
    NOT_OPEN = "not_open"
    RATE_CHANGED = "rate_changed"
    NOT_REFUNDABLE = "not_refundable"
    REFUND_WINDOW_CLOSED = "refund_window_closed"
    REFUND_EXISTS = "refund_exists"
    BODY_TOO_SLOW = "body_too_slow"
    BODY_TOO_LARGE = "body_too_large"
    WITHDRAWAL_EXCEEDS_BALANCE = "withdrawal_exceeds_balance"
    REFUND_EXCEEDS_BALANCE = "refund_exceeds_balance"
    INTERNAL = "internal"
    NO_RATE = "no_rate"
    BUSY = "busy"
    DATABASE_UNAVAILABLE = "database_unavailable"


OF_PEOPLE = frozenset(
    {
        Code.WRONG_SIGN_IN,
        Code.WRONG_CODE,
        Code.SESSION_OVER,
        Code.SECOND_FACTOR_NEEDED,
        Code.NOT_ALLOWED,
        Code.WEAK_PASSWORD,
        Code.EMAIL_TAKEN,
        Code.ALREADY_MEMBER,
        Code.LAST_OWNER,
        Code.INVITATION_OVER,
        Code.LINK_OVER,
        Code.RATE_CHANGED,
    }
)
"""What the dashboard's pages and the operator's commands refuse, and the API never does."""


class Answer(msgspec.Struct, frozen=True):
    """How a code is answered over HTTP; `retry_after` in seconds where trying again can help."""

    status: int
    error: str
    retry_after: int | None = None
    challenge: str | None = None
    """How to authenticate, which every 401 must say (RFC 9110, 11.6.1)."""
    closes: bool = False
    """What is left of the body was not read, so the connection cannot be used again."""


_BAD_REQUEST = Answer(400, "Bad Request")
# How a browser signs in is no scheme that HTTP has a name for.
_SIGN_IN = Answer(401, "Unauthorized", challenge="Session")
_FORBIDDEN = Answer(403, "Forbidden")
_NOT_FOUND = Answer(404, "Not Found")
_CONFLICT = Answer(409, "Conflict")
_GONE = Answer(410, "Gone")
_UNPROCESSABLE = Answer(422, "Unprocessable Entity")

ANSWERS: dict[Code, Answer] = {
    Code.MALFORMED_BODY: _BAD_REQUEST,
    Code.INVALID_BODY: _BAD_REQUEST,
    Code.INVALID_PARAMETER: _BAD_REQUEST,
    Code.INVALID_AMOUNT: _BAD_REQUEST,
    Code.AMOUNT_OUT_OF_BOUNDS: _BAD_REQUEST,
    Code.CURRENCY_MISMATCH: _BAD_REQUEST,
    Code.UNSUPPORTED_COUNTRY: _BAD_REQUEST,
    Code.SAME_COUNTRY: _BAD_REQUEST,
    Code.UNSUPPORTED_CURRENCY: _BAD_REQUEST,
    Code.UNKNOWN_PROVIDER: _BAD_REQUEST,
    Code.PROVIDER_SUSPENDED: _BAD_REQUEST,
    Code.PROVIDER_CLOSED: _BAD_REQUEST,
    Code.PROVIDER_NOT_ALLOWED: _BAD_REQUEST,
    Code.METHOD_NOT_CONFIGURED: _BAD_REQUEST,
    Code.INVALID_ADDRESS: _BAD_REQUEST,
    Code.INVALID_PHONE_NUMBER: _BAD_REQUEST,
    Code.NOT_A_TEST_NUMBER: _BAD_REQUEST,
    Code.INVALID_WEBHOOK_URL: _BAD_REQUEST,
    Code.TRANSFER_EXCEEDS_BALANCE: _BAD_REQUEST,
    Code.STATEMENT_TOO_LONG: _BAD_REQUEST,
    Code.INVALID_CREDENTIALS: Answer(401, "Unauthorized", challenge="ApiKey"),
    Code.INVALID_TOKEN: Answer(401, "Unauthorized", challenge="Bearer"),
    Code.WRONG_SIGN_IN: _SIGN_IN,
    Code.WRONG_CODE: _SIGN_IN,
    Code.SESSION_OVER: _SIGN_IN,
    Code.SECOND_FACTOR_NEEDED: _FORBIDDEN,
    Code.NOT_ALLOWED: _FORBIDDEN,
    Code.WEAK_PASSWORD: _BAD_REQUEST,
    Code.EMAIL_TAKEN: _CONFLICT,
    Code.ALREADY_MEMBER: _CONFLICT,
    Code.LAST_OWNER: _CONFLICT,
    Code.INVITATION_OVER: _GONE,
    Code.LINK_OVER: _GONE,
    Code.TOO_MANY_FAILURES: Answer(429, "Too Many Requests", retry_after=60),
    Code.RATE_LIMITED: Answer(429, "Too Many Requests", retry_after=60),
    Code.APPLICATION_NOT_YOURS: _FORBIDDEN,
    Code.NOT_FOUND: _NOT_FOUND,
    Code.NO_WALLET: _NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: Answer(405, "Method Not Allowed"),
    Code.EXTERNAL_ID_USED: _CONFLICT,
    Code.INVALID_IDEMPOTENCY_KEY: _BAD_REQUEST,
    Code.IDEMPOTENCY_IN_PROGRESS: _CONFLICT,
    Code.IDEMPOTENCY_KEY_REUSED: Answer(422, "Unprocessable Entity"),
    Code.NOT_CANCELLABLE: _CONFLICT,
    Code.NOT_OPEN: _CONFLICT,
    Code.RATE_CHANGED: _CONFLICT,
    Code.NOT_REFUNDABLE: _CONFLICT,
    Code.REFUND_WINDOW_CLOSED: _CONFLICT,
    Code.REFUND_EXISTS: _CONFLICT,
    Code.BODY_TOO_SLOW: Answer(408, "Request Timeout", closes=True),
    Code.BODY_TOO_LARGE: Answer(413, "Payload Too Large", closes=True),
    Code.WITHDRAWAL_EXCEEDS_BALANCE: _UNPROCESSABLE,
    Code.REFUND_EXCEEDS_BALANCE: _UNPROCESSABLE,
    Code.INTERNAL: Answer(500, "Internal Server Error"),
    Code.NO_RATE: Answer(503, "Service Unavailable", retry_after=30),
    Code.BUSY: Answer(503, "Service Unavailable", retry_after=1),
    Code.DATABASE_UNAVAILABLE: Answer(503, "Service Unavailable", retry_after=2),
}


class Refusal(Exception):
    """A request that cannot be done, with its code and a sentence that says what to change.

    `retry_after` in seconds is said where it is known better than its code's usual one; `allow` are
    the methods that an address takes.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        existing_id: str | None = None,
        retry_after: int | None = None,
        allow: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.existing_id = existing_id
        self.retry_after = retry_after
        self.allow = allow
