"""A refund's whole story, top to bottom: request → reserve → submit → settle or release.

It gives back all that a payment brought, to the phone that paid and through its operator; the fee
of the payment is not returned, so the merchant's wallet is debited the full amount. `request` sets
it aside in one entry with the record; the worker then drives it with `work`, as it does payouts
(`instructions/flow.py`). Paid consumes the hold; refused or cancelled gives all of it back, and the
payment can be refunded again. The payment itself stays as it is: COMPLETED.
"""

from __future__ import annotations

from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction
from kpay.core.book import Book
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code, Refusal
from kpay.instructions.flow import Means, Outgoing
from kpay.instructions.model import Progress, Status, Tracked
from kpay.ledger import movements
from kpay.ledger.fence import Beside
from kpay.ledger.model import Entry, Order, Reason, Verdict
from kpay.payments.flow import Payments
from kpay.payments.model import Payment
from kpay.refunds import store
from kpay.refunds.model import Refund, check_refundable, is_live


class Refunds(Outgoing[Refund]):
    """The verbs of refunds."""

    word = "refund"
    type = OperationType.REFUND

    def __init__(self, means: Means, payments: Payments) -> None:
        rows = store.RefundRows(means.database)
        super().__init__(rows, means)
        self._of_payment = rows.of_payment
        self._payments = payments
        self._new = store.RefundRecords()

    # Request: can the payment be given back, and is nobody else doing it?

    async def request(
        self,
        book: Book,
        payment_id: UUID,
        *,
        reason: str | None,
        external_id: str | None,
        keyed: Keyed | None = None,
        beside: Beside | None = None,
    ) -> Tracked[Refund]:
        """Accept a refund. When this returns, it is on disk, its money held, and due at once.

        `beside` is written in the transaction that holds the money. Refuses: not_found,
        not_refundable, refund_window_closed, provider_closed, refund_exceeds_balance,
        external_id_used, refund_exists.
        """
        payment = await self._payments.get(book, payment_id)
        try:
            self._check(book, payment)
        except Refusal:
            # Who has lost an answer and asks again, however late, is told that there is a refund.
            for earlier in await self.of_payment(book, payment_id):
                if is_live(earlier):
                    raise _exists(earlier.agreed, external_id) from None
            raise
        refund = await self._draw(payment.agreed, reason, external_id, keyed)
        instruction = self._instruction(refund, payment.progress.reference)
        verdict = await self._poster.post(_reserve(refund, instruction), self._new, keyed, beside)
        if not verdict.posted:
            raise await self._refusal(refund, verdict)
        self._something_due()
        return Tracked(refund, Progress(Status.PENDING, instruction.reference))

    async def check(self, book: Book, payment_id: UUID) -> Payment:
        """The payment, if it could be given back at this moment: whether there is the money for it
        is another question.

        Refuses: not_found, not_refundable, refund_window_closed, refund_exists, provider_closed.
        """
        payment = await self._payments.get(book, payment_id)
        for earlier in await self.of_payment(book, payment_id):
            if is_live(earlier):
                raise _exists(earlier.agreed, None)
        self._check(book, payment)
        return payment.agreed

    def _check(self, book: Book, payment: Tracked[Payment]) -> None:
        """Refuses: not_refundable, refund_window_closed, provider_closed."""
        check_refundable(payment.progress, self._clock.now())
        self._rails.check_served(
            book.environment, payment.agreed.paid_from.provider, payment.progress.connector
        )

    async def of_payment(self, book: Book, payment_id: UUID) -> list[Tracked[Refund]]:
        """Every refund of a payment, oldest first; at most one of them is live."""
        return await self._of_payment(book, payment_id)

    # Settle or release: what the rail said becomes an entry and a status, in one transaction.

    def paid(self, agreed: Refund, _told: Instruction) -> Entry:
        """The hold is consumed: the operator has given the payer back what was paid."""
        return movements.refund_completed(
            agreed.id, country=agreed.country, provider=agreed.provider, amount=agreed.amount
        )

    def released(self, agreed: Refund) -> Entry:
        """All of the hold is given back: the refund failed or was cancelled."""
        return movements.refund_released(agreed.id, country=agreed.country, amount=agreed.amount)

    async def _draw(
        self, payment: Payment, reason: str | None, external_id: str | None, keyed: Keyed | None
    ) -> Refund:
        payer = payment.paid_from
        return Refund(
            book=payment.book,
            suffix=await self._references.draw(),
            id=self._new_id(keyed),
            external_id=external_id,
            payment_id=payment.id,
            provider=payer.provider,
            country=payer.country,
            phone_number=payer.phone_number,
            amount=payment.amount,
            reason=reason,
            created_at=self._clock.now(),
        )

    def _instruction(self, refund: Refund, deposit_reference: UUID) -> Instruction:
        return Instruction(
            book=refund.book,
            type=self.type,
            reference=self._ids.reference(),
            provider=refund.provider,
            phone_number=refund.phone_number,
            amount=refund.amount,
            submitted_at=refund.created_at,
            deposit_reference=deposit_reference,
        )

    async def _refusal(self, refund: Refund, verdict: Verdict) -> Refusal:
        if verdict.reason is Reason.ALREADY_USED and verdict.existing_id is not None:
            existing = await self.get(refund.book, verdict.existing_id)
            return _exists(existing.agreed, refund.external_id)
        return Refusal(
            Code.REFUND_EXCEEDS_BALANCE,
            f"Insufficient balance: the {refund.country} wallet does not have "
            f"{refund.amount.number:,} {refund.amount.currency} available, which is all that was "
            "paid.",
        )


def _reserve(refund: Refund, instruction: Instruction) -> Order[tuple[Refund, Instruction]]:
    return Order(
        book=refund.book,
        entry=movements.refund_requested(refund.id, country=refund.country, amount=refund.amount),
        record=(refund, instruction),
        claim=("refund", refund.payment_id),
    )


def _exists(existing: Refund, external_id: str | None) -> Refusal:
    """What is told who asks for what there is: by the externalId of the request, if that is it."""
    if external_id is not None and existing.external_id == external_id:
        return Refusal(
            Code.EXTERNAL_ID_USED,
            f"A refund with externalId {external_id} already exists.",
            existing_id=existing.public_id,
        )
    return Refusal(
        Code.REFUND_EXISTS,
        "This payment was refunded already, or is being refunded: only one that fails or is "
        "cancelled can be followed by another.",
        existing_id=existing.public_id,
    )
