"""Transactions as people look at them: one list of all four nouns, and the story of each.

Nothing is done here. The list says which transactions there are; what each is, its own noun says.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.refusals import Refusal
from kpay.database.pool import Database
from kpay.payments.flow import Payments
from kpay.payouts.flow import Payouts
from kpay.refunds.flow import Refunds
from kpay.transactions import store
from kpay.transactions.model import (
    EVERYTHING,
    Noun,
    Transaction,
    Wanted,
    meanings,
    of_payment,
    of_payout,
    of_refund,
    of_transfer,
)
from kpay.transactions.story import Notice, Receipt, Story
from kpay.transfers.flow import Transfers
from kpay.webhooks.flow import Webhooks


class Transactions:
    """Looks at payments, payouts, transfers and refunds together."""

    def __init__(
        self,
        database: Database,
        payments: Payments,
        payouts: Payouts,
        refunds: Refunds,
        transfers: Transfers,
        webhooks: Webhooks,
    ) -> None:
        self._database = database
        self._payments = payments
        self._payouts = payouts
        self._refunds = refunds
        self._transfers = transfers
        self._webhooks = webhooks

    async def page(self, book: Book, wanted: Wanted) -> list[Transaction]:
        """A page of a book's, newest first, with one more if there is another page."""
        asked = [EVERYTHING] if wanted.text is None else meanings(wanted.text)
        found: dict[UUID, Noun] = {}
        # One after the other: a list never has more than one of the pool's connections.
        for meaning in asked:
            if wanted.noun is not None and meaning.noun not in (None, wanted.noun):
                continue
            rows = await store.page(self._database, book, wanted, meaning)
            found |= {identifier: noun for noun, identifier in rows}
        # Each meaning gave its newest, so the newest of all of them are among these.
        latest = sorted(found, reverse=True)[: wanted.filter.limit + 1]
        return await self._told(book, [(found[identifier], identifier) for identifier in latest])

    async def every_page(
        self, book: Book, wanted: Wanted
    ) -> AsyncGenerator[Sequence[Transaction], None]:
        """The list to its end, a page at a time, for a file."""
        while True:
            rows = await self.page(book, wanted)
            page = rows[: wanted.filter.limit]
            yield page
            if len(rows) <= wanted.filter.limit:
                return
            narrowed = msgspec.structs.replace(wanted.filter, before=page[-1].id)
            wanted = msgspec.structs.replace(wanted, filter=narrowed)

    async def find(self, book: Book, noun: Noun, identifier: UUID) -> Transaction | None:
        """One of a book's, or None."""
        found = await self._told(book, [(noun, identifier)])
        return found[0] if found else None

    async def story(self, book: Book, noun: Noun, identifier: UUID) -> Story | None:
        """All that is known of one, or None where there is none."""
        story = await self._agreed(book, noun, identifier)
        if story is None:
            return None
        database = self._database
        event_id = await store.event(database, book, identifier)
        return msgspec.structs.replace(
            story,
            attempts=await self._payments.attempts(book, identifier),
            choices=await store.choices(database, book, identifier),
            entries=await store.entries(database, book, story.transaction, story.sent),
            notice=None if event_id is None else await self._notice(book, event_id),
        )

    async def _agreed(self, book: Book, noun: Noun, identifier: UUID) -> Story | None:
        """What was agreed, as its own noun has it, and how far a rail is with that."""
        match noun:
            case Noun.PAYMENT:
                return await self._payment(book, identifier)
            case Noun.PAYOUT:
                return await self._payout(book, identifier)
            case Noun.REFUND:
                return await self._refund(book, identifier)
            case Noun.TRANSFER:
                return await self._transfer(book, identifier)

    async def _payment(self, book: Book, identifier: UUID) -> Story | None:
        tracked = await self._payments.find(book, identifier)
        if tracked is None:
            return None
        payment = tracked.agreed
        named = [part for part in (payment.customer_name, payment.customer_email) if part]
        return Story(
            of_payment(tracked),
            desk=await store.desk(self._database, book, identifier),
            refunds=[of_refund(each) for each in await self._refunds.of_payment(book, identifier)],
            customer=", ".join(named) or None,
            expires_at=None if payment.hosted is None else payment.hosted.expires_at,
            metadata=payment.metadata,
        )

    async def _payout(self, book: Book, identifier: UUID) -> Story | None:
        tracked = await self._payouts.find(book, identifier)
        if tracked is None:
            return None
        payout = tracked.agreed
        desk = await store.desk(self._database, book, identifier)
        receipt = None
        if payout.exchange is not None:
            arrives, quote = payout.exchange
            receipt = Receipt(payout.net, arrives, quote, None if desk is None else desk.sent)
        return Story(
            of_payout(tracked),
            desk=desk,
            receipt=receipt,
            expires_at=None if payout.hosted is None else payout.hosted.expires_at,
            metadata=payout.metadata,
        )

    async def _refund(self, book: Book, identifier: UUID) -> Story | None:
        tracked = await self._refunds.find(book, identifier)
        if tracked is None:
            return None
        payment = await self._payments.get(book, tracked.agreed.payment_id)
        return Story(
            of_refund(tracked),
            desk=await store.desk(self._database, book, identifier),
            original=of_payment(payment),
        )

    async def _transfer(self, book: Book, identifier: UUID) -> Story | None:
        transfer = await self._transfers.find(book, identifier)
        if transfer is None:
            return None
        converts = transfer.debited.currency != transfer.credited.currency
        receipt = Receipt(transfer.debited, transfer.credited, transfer.quote)
        return Story(of_transfer(transfer), receipt=receipt if converts else None)

    async def _notice(self, book: Book, event_id: UUID) -> Notice:
        try:
            delivery = await self._webhooks.delivery(book, event_id)
        except Refusal:
            # No URL has heard of it, and it can be replayed to one that was set since.
            return Notice(event_id, None)
        return Notice(event_id, delivery, await self._webhooks.attempts(book, event_id))

    async def _told(self, book: Book, wanted: Sequence[tuple[Noun, UUID]]) -> list[Transaction]:
        """Those that are wanted, in that order, each as its own noun tells it."""
        ids: dict[Noun, list[UUID]] = {}
        for noun, identifier in wanted:
            ids.setdefault(noun, []).append(identifier)
        known: dict[UUID, Transaction] = {}
        for noun, those in ids.items():
            known.update(await self._of_noun(book, noun, those))
        return [known[identifier] for _, identifier in wanted if identifier in known]

    async def _of_noun(
        self, book: Book, noun: Noun, ids: Sequence[UUID]
    ) -> dict[UUID, Transaction]:
        keys = [(book, identifier) for identifier in ids]
        match noun:
            case Noun.PAYMENT:
                payments = await self._payments.of_ids(keys)
                return {key: of_payment(each) for key, each in payments.items()}
            case Noun.PAYOUT:
                payouts = await self._payouts.of_ids(keys)
                return {key: of_payout(each) for key, each in payouts.items()}
            case Noun.REFUND:
                refunds = await self._refunds.of_ids(keys)
                return {key: of_refund(each) for key, each in refunds.items()}
            case Noun.TRANSFER:
                transfers = await self._transfers.of_ids(book, ids)
                return {key: of_transfer(each) for key, each in transfers.items()}
