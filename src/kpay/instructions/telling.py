"""How operations at a rail are told to their merchants: each with how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from kpay.core.book import Book
from kpay.core.money import Money
from kpay.events.model import Teller, Told
from kpay.instructions.flow import Followed
from kpay.instructions.model import Agreed, Tracked


class Tellable(Agreed, Protocol):
    """What an operation must have to be told."""

    @property
    def reference(self) -> str: ...

    @property
    def amount(self) -> Money: ...

    @property
    def phone_number(self) -> str | None: ...

    @property
    def external_id(self) -> str | None: ...

    @property
    def metadata(self) -> str | None: ...


A = TypeVar("A", bound=Tellable)


def teller(
    verbs: Followed[A], original_payment: Callable[[A], str | None] = lambda _: None
) -> Teller:
    """Reads the operations of one noun as merchants are told of them.

    `original_payment` is the public id of the payment that one gives back.
    """

    async def tell(wanted: Sequence[tuple[Book, UUID]]) -> Mapping[UUID, Told]:
        found = await verbs.of_ids(wanted)
        return {
            identifier: _told(tracked, original_payment(tracked.agreed))
            for identifier, tracked in found.items()
        }

    return tell


def _told(tracked: Tracked[A], original_payment_id: str | None) -> Told:
    """An operation as it stands."""
    agreed, progress = tracked.agreed, tracked.progress
    return Told(
        public_id=agreed.public_id,
        reference=agreed.reference,
        status=progress.status,
        amount=agreed.amount,
        phone_number=agreed.phone_number,
        external_id=agreed.external_id,
        metadata=agreed.metadata,
        ended_at=progress.ended_at,
        failure_code=progress.failure_code,
        original_payment_id=original_payment_id,
    )
