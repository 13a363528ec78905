"""A payment's whole story, top to bottom: init → submit → credit or fail.

`init` records what the payer is to be asked for; the worker then drives it with `work`: the rail is
told once under our reference and asked until it says paid or refused. Paid credits the net to the
wallet of the provider's country, which its first payment opens. Nothing is posted before that.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from kpay.access.model import Terms
from kpay.catalogue.model import Catalogue, OperationType
from kpay.connectors.model import Instruction, Outcome
from kpay.connectors.phones import read_phone
from kpay.connectors.routing import Routing
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.ids import Ids, public_id
from kpay.core.money import fee_of, read_amount
from kpay.core.page import Filter
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.instructions.flow import Attempt, Rails
from kpay.instructions.model import Claim, New, Progress, Status, Step, step_after
from kpay.instructions.store import StepRecords
from kpay.ledger import movements
from kpay.ledger.model import Entry, Order, Reason, Verdict
from kpay.ledger.poster import Poster
from kpay.payments import store
from kpay.payments.model import PREFIX, Payment, Tracked, Wanted

_DRAWS = 3

log = structlog.get_logger(__name__)


class Payments:
    """The verbs of payments."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        rails: Rails,
        routing: Routing,
        catalogue: Catalogue,
        steps: StepRecords,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database = database
        self._poster = poster
        self._rails = rails
        self._routing = routing
        self._catalogue = catalogue
        self._clock = clock
        self._ids = ids
        self._new = store.PaymentRecords()
        self._steps = steps

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
        operator = self._routing.open_provider(book.environment, provider)
        terms.check_provider(operator.code)
        if currency is not None and currency != operator.currency:
            raise Refusal(
                Code.CURRENCY_MISMATCH,
                f"currency must be {operator.currency}, as {operator.code} collects, or left out.",
            )
        money = read_amount(amount, operator.currency, decimals=operator.deposit_decimals)
        own = terms.limits.get((OperationType.DEPOSIT, money.currency))
        (own or self._catalogue.limits[OperationType.DEPOSIT, money.currency]).check(money)
        return Wanted(
            amount=money,
            provider=operator,
            phone_number=read_phone(
                self._catalogue, book.environment, OperationType.DEPOSIT, operator, phone_number
            ),
            external_id=external_id,
            customer_name=customer_name,
            customer_email=customer_email,
            description=description,
            metadata=metadata,
        )

    async def init(self, book: Book, wanted: Wanted, terms: Terms) -> Tracked:
        """Accept a payment: on disk, and due at once. Refuses: external_id_used."""
        for _ in range(_DRAWS):
            payment = self._draw(book, wanted, terms)
            new = self._new_instruction(payment)
            order = Order(
                book, payment.id, None, (payment, new), claim=("payment", payment.external_id)
            )
            verdict = await self._poster.post(order, self._new)
            if verdict.posted:
                return Tracked(payment, Progress(Status.PENDING, new.instruction.reference))
            if verdict.reason is not Reason.CLASH:
                raise _used(payment, verdict)
        raise RuntimeError("no free reference was drawn")

    # Submit: the worker hands over what is due, and asks about what was handed over.

    async def work(self, limit: int) -> int:
        """Make one attempt at each of up to `limit` payments that are due. Returns how many."""
        claims = await self._rails.claim(OperationType.DEPOSIT, limit)
        if claims:
            found = await store.of_ids(self._database, [(claim.book, claim.id) for claim in claims])
            await asyncio.gather(
                *(self._pursue(claim, found[claim.id].payment) for claim in claims)
            )
        return len(claims)

    async def _pursue(self, claim: Claim, payment: Payment) -> None:
        outcome = await self._rails.ask(claim)
        await self.record(claim, payment, outcome)

    # Credit or fail: what the rail said becomes an entry and a status, in one transaction.

    async def record(self, claim: Claim, payment: Payment, outcome: Outcome) -> Verdict:
        """Write what an attempt came to. An answer that comes after the end changes nothing."""
        step = step_after(claim, outcome, self._clock.now())
        order = Order(
            payment.book,
            payment.id,
            _credit(payment, step),
            step,
            claim=("payment step", payment.id),
        )
        verdict = await self._poster.post(order, self._steps)
        if not verdict.posted:
            log.warning(
                "payment_answer_after_end",
                payment=payment.public_id,
                outcome=type(outcome).__name__,
            )
        return verdict

    async def finish_in_sandbox(
        self, book: Book, payment_id: UUID, failure_code: str | None
    ) -> Tracked:
        """Decide how a sandbox payment that stays open ends. Refuses: not_found, not_open."""
        found = await self.get(book, payment_id)
        await self._rails.finish_in_sandbox(book, payment_id, found.progress, failure_code)
        return found

    # Reading.

    async def get(self, book: Book, payment_id: UUID) -> Tracked:
        """One payment of a book. Refuses: not_found."""
        found = await store.find(self._database, book, payment_id)
        if found is None:
            raise Refusal(Code.NOT_FOUND, "There is no payment with this id.")
        return found

    async def attempts(self, book: Book, payment_id: UUID) -> list[Attempt]:
        return await self._rails.attempts(book, payment_id)

    async def page(self, book: Book, wanted: Filter) -> list[Tracked]:
        return await store.page(self._database, book, wanted)

    def _draw(self, book: Book, wanted: Wanted, terms: Terms) -> Payment:
        return Payment(
            book=book,
            id=self._ids.uuid(),
            suffix=self._ids.suffix(),
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

    def _new_instruction(self, payment: Payment) -> New:
        instruction = Instruction(
            book=payment.book,
            type=OperationType.DEPOSIT,
            reference=self._ids.uuid(),
            provider=payment.provider,
            phone_number=payment.phone_number,
            amount=payment.amount,
            submitted_at=payment.created_at,
        )
        return New(payment.id, payment.external_id, instruction)


def _credit(payment: Payment, step: Step) -> Entry | None:
    """The entry of a payment that was paid; any other step moves nothing."""
    if step.status is not Status.COMPLETED:
        return None
    return movements.payment_completed(
        payment.id,
        provider=payment.provider,
        country=payment.country,
        paid=payment.amount,
        fee=payment.fee,
    )


def _used(payment: Payment, verdict: Verdict) -> Refusal:
    existing = verdict.existing_id
    return Refusal(
        Code.EXTERNAL_ID_USED,
        f"A payment with externalId {payment.external_id} already exists.",
        existing_id=None if existing is None else public_id(PREFIX, existing),
    )
