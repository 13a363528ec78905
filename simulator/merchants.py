"""The merchants: what they ask for, and how a process of ours is asked for it.

The flows are called as the web edge calls them: check, then request. An external identifier is now
and then used again, for something that was answered, refused, or never answered at all.
"""

from __future__ import annotations

from random import Random
from typing import Any

import structlog

from kpay.access.model import Terms
from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.ids import parse_public_id, parse_uuid
from kpay.core.refusals import Code
from kpay.instructions.model import Tracked
from kpay.web.errors import refusal_of
from simulator.operations import Answer, Kind, Operation, Shop
from simulator.process import Process
from simulator.rail import numbered
from simulator.transcript import Transcript

# A paying test number, which decides nothing here: the rail of the simulation does.
_PHONE = "237653456789"
_PROVIDERS = {
    "CMR": ("MTN_MOMO_CMR", "ORANGE_CMR"),
    "GAB": ("AIRTEL_GAB",),
    "SEN": ("FREE_SEN",),
    "CIV": ("MTN_MOMO_CIV",),
    "KEN": ("MPESA_KEN",),
    "GHA": ("MTN_MOMO_GHA",),
    "UGA": ("MTN_MOMO_UGA",),
}
# The least and the most of one operation, in whole units: what suits each currency's worth.
_SIZES = {"GHA": (100, 900), "KEN": (150, 6_000), "UGA": (2_000, 90_000)}
_USUAL_SIZE = (500, 20_000)
_TERMS = (Terms(), Terms(250, 333), Terms(0, 175))
_REMEMBERED = 30
_PREFIXES = {Kind.PAYMENT: "pay", Kind.PAYOUT: "wdr", Kind.REFUND: "rfd"}

log = structlog.get_logger(__name__)


class Merchants:
    """A few applications of two companies, and all that they ever asked for."""

    def __init__(self, random: Random, transcript: Transcript) -> None:
        self._random = random
        self._transcript = transcript
        self.shops: list[Shop] = []
        self.operations: list[Operation] = []

    async def join(self, house: House) -> None:
        """Open the applications."""
        for number, terms in enumerate(_TERMS):
            made = await house.office.create_application(f"company {number % 2}", f"shop {number}")
            book = Book(made.application.id, Environment.TEST)
            self.shops.append(Shop(f"shop {number}", book, terms))

    def draw(self, kind: Kind) -> Operation:
        """Something that a merchant asks for."""
        random = self._random
        country, other = random.sample(sorted(_PROVIDERS), 2)
        shop = random.choice(self.shops)
        if kind is Kind.PAYMENT:
            amount = 100 * random.randint(*_SIZES.get(country, _USUAL_SIZE))
            target = random.choice(_PROVIDERS[country])
        else:
            least, most = _SIZES.get(country, _USUAL_SIZE)
            amount = random.randint(100 * least, 100 * most // 2)
            abroad = kind is Kind.TRANSFER or random.random() < 0.5
            target = other if abroad else country
            if kind is Kind.PAYOUT:
                target = random.choice(_PROVIDERS[target])
        return self._made(kind, shop, self._external_id(kind, shop), country, amount, target)

    def draw_refund(self, payment: Operation) -> Operation:
        """That a merchant wants a payment given back."""
        made = self._made(
            Kind.REFUND,
            payment.shop,
            self._external_id(Kind.REFUND, payment.shop),
            payment.country,
            payment.amount,
            payment.target,
        )
        made.payment, made.payment_was = payment, payment.status
        return made

    def twin(self, operation: Operation) -> Operation:
        """The same once more, as a client that was impatient sends it."""
        made = self._made(
            operation.kind,
            operation.shop,
            operation.external_id,
            operation.country,
            operation.amount,
            operation.target,
        )
        made.payment, made.payment_was = operation.payment, operation.payment_was
        return made

    async def send(self, process: Process, operation: Operation) -> None:
        """Ask a process of ours, and note what it answers."""
        operation.seat = process.seat
        self._transcript.operation(f"{process.name} is asked for {operation}")
        try:
            operation.accepted = await _request(process.house, operation)
        except Exception as problem:
            refusal = refusal_of(problem)
            unknown = refusal.code in (Code.DATABASE_UNAVAILABLE, Code.INTERNAL)
            operation.answer = Answer.UNKNOWN if unknown else Answer.REFUSED
            operation.code = refusal.code
            operation.existing = _identifier(operation.kind, refusal.existing_id)
        else:
            operation.answer = Answer.ACCEPTED
            operation.code = _called(operation.accepted)
        self._transcript.operation(
            f"{process.name} answers {operation.token}: {operation.answer.value} {operation.code}"
        )

    async def cancel(self, process: Process, operation: Operation) -> None:
        """Call a payout or a refund back, if it can be."""
        operation.cancel_asked = True
        record = operation.record
        if record is None:
            raise ValueError(f"{operation} is not on record")
        house = process.house
        verbs = house.refunds if operation.kind is Kind.REFUND else house.payouts
        try:
            await verbs.cancel(operation.shop.book, record.id)
        except Exception as problem:
            code: str = refusal_of(problem).code
        else:
            code = "cancelled"
            operation.cancel_accepted = True
        self._transcript.operation(f"{process.name} is to cancel {operation.token}: {code}")

    def _made(
        self,
        kind: Kind,
        shop: Shop,
        external_id: str | None,
        country: str,
        amount: int,
        target: str,
    ) -> Operation:
        token = f"#{len(self.operations) + 1}"
        made = Operation(token, kind, shop, external_id, country, amount, target)
        self.operations.append(made)
        return made

    def _external_id(self, kind: Kind, shop: Shop) -> str | None:
        recent = [
            one.external_id
            for one in self.operations[-_REMEMBERED:]
            if one.external_id and one.kind is kind and one.shop is shop
        ]
        if recent and self._random.random() < 0.25:
            return self._random.choice(recent)
        if kind is not Kind.PAYMENT and self._random.random() < 0.1:
            return None
        return f"{kind.value}-{len(self.operations) + 1}"


async def _request(house: House, operation: Operation) -> Any:
    book, terms = operation.shop.book, operation.shop.terms
    amount = f"{operation.amount // 100}.{operation.amount % 100:02d}"
    match operation.kind:
        case Kind.PAYMENT:
            wanted = house.payments.check(
                book,
                terms,
                amount=amount,
                provider=operation.target,
                phone_number=_PHONE,
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
                phone_number=_PHONE,
                source_country=operation.country,
                external_id=operation.external_id,
                description=operation.token,
                metadata=None,
            )
            return await house.payouts.request(book, payout, terms)
        case Kind.REFUND:
            payment = operation.payment.record if operation.payment else None
            if payment is None:
                raise ValueError(f"{operation} is of nothing that is on record")
            return await house.refunds.request(
                book, payment.id, reason=operation.token, external_id=operation.external_id
            )


def _called(accepted: Any) -> str:
    """What the rail's lines of the transcript call it."""
    return f"as {numbered(accepted.progress.reference)}" if isinstance(accepted, Tracked) else ""


def _identifier(kind: Kind, shown: str | None) -> Any:
    if shown is None:
        return None
    if kind is Kind.TRANSFER:
        return parse_uuid(shown)
    return parse_public_id(_PREFIXES[kind], shown)
