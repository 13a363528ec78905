"""How a process of ours is asked for an operation: at its flows, or at its routes as HTTP asks.

What has a key or a hosted page is asked for at its route, behind which the key is claimed, carried
out and kept; anything else at its flow, as the web edge does it: check, then request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from kpay.app import House
from kpay.core.ids import parse_public_id, parse_uuid, public_id
from kpay.core.refusals import ANSWERS, Code
from kpay.core.routes import Call, Route
from kpay.idempotency.model import fingerprint_of
from kpay.instructions.model import Tracked
from kpay.payouts.model import Wait
from kpay.web.errors import refusal_of
from kpay.web.once import Once
from kpay.web.reading import BodyReader
from simulator.operations import Answer, Kind, Operation, Record
from simulator.rail import numbered

# A paying test number, which decides nothing here: the rail of the simulation does.
PHONE = "237653456789"

_PREFIXES = {Kind.PAYMENT: "pay", Kind.PAYOUT: "wdr", Kind.REFUND: "rfd"}
_PATHS = {
    Kind.PAYMENT: "/api/v1/payments/init",
    Kind.PAYOUT: "/api/v1/payments/withdraw",
    Kind.TRANSFER: "/api/wallets/transfer",
    Kind.REFUND: "/api/v1/payments/{id}/refund",
}
_RETURN = "https://shop.example.com/paid"
# What came of it is not known.
_OPEN = frozenset({Code.DATABASE_UNAVAILABLE, Code.INTERNAL})
_SERVER_ERROR = 500

_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Said:
    """What came back: an answer, its code or the rail's name of it, and the identifier in it."""

    answer: Answer
    code: str = ""
    id: UUID | None = None


class Counter:
    """Where a process of ours takes requests."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._routes = {
            kind: (route, BodyReader(route.body, optional=route.body_optional))
            for kind, path in _PATHS.items()
            for route in house.routes()
            if (route.method, route.path) == ("POST", path)
        }
        self._once = Once(house.keys, _encoder.encode)

    async def ask(self, operation: Operation) -> Said:
        """Ask for an operation, once."""
        try:
            if operation.key is None and not operation.hosted:
                return _accepted(await _request(self._house, operation))
            return await self._at_route(operation)
        except Exception as problem:
            refusal = refusal_of(problem)
            return _refused(operation, refusal.code, refusal.existing_id)

    async def _at_route(self, operation: Operation) -> Said:
        route, reader = self._routes[operation.kind]
        payment = operation.payment.record if operation.payment is not None else None
        given = {} if payment is None else {"id": public_id("pay", payment.id)}
        raw = _body(operation)
        call = Call(operation.shop.principal, reader.read(raw), None, given)
        status, body = await self._carry_out(route, call, operation, raw)
        read = msgspec.json.decode(body)
        if status >= 400:
            return _refused(operation, Code(read["code"]), read.get("existingId"))
        rail = read.get("providerReference")
        called = "" if rail is None else f"as {numbered(UUID(rail))}"
        return Said(Answer.ACCEPTED, called, _identifier(operation.kind, read["id"]))

    async def _carry_out(
        self, route: Route, call: Call, operation: Operation, raw: bytes
    ) -> tuple[int, bytes]:
        if operation.key is None:
            reply: Any = await route.handler(call)
            return reply.status, _encoder.encode(reply.body)
        path = route.path.format(**call.path)
        fingerprint = fingerprint_of(route.method, path, raw)
        answer, _ = await self._once.answer(route, call, operation.key, fingerprint)
        return answer.status, answer.body


def _refused(operation: Operation, code: Code, existing_id: str | None) -> Said:
    """With a key, what is the moment's fault and not the request's decides nothing either."""
    passing = code is Code.IDEMPOTENCY_IN_PROGRESS or ANSWERS[code].status >= _SERVER_ERROR
    undecided = code in _OPEN or (passing and operation.key is not None)
    answer = Answer.UNKNOWN if undecided else Answer.REFUSED
    return Said(answer, code, _identifier(operation.kind, existing_id))


def _accepted(accepted: Any) -> Said:
    if isinstance(accepted, Tracked):
        rail = f"as {numbered(accepted.progress.reference)}"
        return Said(Answer.ACCEPTED, rail, accepted.agreed.id)
    return Said(Answer.ACCEPTED, "", accepted.id)


def _identifier(kind: Kind, shown: str | None) -> UUID | None:
    if shown is None:
        return None
    return parse_uuid(shown) if kind is Kind.TRANSFER else parse_public_id(_PREFIXES[kind], shown)


def _body(operation: Operation) -> bytes:
    """The request as JSON; its amount is written as it is, not by way of a float."""
    fields: dict[str, object] = {}
    if operation.external_id is not None:
        fields["externalId"] = operation.external_id
    amount = {"amount": msgspec.Raw(_amount(operation).encode())}
    match operation.kind:
        case Kind.REFUND:
            fields["reason"] = operation.token
        case Kind.TRANSFER:
            fields |= amount | {
                "applicationId": str(operation.shop.book.application_id),
                "sourceCountry": operation.country,
                "destinationCountry": operation.target,
                "description": operation.token,
            }
        case _:
            fields |= amount | {"description": operation.token} | _destination(operation)
            if operation.minutes is not None:
                fields["queueMinutes"] = operation.minutes
    return msgspec.json.encode(fields)


def _destination(operation: Operation) -> dict[str, object]:
    source = {"sourceCountry": operation.country} if operation.kind is Kind.PAYOUT else {}
    if not operation.hosted:
        return {**source, "provider": operation.target, "phoneNumber": PHONE}
    currency = {} if operation.kind is Kind.PAYOUT else {"currency": operation.currency}
    return {**source, **currency, "returnUrl": _RETURN}


def _amount(operation: Operation) -> str:
    return f"{operation.amount // 100}.{operation.amount % 100:02d}"


async def _request(house: House, operation: Operation) -> Any:
    book, terms = operation.shop.book, operation.shop.terms
    amount = _amount(operation)
    match operation.kind:
        case Kind.PAYMENT:
            wanted = house.payments.check(
                book,
                terms,
                amount=amount,
                provider=operation.target,
                phone_number=PHONE,
                external_id=operation.external_id or "",
                currency=None,
                customer_name=None,
                customer_email=None,
                description=operation.token,
                metadata=None,
            )
            return await house.payments.init(book, wanted, terms)
        case Kind.TRANSFER:
            transfer = house.transfers.check(
                terms,
                source_country=operation.country,
                destination_country=operation.target,
                amount=amount,
                external_id=operation.external_id,
                description=operation.token,
            )
            return await house.transfers.request(book, transfer)
        case Kind.PAYOUT:
            payout = house.payouts.check(
                book,
                terms,
                amount=amount,
                provider=operation.target,
                phone_number=PHONE,
                source_country=operation.country,
                external_id=operation.external_id,
                description=operation.token,
                metadata=None,
                wait=Wait(minutes=operation.minutes),
            )
            return await house.payouts.request(book, payout, terms)
        case Kind.REFUND:
            return await house.refunds.request(
                book,
                _payment_of(operation).id,
                reason=operation.token,
                external_id=operation.external_id,
            )


def _payment_of(operation: Operation) -> Record:
    payment = operation.payment.record if operation.payment is not None else None
    if payment is None:
        raise ValueError(f"{operation} is of nothing that is on record")
    return payment
