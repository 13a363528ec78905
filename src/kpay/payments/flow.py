"""A payment's whole story, top to bottom: init → submit → credit or fail.

`init` records what the payer is to be asked for; the worker then drives it with `work`
(`instructions/flow.py`): the rail is told once under our reference and asked until it says paid or
refused. Paid credits the net to the
wallet of the provider's country, which its first payment opens. Nothing is posted before that.
"""

from __future__ import annotations

from collections.abc import Callable

from kpay.access.model import Terms
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.ids import Ids, public_id
from kpay.core.keyed import Keyed
from kpay.core.money import fee_of, read_amount
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.database.references import References
from kpay.instructions.flow import Followed, Rails
from kpay.instructions.model import Progress, Status, Step, Tracked
from kpay.instructions.store import TrackedRows
from kpay.ledger import movements
from kpay.ledger.model import Entry, Order, Verdict
from kpay.ledger.poster import Poster
from kpay.payments import store
from kpay.payments.model import PREFIX, Payment, Wanted


class Payments(Followed[Payment]):
    """The verbs of payments. `something_due` is called when the worker has new work."""

    word = "payment"
    type = OperationType.DEPOSIT

    def __init__(
        self,
        database: Database,
        poster: Poster,
        rails: Rails,
        clock: Clock,
        ids: Ids,
        references: References,
        something_due: Callable[[], None],
    ) -> None:
        super().__init__(TrackedRows(database, store.SQL, store.read), rails, poster, clock)
        self._ids = ids
        self._references = references
        self._something_due = something_due
        self._new = store.PaymentRecords()

    # Init: is what was asked for possible, and if so, on record.

    def check(
        self,
        book: Book,
        terms: Terms,
        *,
        amount: str,
        provider: str,
        phone_number: str,
        external_id: str,
        currency: str | None,
        customer_name: str | None,
        customer_email: str | None,
        description: str | None,
        metadata: str | None,
    ) -> Wanted:
        """What is wanted, or the first thing that is wrong with it. `amount` is its JSON text."""
        operator = self._rails.open_provider(book.environment, provider, terms)
        if currency is not None and currency != operator.currency:
            raise Refusal(
                Code.CURRENCY_MISMATCH,
                f"currency must be {operator.currency}, as {operator.code} collects, or left out.",
            )
        money = read_amount(amount, operator.currency, decimals=operator.deposit_decimals)
        self._rails.check_limits(OperationType.DEPOSIT, money, terms)
        return Wanted(
            amount=money,
            provider=operator,
            phone_number=self._rails.read_phone(
                book.environment, OperationType.DEPOSIT, operator, phone_number
            ),
            external_id=external_id,
            customer_name=customer_name,
            customer_email=customer_email,
            description=description,
            metadata=metadata,
        )

    async def init(
        self, book: Book, wanted: Wanted, terms: Terms, keyed: Keyed | None = None
    ) -> Tracked[Payment]:
        """Accept a payment: on disk, and due at once. Refuses: external_id_used."""
        payment = self._draw(book, wanted, terms, await self._references.draw(), keyed)
        instruction = self._instruction(payment)
        order = Order(book, None, (payment, instruction), claim=("payment", payment.external_id))
        verdict = await self._poster.post(order, self._new, keyed)
        if not verdict.posted:
            raise _used(payment, verdict)
        self._something_due()
        return Tracked(payment, Progress(Status.PENDING, instruction.reference))

    # Credit or fail: what the rail said becomes an entry and a status, in one transaction.

    def closing(self, agreed: Payment, step: Step, _told: Instruction) -> Entry | None:
        """The credit of a payment that was paid; any other step moves nothing."""
        if step.status is not Status.COMPLETED:
            return None
        return movements.payment_completed(
            agreed.id,
            provider=agreed.provider,
            country=agreed.country,
            paid=agreed.amount,
            fee=agreed.fee,
        )

    def _draw(
        self, book: Book, wanted: Wanted, terms: Terms, suffix: str, keyed: Keyed | None
    ) -> Payment:
        return Payment(
            book=book,
            id=self._ids.uuid() if keyed is None else keyed.operation_id,
            suffix=suffix,
            external_id=wanted.external_id,
            provider=wanted.provider.code,
            country=wanted.provider.country,
            phone_number=wanted.phone_number,
            amount=wanted.amount,
            fee=fee_of(wanted.amount, terms.payment_fee_bps),
            customer_name=wanted.customer_name,
            customer_email=wanted.customer_email,
            description=wanted.description,
            metadata=wanted.metadata,
            created_at=self._clock.now(),
        )

    def _instruction(self, payment: Payment) -> Instruction:
        return Instruction(
            book=payment.book,
            type=OperationType.DEPOSIT,
            reference=self._ids.uuid(),
            provider=payment.provider,
            phone_number=payment.phone_number,
            amount=payment.amount,
            submitted_at=payment.created_at,
        )


def _used(payment: Payment, verdict: Verdict) -> Refusal:
    existing = verdict.existing_id
    return Refusal(
        Code.EXTERNAL_ID_USED,
        f"A payment with externalId {payment.external_id} already exists.",
        existing_id=None if existing is None else public_id(PREFIX, existing),
    )
