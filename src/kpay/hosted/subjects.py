"""What the page does with each kind of operation: the same few verbs, over payments and payouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from kpay.access.model import Terms
from kpay.catalogue.model import OperationType, Provider
from kpay.core.book import Book
from kpay.hosted.view import Quoted, Subject
from kpay.instructions.model import Hosted, Status, Tracked
from kpay.payments.flow import Payments
from kpay.payments.model import Payment


class Picked(msgspec.Struct, frozen=True):
    """What came with the form: a provider's code, a number as typed, and what was shown last."""

    provider: str
    number: str
    receives: str = ""


class Shown(msgspec.Struct, frozen=True):
    """What is to be confirmed before it is taken: the number as it was read, and the price."""

    number: str
    quoted: Quoted


class Kind(Protocol):
    """One kind of operation, as the page deals with it."""

    async def find(self, book: Book, identifier: UUID) -> Subject:
        """One that has a page. Refuses: not_found."""
        ...

    def offers(self, subject: Subject, book: Book, terms: Terms) -> Sequence[Provider]:
        """The operators that can be chosen."""
        ...

    async def pick(
        self, book: Book, identifier: UUID, terms: Terms, picked: Picked
    ) -> Shown | None:
        """Take a choice, unless something has to be confirmed first. Refuses what is wrong with it.

        What came too late, or is there already, changes nothing: the page tells how it stands.
        """
        ...

    async def call_off(self, book: Book, identifier: UUID) -> None:
        """End it without having moved anything, if no operator has it."""
        ...

    async def run_out(self, book: Book, identifier: UUID) -> None:
        """End what was not chosen in time."""
        ...


class PaymentPages:
    """Payments: the payer picks, and that is all that has to be said."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def find(self, book: Book, identifier: UUID) -> Subject:
        tracked = await self._payments.get(book, identifier)
        payment = tracked.agreed
        return Subject(
            type=OperationType.DEPOSIT,
            reference=payment.reference,
            external_id=payment.external_id,
            description=payment.description,
            amount=payment.amount,
            provider=payment.provider,
            phone_number=payment.phone_number,
            is_test=book.is_test,
            hosted=_hosted(tracked),
            progress=tracked.progress,
        )

    def offers(self, subject: Subject, book: Book, terms: Terms) -> Sequence[Provider]:
        return self._payments.offers(book, subject.amount, terms)

    async def pick(
        self, book: Book, identifier: UUID, terms: Terms, picked: Picked
    ) -> Shown | None:
        tracked = await self._payments.get(book, identifier)
        if tracked.progress.status is Status.PENDING:
            choice = self._payments.read_choice(
                tracked.agreed, terms, provider=picked.provider, phone_number=picked.number
            )
            await self._payments.choose(tracked.agreed, choice)
        return None

    async def call_off(self, book: Book, identifier: UUID) -> None:
        await self._payments.call_off((await self._payments.get(book, identifier)).agreed)

    async def run_out(self, book: Book, identifier: UUID) -> None:
        await self._payments.run_out((await self._payments.get(book, identifier)).agreed)


def _hosted(tracked: Tracked[Payment]) -> Hosted:
    if tracked.agreed.hosted is None:
        raise RuntimeError("a page was found of what has none")
    return tracked.agreed.hosted
