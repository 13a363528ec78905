"""What can go wrong, by what a caller does about it."""

from __future__ import annotations


class KPayError(Exception):
    """Any failure of a call.

    `status` is the HTTP status, None where there was no answer; `code` is the server's stable word
    for what went wrong (its docs/errors.md): decide on it, never on `message`. `request_id` finds
    the request in the server's logs. `existing_id` is what has the externalId already,
    `retry_after` the seconds after which trying again can help. `external_id` is the one that was
    sent, drawn by this client where the caller gave none.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        existing_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.existing_id = existing_id
        self.retry_after = retry_after
        self.external_id: str | None = None

    def __repr__(self) -> str:
        said = {
            "status": self.status,
            "code": self.code,
            "request_id": self.request_id,
            "existing_id": self.existing_id,
            "retry_after": self.retry_after,
            "external_id": self.external_id,
        }
        more = "".join(f", {name}={value!r}" for name, value in said.items() if value is not None)
        return f"{type(self).__name__}({self.message!r}{more})"


class InvalidRequest(KPayError):
    """The request itself is wrong: change what the message names. Nothing was recorded."""


class Unauthorized(KPayError):
    """The keys are not in force: look at the configuration."""


class Forbidden(KPayError):
    """The keys may not do this."""


class NotFound(KPayError):
    """There is nothing of this id, or no wallet in this country, for these keys."""


class Conflict(KPayError):
    """The externalId is in use, or the operation is past changing: look at `existing_id`."""


class InsufficientFunds(KPayError):
    """The wallet holds less than that: ask for less, or collect first."""


class RateLimited(KPayError):
    """Too many requests: come again after `retry_after`. Nothing was recorded."""


class Unavailable(KPayError):
    """The server cannot be reached or cannot serve now. Nothing was changed: call again later."""


class UnknownOutcome(KPayError):
    """The request may have been carried out, or may be yet: nobody has said.

    Do not call again with another externalId. Look at what has `external_id`, or call again with
    the same one: it is carried out at most once.
    """
