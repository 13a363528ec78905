"""A refund as a move: looked at, asked for and approved as transfers and payouts are.

The page of a payment has its form. It gives back all that was paid, so nothing of it is typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from kpay.access.model import Terms
from kpay.audit.model import Action, Subject
from kpay.catalogue.model import Catalogue
from kpay.core.book import Book
from kpay.core.ids import parse_public_id
from kpay.core.keyed import Keyed
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.look import Look, Move
from kpay.dashboard.speech import Speech
from kpay.dashboard.typed import phone_words
from kpay.dashboard.wrongs import DESCRIPTION, SOURCE, WHOLE
from kpay.ledger.fence import Beside
from kpay.payments.model import PREFIX
from kpay.refunds.flow import Refunds
from kpay.refunds.model import WINDOW
from kpay.transactions.model import Noun, spell
from kpay.wallets.model import Wallet

PAYMENT = "payment"


class RefundLook(Look):
    payment_id: UUID | None = None


class RefundMove(Move[RefundLook]):
    """Back to the phone that paid."""

    word = "refund"
    template = "transaction.html"
    fields = (SOURCE, PAYMENT, DESCRIPTION)
    shortage = Code.REFUND_EXCEEDS_BALANCE
    action = Action.REFUND_ASKED

    def __init__(self, refunds: Refunds, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._refunds = refunds

    def choices(self, _book: Book, _terms: Terms, /) -> dict[str, object]:
        return {}

    async def look(
        self, book: Book, _terms: Terms, wallet: Wallet, typed: Mapping[str, str]
    ) -> RefundLook:
        look = RefundLook(typed, wallet, destination=wallet.country)
        look.currency = wallet.available.currency
        look.payment_id = parse_public_id(PREFIX, typed.get(PAYMENT, ""))
        if look.payment_id is None:
            look.refused[WHOLE] = Code.NOT_REFUNDABLE
            return look
        try:
            payment = await self._refunds.check(book, look.payment_id)
        except Refusal as refusal:
            if refusal.code not in CODES:
                raise
            look.refused[WHOLE] = refusal.code
            return look
        payer = payment.paid_from
        look.amount = look.arrives = payment.amount
        look.fee = Money(0, payment.amount.currency)
        look.operator = self._catalogue.providers.get(payer.provider)
        look.phone_number, look.phone_shown = payer.phone_number, phone_words(payer.phone_number)
        return look

    async def make(
        self, book: Book, _terms: Terms, /, look: RefundLook, keyed: Keyed, beside: Beside
    ) -> None:
        if look.payment_id is None:
            raise RuntimeError("a refund was to be made of no payment")
        await self._refunds.request(
            book,
            look.payment_id,
            reason=look.typed[DESCRIPTION] or None,
            external_id=None,
            keyed=keyed,
            beside=beside,
        )

    async def is_made(self, book: Book, operation_id: UUID) -> bool:
        return await self._refunds.find(book, operation_id) is not None

    def subject(self, operation_id: UUID) -> Subject:
        return Subject("transaction", spell(Noun.REFUND, operation_id))


CODES = frozenset(
    {
        Code.NOT_REFUNDABLE,
        Code.REFUND_WINDOW_CLOSED,
        Code.REFUND_EXISTS,
        Code.REFUND_EXCEEDS_BALANCE,
        Code.PROVIDER_CLOSED,
    }
)


def refund_words(speech: Speech) -> dict[Code, str]:
    """Why a payment cannot be given back."""
    say = speech.say
    return {
        Code.NOT_REFUNDABLE: say("Only a payment that is completed can be given back."),
        Code.REFUND_WINDOW_CLOSED: say(
            "A payment can be given back for %(days)s days; pay it out instead.", days=WINDOW.days
        ),
        Code.REFUND_EXISTS: say("It was given back already, or is being given back."),
        Code.REFUND_EXCEEDS_BALANCE: say(
            "Your wallet does not have as much available as the payer has paid."
        ),
        Code.PROVIDER_CLOSED: say(
            "The operator can give nothing back at the moment: try again later."
        ),
    }
