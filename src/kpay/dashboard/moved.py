"""What was just moved, as the page after it says it: read from the books, not from the address."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kpay.core.ids import parse_uuid
from kpay.dashboard.moves import PayoutMove, TransferMove
from kpay.dashboard.page import Visit, transaction_address
from kpay.dashboard.speech import Speech
from kpay.dashboard.typed import phone_words
from kpay.instructions.model import Status
from kpay.payouts.flow import Payouts
from kpay.payouts.model import Payout
from kpay.transactions.model import Noun, spell
from kpay.transfers.flow import Transfers


class Notice(msgspec.Struct, frozen=True):
    """What was done, the reference to ask for it by, and the page of it."""

    words: str
    reference: str
    href: str
    returned: bool = False
    """Whether it has ended without being paid, so that the money is back."""


class Moved:
    """Tells what was moved, to whoever was led here by a confirmation."""

    def __init__(self, transfers: Transfers, payouts: Payouts) -> None:
        self._transfers = transfers
        self._payouts = payouts

    async def told(self, visit: Visit) -> Notice | None:
        """The notice that an address asks for, if it names an operation of this book."""
        operation_id = parse_uuid(visit.query.get("id", ""))
        if operation_id is None:
            return None
        speech = visit.speech
        word = visit.query.get("moved")
        if word == TransferMove.word:
            transfer = await self._transfers.find(visit.book, operation_id)
            if transfer is None:
                return None
            words = speech.say(
                "Moved: %(money)s have left the wallet of %(source)s and %(credited)s are in that "
                "of %(destination)s.",
                money=speech.money(transfer.debited),
                source=speech.country(transfer.source_country),
                credited=speech.money(transfer.credited),
                destination=speech.country(transfer.destination_country),
            )
            return Notice(
                words, transfer.source_reference, _page(visit, Noun.TRANSFER, transfer.id)
            )
        tracked = await self._payouts.find(visit.book, operation_id) if word else None
        if word != PayoutMove.word or tracked is None:
            return None
        payout, status = tracked.agreed, tracked.progress.status
        returned = status in (Status.FAILED, Status.CANCELLED)
        words = _payout_words(speech, payout, status)
        page = _page(visit, Noun.PAYOUT, payout.id)
        return Notice(words, payout.reference, page, returned)


def _payout_words(speech: Speech, payout: Payout, status: Status) -> str:
    """Where its money is by now: the page is looked at, and drawn anew, after it has ended too."""
    say = speech.say
    about = {
        "money": speech.money(payout.amount),
        "source": speech.country(payout.source_country),
        "phone": phone_words(payout.phone_number or ""),
    }
    match status:
        case Status.COMPLETED:
            return say("Paid to %(phone)s: %(money)s have left the wallet of %(source)s.", **about)
        case Status.FAILED | Status.CANCELLED:
            return say(
                "Not paid to %(phone)s: %(money)s are back in the wallet of %(source)s.", **about
            )
        case _:
            return say(
                "On its way: %(money)s of the wallet of %(source)s are set aside for %(phone)s "
                "until the operator has paid.",
                **about,
            )


def _page(visit: Visit, noun: Noun, operation_id: UUID) -> str:
    return transaction_address(visit.book, spell(noun, operation_id))
