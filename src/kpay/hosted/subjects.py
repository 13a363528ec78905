"""What the page does with each kind of operation: the same few verbs, over payments and payouts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from kpay.access.model import Terms
from kpay.catalogue.model import OperationType, Provider
from kpay.core.book import Book
from kpay.core.money import Money
from kpay.hosted.view import Quoted, Subject
from kpay.instructions.flow import Chosen
from kpay.instructions.model import Hosted, Status, Tracked
from kpay.payments.flow import Payments
from kpay.payouts.flow import Payouts
from kpay.payouts.model import IfDelayed, Payout


class Picked(msgspec.Struct, frozen=True):
    """What came with the form: a provider's code, a number as typed, and what was shown last."""

    provider: str
    number: str
    receives: str = ""


class Shown(msgspec.Struct, frozen=True):
    """What is to be confirmed before it is taken: the number as it was read, and the price."""

    number: str
    quoted: Quoted


V = TypeVar("V", bound=Chosen[Any])


class Kind(ABC, Generic[V]):
    """One kind of operation, as the page deals with it."""

    def __init__(self, verbs: V) -> None:
        self.verbs = verbs

    @abstractmethod
    async def find(self, book: Book, identifier: UUID) -> Subject:
        """One that has a page. Refuses: not_found."""

    @abstractmethod
    def offers(self, subject: Subject, /, book: Book, terms: Terms) -> Sequence[Provider]:
        """The operators that can be chosen."""

    @abstractmethod
    async def pick(
        self, book: Book, identifier: UUID, terms: Terms, picked: Picked
    ) -> Shown | None:
        """Take a choice, unless something has to be confirmed first. Refuses what is wrong with it.

        What came too late, or is there already, changes nothing: the page tells how it stands.
        """


class PaymentPages(Kind[Payments]):
    """Payments: the payer picks, and that is all that has to be said."""

    async def find(self, book: Book, identifier: UUID) -> Subject:
        tracked = await self.verbs.get(book, identifier)
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
            hosted=_hosted(payment.hosted),
            progress=tracked.progress,
        )

    def offers(self, subject: Subject, book: Book, terms: Terms) -> Sequence[Provider]:
        return self.verbs.offers(book, subject.amount, terms)

    async def pick(
        self, book: Book, identifier: UUID, terms: Terms, picked: Picked
    ) -> Shown | None:
        tracked = await self.verbs.get(book, identifier)
        if tracked.progress.status is Status.PENDING:
            choice = self.verbs.read_choice(
                tracked.agreed, terms, provider=picked.provider, phone_number=picked.number
            )
            await self.verbs.choose(tracked.agreed, choice)
        return None


class PayoutPages(Kind[Payouts]):
    """Payouts: the beneficiary picks, is shown what arrives there, and confirms it."""

    async def find(self, book: Book, identifier: UUID) -> Subject:
        tracked = await self.verbs.get(book, identifier)
        payout = tracked.agreed
        return Subject(
            type=OperationType.PAYOUT,
            reference=payout.reference,
            external_id=payout.external_id,
            description=payout.description,
            amount=self._arrives(tracked),
            provider=payout.provider,
            phone_number=payout.phone_number,
            is_test=book.is_test,
            hosted=_hosted(payout.hosted),
            progress=tracked.progress,
            waits=payout.wait.if_delayed is IfDelayed.QUEUE,
        )

    def offers(self, subject: Subject, book: Book, terms: Terms) -> Sequence[Provider]:
        return self.verbs.offers(
            book, terms, IfDelayed.QUEUE if subject.waits else IfDelayed.REFUSE
        )

    async def pick(
        self, book: Book, identifier: UUID, terms: Terms, picked: Picked
    ) -> Shown | None:
        tracked = await self.verbs.get(book, identifier)
        payout = tracked.agreed
        if tracked.progress.status is not Status.PENDING:
            return None
        choice = await self.verbs.read_choice(
            payout, terms, provider=picked.provider, phone_number=picked.number
        )
        # What was confirmed is what was shown: where the rate has moved since, it is shown anew.
        if picked.receives == str(choice.sent.minor):
            await self.verbs.choose(payout, choice)
            return None
        exchanged = choice.sent.currency != payout.amount.currency
        quoted = Quoted(
            receives=choice.sent,
            source=payout.amount.currency,
            rate=choice.quote.rate if exchanged and choice.quote is not None else None,
            changed=bool(picked.receives),
        )
        return Shown(choice.phone_number, quoted)

    def _arrives(self, tracked: Tracked[Payout]) -> Money:
        """What the operator is told, once one was chosen that was not refused; else the net."""
        if tracked.progress.status is Status.PENDING:
            return tracked.agreed.net
        return self.verbs.told(tracked.agreed)


def _hosted(hosted: Hosted | None) -> Hosted:
    if hosted is None:
        raise RuntimeError("a page was found of what has none")
    return hosted
