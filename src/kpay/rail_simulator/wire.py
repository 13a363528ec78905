"""pawaPay's v2 shapes: what a request must look like, and how answers and callbacks are spelled.

Pure. Source: pawaPay's documents of its Merchant API v2 (API reference, failure codes). A request
of the wrong shape is a `Fault` of 400; what its account may not do is a `Fault` of 200, which is
said with REJECTED.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.core.clock import iso
from kpay.core.ids import parse_uuid
from kpay.core.money import UNIT
from kpay.rail_simulator.books import FINAL, Operation, Status

ID_FIELD = {
    OperationType.DEPOSIT: "depositId",
    OperationType.PAYOUT: "payoutId",
    OperationType.REFUND: "refundId",
}
PARTY_FIELD = {
    OperationType.DEPOSIT: "payer",
    OperationType.PAYOUT: "recipient",
    OperationType.REFUND: "recipient",
}
MOST_IN_BULK = 20

_USUAL = ("customerMessage", "clientReferenceId", "metadata")
_ALLOWED = {
    OperationType.DEPOSIT: (
        *("depositId", "amount", "currency", "payer", *_USUAL),
        *("preAuthorisationCode", "successfulUrl", "failedUrl"),
    ),
    OperationType.PAYOUT: ("payoutId", "amount", "currency", "recipient", *_USUAL),
    OperationType.REFUND: ("refundId", "depositId", "amount", "currency", *_USUAL[1:]),
}
_REQUIRED = {
    OperationType.DEPOSIT: ("depositId", "amount", "currency", "payer"),
    OperationType.PAYOUT: ("payoutId", "amount", "currency", "recipient"),
    OperationType.REFUND: ("refundId", "depositId"),
}
# Its own pattern: a decimal that ends in zero is refused, "100.50" as well as "100.00".
_AMOUNT = re.compile(r"([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MESSAGE = re.compile(r"[A-Za-z0-9 ]{4,22}")
_MOST_METADATA = 10
_UUID_VERSION = 4


class Fault(Exception):
    """What a request is refused with: the HTTP status, pawaPay's code and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def reason(self) -> dict[str, str]:
        return {"failureCode": self.code, "failureMessage": self.message}

    def body(self) -> dict[str, Any]:
        return {"failureReason": self.reason()}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request of the right shape. A refund names a deposit in place of provider and number."""

    type: OperationType
    id: str
    amount: str | None
    currency: str | None
    provider: str = ""
    phone_number: str = ""
    customer_message: str | None = None
    client_reference: str | None = None
    metadata: Mapping[str, str] = {}
    deposit_id: str | None = None


def parse(body: bytes) -> Any:
    """The JSON of a body. Faults: INVALID_INPUT."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Fault(
            400, "INVALID_INPUT", "We were unable to parse the payload of the request."
        ) from None


def read_request(type_: OperationType, said: Any) -> Request:
    """One initiation. Faults: the five of 400 that a shape can have."""
    fields = _object(said, "the request")
    _known(fields, _ALLOWED[type_], _REQUIRED[type_], "")
    identifier = _identifier(fields, ID_FIELD[type_])
    amount = _text(fields, "amount", _AMOUNT)
    currency = _text(fields, "currency", _CURRENCY)
    if type_ is OperationType.REFUND:
        if (amount is None) != (currency is None):
            raise missing("currency" if currency is None else "amount")
        provider = phone_number = ""
    else:
        provider, phone_number = _party(fields[PARTY_FIELD[type_]], PARTY_FIELD[type_])
    return Request(
        type=type_,
        id=identifier,
        amount=amount,
        currency=currency,
        provider=provider,
        phone_number=phone_number,
        customer_message=_text(fields, "customerMessage", _MESSAGE),
        client_reference=_text(fields, "clientReferenceId"),
        metadata=_metadata(fields.get("metadata")),
        deposit_id=_identifier(fields, "depositId") if type_ is OperationType.REFUND else None,
    )


def read_bulk(said: Any) -> list[Request]:
    """Some payouts at once; a wrong shape in one refuses them all."""
    if not isinstance(said, list) or not said:
        raise invalid("the request must be an array of payouts")
    if len(said) > MOST_IN_BULK:
        raise invalid(f"at most {MOST_IN_BULK} payouts can be initiated in bulk")
    return [read_request(OperationType.PAYOUT, one) for one in said]


def missing(name: str) -> Fault:
    return Fault(400, "MISSING_PARAMETER", f"The required parameter '{name}' is missing.")


def invalid(why: str) -> Fault:
    return Fault(400, "INVALID_PARAMETER", f"Invalid parameter: {why}.")


def answered(request: Request, status: str, at: datetime | None = None) -> dict[str, Any]:
    """What an initiation is answered when it was accepted, or was before."""
    said: dict[str, Any] = {ID_FIELD[request.type]: request.id, "status": status}
    if request.type is OperationType.DEPOSIT and status == Status.ACCEPTED:
        said["nextStep"] = "FINAL_STATUS"
    if at is not None:
        said["created"] = seconds(at)
    return said


def rejected(type_: OperationType, identifier: str, fault: Fault) -> dict[str, Any]:
    """REJECTED, which comes with HTTP 200."""
    return {
        ID_FIELD[type_]: identifier,
        "status": "REJECTED",
        "failureReason": fault.reason(),
    }


def found(operation: Operation, status: Status, failure_code: str | None = None) -> dict[str, Any]:
    """The answer to a status check, as `status` has it: true, true before, or a lie."""
    data = _shown(operation, status, failure_code)
    data["amount"] = padded(operation, 2)
    if operation.order.client_reference is not None:
        data["clientReferenceId"] = operation.order.client_reference
    return {"status": "FOUND", "data": data}


def callback(operation: Operation, status: Status, failure_code: str | None) -> dict[str, Any]:
    """The body of a callback: no clientReferenceId, and amounts with four decimals."""
    data = _shown(operation, status, failure_code)
    data["amount"] = padded(operation, 4)
    return data


def padded(operation: Operation, decimals: int) -> str:
    """ "1000.0000": what comes back is not spelled as it was sent."""
    whole, cents = divmod(operation.order.amount.minor, UNIT)
    return f"{whole}.{cents:02d}{'0' * (decimals - 2)}"


def transaction_id(operation: Operation) -> str:
    """What the operator calls it: always the same for the same operation."""
    text = f"{operation.order.type}/{operation.order.id}"
    return str(UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4))


def seconds(moment: datetime) -> str:
    """2026-06-23T10:00:00Z, as its timestamps are."""
    return f"{iso(moment)[:19]}Z"


def _shown(operation: Operation, status: Status, failure_code: str | None) -> dict[str, Any]:
    order = operation.order
    data: dict[str, Any] = {
        ID_FIELD[order.type]: order.id,
        "status": str(status),
        "amount": "",
        "currency": order.amount.currency,
        "country": order.country,
        PARTY_FIELD[order.type]: {
            "type": "MMO",
            "accountDetails": {"phoneNumber": order.phone_number, "provider": order.provider},
        },
        "created": seconds(operation.created),
    }
    if order.customer_message is not None:
        data["customerMessage"] = order.customer_message
    if order.metadata:
        data["metadata"] = dict(order.metadata)
    if status in FINAL:
        data["providerTransactionId"] = transaction_id(operation)
    if status is Status.FAILED:
        code = failure_code or "UNSPECIFIED_FAILURE"
        data["failureReason"] = {
            "failureCode": code,
            "failureMessage": f"The operator said {code.replace('_', ' ').lower()}.",
        }
    return data


def _object(said: Any, name: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise invalid(f"{name} must be an object")
    return said


def _known(
    fields: Mapping[str, Any], allowed: tuple[str, ...], required: tuple[str, ...], within: str
) -> None:
    for name in required:
        if fields.get(name) is None:
            raise missing(within + name)
    for name in fields:
        if name not in allowed:
            raise Fault(
                400, "UNSUPPORTED_PARAMETER", f"The parameter '{within}{name}' is not supported."
            )


def _identifier(fields: Mapping[str, Any], name: str) -> str:
    text = fields[name]
    value = parse_uuid(text) if isinstance(text, str) else None
    if value is None or value.version != _UUID_VERSION:
        raise invalid(f"'{name}' must be a UUID of version 4")
    return str(value)


def _text(
    fields: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None
) -> str | None:
    text = fields.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise invalid(f"'{name}' must be a string")
    if pattern is not None and not pattern.fullmatch(text):
        raise invalid(f"'{name}' must match {pattern.pattern}")
    return text


def _party(said: Any, name: str) -> tuple[str, str]:
    party = _object(said, f"'{name}'")
    _known(party, ("type", "accountDetails"), ("type", "accountDetails"), f"{name}.")
    if party["type"] != "MMO":
        raise invalid(f"'{name}.type' must be MMO")
    within = f"{name}.accountDetails"
    details = _object(party["accountDetails"], f"'{within}'")
    names = ("phoneNumber", "provider")
    _known(details, names, names, f"{within}.")
    provider, number = _text(details, "provider"), _text(details, "phoneNumber")
    return provider or "", number or ""


def _metadata(said: Any) -> dict[str, str]:
    """[{"orderId": "1"}, {"customer": "x", "isPII": true}] becomes one flat object."""
    if said is None:
        return {}
    if not isinstance(said, list) or len(said) > _MOST_METADATA:
        raise invalid(f"'metadata' must be an array of at most {_MOST_METADATA} objects")
    flat: dict[str, str] = {}
    for name, value in _pairs(said):
        if name in flat:
            raise Fault(400, "DUPLICATE_METADATA_FIELD", f"'{name}' is in metadata twice.")
        flat[name] = value
    return flat


def _pairs(said: list[Any]) -> Iterator[tuple[str, str]]:
    for one in said:
        own = {name: value for name, value in _object(one, "metadata").items() if name != "isPII"}
        if len(own) != 1 or not isinstance(one.get("isPII", False), bool):
            raise invalid("each object of 'metadata' must have one field, and isPII if need be")
        ((name, value),) = own.items()
        if not isinstance(value, str):
            raise invalid(f"'metadata.{name}' must be a string")
        yield name, value
