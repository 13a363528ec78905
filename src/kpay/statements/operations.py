"""How each kind of operation is told in a statement: one `Teller` for each noun that posts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from uuid import UUID

from kpay.core.book import Book
from kpay.core.page import MOST, Filter
from kpay.instructions.flow import Followed
from kpay.instructions.model import Agreed, Tracked
from kpay.ledger.model import Kind
from kpay.payments.model import Payment
from kpay.payouts.model import Payout
from kpay.refunds.model import Refund
from kpay.statements.model import Operation
from kpay.transfers.flow import Transfers
from kpay.transfers.model import Transfer

A = TypeVar("A", bound=Agreed)

Tell: TypeAlias = Callable[[Book, str, Sequence[UUID]], Awaitable[Mapping[UUID, Operation]]]
Named: TypeAlias = Callable[[Book, str], Awaitable[Sequence[UUID]]]


@dataclass(frozen=True, slots=True)
class Teller:
    """What is known of the operations behind some kinds of entries.

    `tell` gives those of a book with some identifiers, as they look to a country's wallet; `named`
    finds the identifiers of those that have an externalId, the latest hundred.
    """

    kinds: frozenset[Kind]
    tell: Tell
    named: Named


def of_payments(payments: Followed[Payment]) -> Teller:
    return _of_followed(payments, _payment, Kind.PAYMENT_COMPLETED)


def of_payouts(payouts: Followed[Payout]) -> Teller:
    kinds = Kind.PAYOUT_REQUESTED, Kind.PAYOUT_COMPLETED, Kind.PAYOUT_RELEASED
    return _of_followed(payouts, _payout, *kinds)


def of_refunds(refunds: Followed[Refund]) -> Teller:
    kinds = Kind.REFUND_REQUESTED, Kind.REFUND_COMPLETED, Kind.REFUND_RELEASED
    return _of_followed(refunds, _refund, *kinds)


def _of_followed(
    verbs: Followed[A], told: Callable[[Tracked[A]], Operation], *kinds: Kind
) -> Teller:
    async def tell(book: Book, _country: str, ids: Sequence[UUID]) -> dict[UUID, Operation]:
        found = await verbs.of_ids([(book, identifier) for identifier in ids])
        return {identifier: told(each) for identifier, each in found.items()}

    async def named(book: Book, external_id: str) -> list[UUID]:
        rows = await verbs.page(book, Filter(external_id=external_id, limit=MOST))
        return [row.agreed.id for row in rows]

    return Teller(frozenset(kinds), tell, named)


def of_transfers(transfers: Transfers) -> Teller:
    async def tell(book: Book, country: str, ids: Sequence[UUID]) -> dict[UUID, Operation]:
        found = await transfers.of_ids(book, ids)
        return {identifier: _transfer(each, country) for identifier, each in found.items()}

    async def named(book: Book, external_id: str) -> list[UUID]:
        rows = await transfers.page(book, Filter(external_id=external_id, limit=MOST))
        return [row.id for row in rows]

    return Teller(frozenset({Kind.TRANSFER}), tell, named)


def _payment(tracked: Tracked[Payment]) -> Operation:
    payment = tracked.agreed
    return Operation(
        id=payment.public_id,
        reference=payment.reference,
        external_id=payment.external_id,
        description=payment.description,
        provider=payment.provider,
        gross=payment.amount,
        fee=payment.fee,
    )


def _payout(tracked: Tracked[Payout]) -> Operation:
    payout = tracked.agreed
    return Operation(
        id=payout.public_id,
        reference=payout.reference,
        external_id=payout.external_id,
        description=payout.description,
        provider=payout.provider,
        gross=payout.amount,
        fee=payout.fee,
        counter_country=payout.country,
        counter=payout.payout_amount,
        failure_code=tracked.progress.failure_code,
    )


def _refund(tracked: Tracked[Refund]) -> Operation:
    refund = tracked.agreed
    return Operation(
        id=refund.public_id,
        reference=refund.reference,
        external_id=refund.external_id,
        description=refund.reason,
        provider=refund.provider,
        gross=refund.amount,
        failure_code=tracked.progress.failure_code,
    )


def _transfer(transfer: Transfer, country: str) -> Operation:
    """Seen from one of its two sides."""
    is_source = transfer.source_country == country
    return Operation(
        id=str(transfer.id),
        reference=transfer.source_reference if is_source else transfer.destination_reference,
        external_id=transfer.external_id,
        description=transfer.description,
        counter_country=transfer.destination_country if is_source else transfer.source_country,
        counter=transfer.credited if is_source else transfer.debited,
    )
