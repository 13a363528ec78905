"""What is asked for where another person must approve it, made of what somebody looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from kpay.approvals.model import Kind, Place, Shown, Wanted
from kpay.core.book import Book
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.look import Look
from kpay.dashboard.page import Visit, book_address
from kpay.idempotency.model import Stored, fingerprint_of
from kpay.people.model import Right
from kpay.web.once import Make, Once, Recall

# A second click waits for what the first one comes to: it is the one whose answer is shown.
_LOOK_AGAIN = timedelta(milliseconds=50)
_LOOKS = 100


def place_of(visit: Visit) -> Place:
    """Where the visitor asks or decides."""
    return Place(visit.book, visit.where.membership.company_id, visit.application.name)


def owes_a_factor(visit: Visit, right: Right) -> bool:
    """Whether the person must set up a second factor before anything here can be done."""
    company_id = visit.where.membership.company_id
    try:
        visit.session.check(company_id, right, visit.book.environment)
    except Refusal as refusal:
        if refusal.code is not Code.SECOND_FACTOR_NEEDED:
            raise
        return True
    return False


def wanted_of(kind: Kind, look: Look, token: UUID, payment_id: UUID | None = None) -> Wanted:
    """What is asked for: the form as it was sent, and what it came to."""
    return Wanted(token, kind, dict(look.typed), shown_of(look), payment_id)


def shown_of(look: Look) -> Shown | None:
    """What a look shows, as far as it is compared with a later one; None without an amount."""
    if look.amount is None:
        return None
    return Shown(
        source=look.wallet.country,
        destination=look.destination,
        amount=look.amount,
        fee=look.fee,
        rate=f"{look.quote.rate:f}" if look.quote and look.exchanged else None,
        arrives=look.arrives,
        left=look.left,
        operator=None if look.operator is None else look.operator.code,
        phone_number=look.phone_number,
    )


def approval_address(book: Book, *parts: object) -> str:
    return book_address(book, "approvals", *(str(part) for part in parts))


def said(form: Mapping[str, str], path: str) -> bytes:
    """Tells what one confirmation says from what another does."""
    parts = sorted((name, text) for name, text in form.items() if name != "csrf")
    return fingerprint_of("POST", path, urlencode(parts).encode())


async def carry_out_once(
    once: Once, book: Book, key: str, fingerprint: bytes, make: Make, recall: Recall
) -> Stored:
    """The one answer to a confirmation, however often it is sent. Refuses what `make` refuses."""
    for _ in range(_LOOKS):
        try:
            stored, _ = await once.carry_out(book, key, fingerprint, make, recall)
        except Refusal as refusal:
            if refusal.code is not Code.IDEMPOTENCY_IN_PROGRESS:
                raise
            await asyncio.sleep(_LOOK_AGAIN.total_seconds())
        else:
            return stored
    raise Refusal(Code.IDEMPOTENCY_IN_PROGRESS, "It is still being moved.")
