"""A payment's whole story, top to bottom: init (→ choose) → submit → credit or fail.

`init` records what the payer is to be asked for; the worker then drives it with `work`
(`instructions/flow.py`): the rail is told once under our reference and asked until it says paid or
refused. Paid credits the net to the wallet of the provider's country, which its first payment
opens. Nothing is posted before that.

With a hosted page, `init_hosted` leaves operator and number open: the payer's choice is handed over
as any other payment is, and a refusal leads back to the page until its time is over.
"""

from __future__ import annotations

from msgspec.structs import replace

from kpay.access.model import Terms
from kpay.catalogue.model import OperationType, Provider
from kpay.connectors.model import Instruction
from kpay.core.book import Book
from kpay.core.ids import public_id
from kpay.core.keyed import Keyed
from kpay.core.money import Money, fee_of, read_amount
from kpay.core.refusals import Code, Refusal
from kpay.gateways.flow import Gateways
from kpay.gateways.model import check_addresses
from kpay.instructions.flow import Chosen, Means
from kpay.instructions.model import Choice, Hosted, Progress, Status, Step, Tracked
from kpay.instructions.store import TrackedRows
from kpay.ledger import movements
from kpay.ledger.model import Entry, Order, Verdict
from kpay.payments import store
from kpay.payments.model import PREFIX, USUAL_CURRENCY, Payment, Wanted, WantedPage, takes


class Payments(Chosen[Payment]):
    """The verbs of payments."""

    word = "payment"
    type = OperationType.DEPOSIT

    def __init__(self, means: Means, gateways: Gateways) -> None:
        super().__init__(TrackedRows(means.database, store.SQL, store.read), means)
        self._gateways = gateways
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
        operator = self._rails.open_provider(book.environment, provider, terms, self.type)
        if currency is not None and currency != operator.currency:
            raise Refusal(
                Code.CURRENCY_MISMATCH,
                f"currency must be {operator.currency}, as {operator.code} collects, or left out.",
            )
        money = read_amount(amount, operator.currency, decimals=operator.deposit_decimals)
        self._rails.check_limits(OperationType.DEPOSIT, money, terms)
        if operator.deposit_limits is not None:
            operator.deposit_limits.check(money)
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
        payment = replace(
            await self._draw(book, wanted, terms, keyed),
            provider=wanted.provider.code,
            country=wanted.provider.country,
            phone_number=wanted.phone_number,
        )
        instruction = self._instruction(payment, wanted)
        order = Order(book, None, (payment, instruction), claim=("payment", payment.external_id))
        verdict = await self._poster.post(order, self._new, keyed)
        if not verdict.posted:
            raise _used(payment, verdict)
        self._something_due()
        return Tracked(payment, Progress(Status.PENDING, instruction.reference))

    # With a hosted page: init leaves open who pays how, and the payer's choice says it.

    def check_hosted(
        self,
        book: Book,
        terms: Terms,
        *,
        amount: str,
        currency: str | None,
        return_url: str,
        cancel_url: str | None,
        external_id: str,
        customer_name: str | None,
        customer_email: str | None,
        description: str | None,
        metadata: str | None,
    ) -> WantedPage:
        """What is wanted, or the first thing that is wrong with it. `amount` is its JSON text."""
        addresses = check_addresses(book.environment, return_url, cancel_url)
        wanted_currency = currency or USUAL_CURRENCY
        decimals = [
            provider.deposit_decimals
            for provider in self._rails.open_providers(book.environment, terms, self.type)
            if provider.currency == wanted_currency
        ]
        if not decimals:
            raise self._no_currency(book, terms)
        money = read_amount(amount, wanted_currency, decimals=max(decimals))
        self._rails.check_limits(OperationType.DEPOSIT, money, terms)
        return WantedPage(
            amount=money,
            addresses=addresses,
            external_id=external_id,
            customer_name=customer_name,
            customer_email=customer_email,
            description=description,
            metadata=metadata,
        )

    async def init_hosted(
        self, book: Book, wanted: WantedPage, terms: Terms, keyed: Keyed | None = None
    ) -> Tracked[Payment]:
        """Accept a payment whose payer is to choose. Refuses: external_id_used."""
        payment = await self._draw(book, wanted, terms, keyed)
        opened = self._gateways.open(book, payment.id, wanted.addresses)
        payment = replace(payment, hosted=Hosted(opened.expires_at))
        reference = self._ids.reference()
        verdict = await store.write_hosted(self._database, payment, reference, opened, keyed)
        if not verdict.posted:
            raise _used(payment, verdict)
        return Tracked(payment, Progress(Status.PENDING, reference))

    def offers(self, book: Book, amount: Money, terms: Terms) -> list[Provider]:
        """The operators that a payer can pay this amount with at this moment."""
        return [
            provider
            for provider in self._rails.open_providers(book.environment, terms, self.type)
            if takes(provider, amount)
        ]

    def read_choice(
        self, payment: Payment, terms: Terms, *, provider: str, phone_number: str
    ) -> Choice:
        """What a payer picked, or the first thing that is wrong with it.

        Refuses: unknown_provider, provider_suspended, provider_closed, provider_not_allowed,
        currency_mismatch, invalid_phone_number, not_a_test_number.
        """
        operator = self._rails.open_provider(payment.book.environment, provider, terms, self.type)
        if not takes(operator, payment.amount):
            raise Refusal(
                Code.CURRENCY_MISMATCH, f"{operator.code} does not collect {payment.amount}."
            )
        return Choice(
            provider=operator.code,
            country=operator.country,
            phone_number=self._rails.read_phone_as_typed(
                payment.book.environment, OperationType.DEPOSIT, operator, phone_number
            ),
            reference=self._ids.reference(),
            sent=payment.amount,
        )

    def unchosen(self, _agreed: Payment) -> None:
        """Nobody chose how to pay, or the payer does not want to: there is nothing to undo."""

    def _no_currency(self, book: Book, terms: Terms) -> Refusal:
        providers = self._rails.open_providers(book.environment, terms, self.type)
        currencies = sorted({provider.currency for provider in providers})
        return Refusal(
            Code.UNSUPPORTED_CURRENCY,
            f"currency must be one that can be collected: {', '.join(currencies)}. Without one it "
            f"is {USUAL_CURRENCY}.",
        )

    # Credit or fail: what the rail said becomes an entry and a status, in one transaction.

    def closing(self, agreed: Payment, step: Step, told: Instruction) -> Entry | None:
        """The credit of a payment that was paid; any other step moves nothing."""
        if step.status is not Status.COMPLETED:
            return None
        return movements.payment_completed(
            agreed.id,
            provider=told.provider,
            country=agreed.paid_from.country,
            paid=agreed.amount,
            fee=agreed.fee,
        )

    async def _draw(
        self, book: Book, wanted: Wanted | WantedPage, terms: Terms, keyed: Keyed | None
    ) -> Payment:
        """A payment without its payer and without a page: one of them is still to be added."""
        return Payment(
            book=book,
            suffix=await self._references.draw(),
            id=self._new_id(keyed),
            external_id=wanted.external_id,
            amount=wanted.amount,
            fee=fee_of(wanted.amount, terms.payment_fee_bps),
            customer_name=wanted.customer_name,
            customer_email=wanted.customer_email,
            description=wanted.description,
            metadata=wanted.metadata,
            created_at=self._clock.now(),
        )

    def _instruction(self, payment: Payment, wanted: Wanted) -> Instruction:
        return Instruction(
            book=payment.book,
            type=OperationType.DEPOSIT,
            reference=self._ids.reference(),
            provider=wanted.provider.code,
            phone_number=wanted.phone_number,
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
