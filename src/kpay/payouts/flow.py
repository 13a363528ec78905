"""A payout's whole story, top to bottom: request → reserve → submit → settle or release.

Nothing else changes a payout's status. `request` prices it and sets the gross amount aside in one
entry; the worker then drives it with `work`, as it does payments and refunds
(`instructions/flow.py`): the rail is told once under our reference and asked until it says paid or
refused. Paid consumes the hold; refused or cancelled gives all of it back. No answer is unknown,
not failed: the hold stays and the question is asked again.
"""

from __future__ import annotations

from collections.abc import Callable

from kpay.access.model import Terms
from kpay.catalogue.model import Catalogue, OperationType
from kpay.connectors.model import Instruction
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.ids import Ids, public_id
from kpay.core.keyed import Keyed
from kpay.core.money import read_amount
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.database.references import References
from kpay.instructions.flow import Outgoing, Rails
from kpay.instructions.model import Progress, Status, Tracked
from kpay.instructions.store import TrackedRows
from kpay.ledger import movements
from kpay.ledger.model import Entry, Order, Reason, Verdict
from kpay.ledger.poster import Poster
from kpay.payouts import store
from kpay.payouts.model import PREFIX, Payout, Price, Wanted, price
from kpay.rates.flow import Rates
from kpay.rates.model import Quote


class Payouts(Outgoing[Payout]):
    """The verbs of payouts. `something_due` is called when the worker has new work."""

    word = "withdrawal"
    type = OperationType.PAYOUT

    def __init__(
        self,
        database: Database,
        poster: Poster,
        rates: Rates,
        rails: Rails,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
        references: References,
        something_due: Callable[[], None],
    ) -> None:
        super().__init__(TrackedRows(database, store.SQL, store.read), rails, poster, clock)
        self._rates = rates
        self._catalogue = catalogue
        self._ids = ids
        self._references = references
        self._something_due = something_due
        self._new = store.PayoutRecords()

    # Request: is what was asked for possible at all?

    def check(
        self,
        book: Book,
        terms: Terms,
        *,
        amount: str,
        provider: str,
        phone_number: str,
        source_country: str | None,
        external_id: str | None,
        description: str | None,
        metadata: str | None,
    ) -> Wanted:
        """What is wanted, or the first thing that is wrong with it. `amount` is its JSON text."""
        operator = self._rails.open_provider(book.environment, provider, terms)
        # Without a sourceCountry the wallet of the provider's own country is debited.
        country = operator.country if source_country is None else source_country
        source = self._catalogue.country(country, "sourceCountry")
        money = read_amount(amount, source.currency)
        self._rails.check_limits(OperationType.PAYOUT, money, terms)
        return Wanted(
            source_country=source.code,
            amount=money,
            provider=operator,
            phone_number=self._rails.read_phone(
                book.environment, OperationType.PAYOUT, operator, phone_number
            ),
            external_id=external_id,
            description=description,
            metadata=metadata,
        )

    # Reserve: the price is fixed and the gross amount set aside, in one entry with the record.

    async def request(
        self, book: Book, wanted: Wanted, terms: Terms, keyed: Keyed | None = None
    ) -> Tracked[Payout]:
        """Accept a payout. When this returns, it is on disk, its money held, and due at once.

        Refuses: no_rate, no_wallet, withdrawal_exceeds_balance, external_id_used.
        """
        quote = await self._rates.quote(
            book.environment, wanted.amount.currency, wanted.provider.currency
        )
        agreed = price(wanted, quote, terms.payout_fee_bps)
        suffix = await self._references.draw()
        payout = self._draw(book, wanted, agreed, quote, suffix, keyed)
        instruction = self._instruction(payout, agreed)
        verdict = await self._poster.post(_reserve(payout, instruction), self._new, keyed)
        if not verdict.posted:
            raise _refusal(payout, verdict)
        self._something_due()
        return Tracked(payout, Progress(Status.PENDING, instruction.reference))

    # Settle or release: what the rail said becomes an entry and a status, in one transaction.

    def paid(self, agreed: Payout, told: Instruction) -> Entry:
        """The hold is consumed, the fee earned, the residue of rounding kept."""
        return movements.payout_completed(
            agreed.id,
            country=agreed.source_country,
            provider=agreed.provider,
            amount=agreed.amount,
            fee=agreed.fee,
            payout_amount=agreed.payout_amount,
            sent=told.amount,
        )

    def released(self, agreed: Payout) -> Entry:
        """All of the hold is given back: the payout failed or was cancelled."""
        return movements.payout_released(
            agreed.id, country=agreed.source_country, amount=agreed.amount
        )

    def _draw(
        self,
        book: Book,
        wanted: Wanted,
        agreed: Price,
        quote: Quote,
        suffix: str,
        keyed: Keyed | None,
    ) -> Payout:
        return Payout(
            book=book,
            id=self._ids.uuid() if keyed is None else keyed.operation_id,
            suffix=suffix,
            external_id=wanted.external_id,
            source_country=wanted.source_country,
            amount=wanted.amount,
            fee=agreed.fee,
            provider=wanted.provider.code,
            country=wanted.provider.country,
            phone_number=wanted.phone_number,
            payout_amount=agreed.payout_amount,
            quote=quote,
            description=wanted.description,
            metadata=wanted.metadata,
            created_at=self._clock.now(),
        )

    def _instruction(self, payout: Payout, agreed: Price) -> Instruction:
        return Instruction(
            book=payout.book,
            type=OperationType.PAYOUT,
            reference=self._ids.uuid(),
            provider=payout.provider,
            phone_number=payout.phone_number,
            amount=agreed.sent,
            submitted_at=payout.created_at,
        )


def _reserve(payout: Payout, instruction: Instruction) -> Order[tuple[Payout, Instruction]]:
    return Order(
        book=payout.book,
        entry=movements.payout_requested(
            payout.id, country=payout.source_country, amount=payout.amount
        ),
        record=(payout, instruction),
        claim=None if payout.external_id is None else ("payout", payout.external_id),
    )


def _refusal(payout: Payout, verdict: Verdict) -> Refusal:
    match verdict.reason:
        case Reason.NO_WALLET:
            return Refusal(
                Code.NO_WALLET,
                f"There is no wallet in {payout.source_country}: collect a payment there first, or "
                "name another sourceCountry.",
            )
        case Reason.SHORT_FUNDS:
            return Refusal(
                Code.WITHDRAWAL_EXCEEDS_BALANCE,
                f"Insufficient balance: the {payout.source_country} wallet does not have "
                f"{payout.amount.number:,} {payout.amount.currency} available.",
            )
        case _:
            existing = verdict.existing_id
            return Refusal(
                Code.EXTERNAL_ID_USED,
                f"A withdrawal with externalId {payout.external_id} already exists.",
                existing_id=None if existing is None else public_id(PREFIX, existing),
            )
