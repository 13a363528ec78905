"""A transaction: one shape for all four nouns; and what a search text can mean.

Pure. Nothing here says anything that the four nouns do not: it is how people look at all of them.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.core.ids import parse_public_id, parse_uuid, public_id
from kpay.core.money import Money
from kpay.core.page import Filter
from kpay.instructions.model import Status, Tracked
from kpay.payments.model import PREFIX as PAYMENT_PREFIX
from kpay.payments.model import Payment
from kpay.payouts.model import PREFIX as PAYOUT_PREFIX
from kpay.payouts.model import Payout
from kpay.refunds.model import PREFIX as REFUND_PREFIX
from kpay.refunds.model import Refund
from kpay.transfers.model import Transfer

MOST_TEXT_LENGTH = 255

_REFERENCE = re.compile(
    r"(KPAY|KPAY-WD|KPAY-RF)-\d{8}-([0-9A-Z]{6,13})|TRF-(?:OUT|IN)-([0-9A-Z]{6,13})"
)
_SUFFIX = re.compile(r"[0-9A-HJKMNP-TV-Z]{6,13}")
# A number with its country code, as it is kept; people write it with a plus, blanks and dashes.
_PHONE = re.compile(r"\d{8,15}")
_BETWEEN_DIGITS = re.compile(r"[\s().-]+")


class Noun(StrEnum):
    """What a transaction is."""

    PAYMENT = "payment"
    PAYOUT = "payout"
    TRANSFER = "transfer"
    REFUND = "refund"


_PREFIXES = {
    Noun.PAYMENT: PAYMENT_PREFIX,
    Noun.PAYOUT: PAYOUT_PREFIX,
    Noun.REFUND: REFUND_PREFIX,
}
_OF_REFERENCE = {"KPAY": Noun.PAYMENT, "KPAY-WD": Noun.PAYOUT, "KPAY-RF": Noun.REFUND}


class Transaction(msgspec.Struct, frozen=True):
    """One transaction as a list shows it.

    `amount` is what was asked for, and `arrives` what comes of it on the other side, where that is
    another amount: in the wallet of a payment, with the beneficiary of a payout, in the other
    wallet of a transfer. `source` and `destination` are the countries of wallets and of phones;
    None where nobody has chosen yet.
    """

    noun: Noun
    id: UUID
    reference: str
    status: Status
    amount: Money
    created_at: datetime
    source: str | None
    destination: str | None
    arrives: Money | None = None
    fee: Money | None = None
    other_reference: str | None = None
    """Of a transfer: that of the wallet that was credited."""
    provider: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    description: str | None = None
    ended_at: datetime | None = None
    failure_code: str | None = None

    @property
    def public_id(self) -> str:
        return spell(self.noun, self.id)

    @property
    def is_open(self) -> bool:
        """Whether it can still change."""
        return self.ended_at is None


class Wanted(msgspec.Struct, frozen=True):
    """What the list is narrowed to; None narrows nothing. A country matches either side."""

    noun: Noun | None = None
    text: str | None = None
    """A reference, an id, an externalId or a telephone number: whatever is exactly that."""
    filter: Filter = Filter()


class Meaning(msgspec.Struct, frozen=True):
    """One thing that a search text can mean. What is set is looked up, by an index of its own."""

    noun: Noun | None = None
    id: UUID | None = None
    suffix: str | None = None
    external_id: str | None = None
    phone_number: str | None = None
    chosen_number: str | None = None
    """A number that was chosen on a hosted page."""


EVERYTHING = Meaning()


def meanings(text: str) -> list[Meaning]:
    """Everything that a text can mean: what it is not is found nowhere, and costs a look."""
    told = text.strip()[:MOST_TEXT_LENGTH]
    found = [Meaning(external_id=told)]
    named = parse(told)
    if named is not None:
        found.append(Meaning(noun=named[0], id=named[1]))
    upper = told.upper()
    reference = _REFERENCE.fullmatch(upper)
    if reference is not None:
        noun = _OF_REFERENCE.get(reference[1], Noun.TRANSFER)
        found.append(Meaning(noun=noun, suffix=reference[2] or reference[3]))
    elif _SUFFIX.fullmatch(upper):
        # The last part of a reference is all that many people read out.
        found.append(Meaning(suffix=upper))
    digits = _BETWEEN_DIGITS.sub("", told).removeprefix("+").removeprefix("00")
    if _PHONE.fullmatch(digits):
        found += [Meaning(phone_number=digits), Meaning(chosen_number=digits)]
    return found


def spell(noun: Noun, identifier: UUID) -> str:
    """The public id: a transfer's is the identifier itself."""
    prefix = _PREFIXES.get(noun)
    return str(identifier) if prefix is None else public_id(prefix, identifier)


def parse(text: str) -> tuple[Noun, UUID] | None:
    """What a public id names, or None for text that was never one."""
    for noun, prefix in _PREFIXES.items():
        found = parse_public_id(prefix, text)
        if found is not None:
            return noun, found
    transfer = parse_uuid(text)
    return None if transfer is None else (Noun.TRANSFER, transfer)


def of_payment(tracked: Tracked[Payment]) -> Transaction:
    payment, progress = tracked.agreed, tracked.progress
    return Transaction(
        noun=Noun.PAYMENT,
        id=payment.id,
        reference=payment.reference,
        status=progress.status,
        amount=payment.amount,
        arrives=payment.net,
        fee=payment.fee,
        created_at=payment.created_at,
        source=payment.country,
        destination=payment.country,
        provider=payment.provider,
        phone_number=payment.phone_number,
        external_id=payment.external_id,
        description=payment.description,
        ended_at=progress.ended_at,
        failure_code=progress.failure_code,
    )


def of_payout(tracked: Tracked[Payout]) -> Transaction:
    payout, progress = tracked.agreed, tracked.progress
    return Transaction(
        noun=Noun.PAYOUT,
        id=payout.id,
        reference=payout.reference,
        status=progress.status,
        amount=payout.amount,
        arrives=payout.payout_amount,
        fee=payout.fee,
        created_at=payout.created_at,
        source=payout.source_country,
        destination=payout.country,
        provider=payout.provider,
        phone_number=payout.phone_number,
        external_id=payout.external_id,
        description=payout.description,
        ended_at=progress.ended_at,
        failure_code=progress.failure_code,
    )


def of_refund(tracked: Tracked[Refund]) -> Transaction:
    refund, progress = tracked.agreed, tracked.progress
    return Transaction(
        noun=Noun.REFUND,
        id=refund.id,
        reference=refund.reference,
        status=progress.status,
        amount=refund.amount,
        created_at=refund.created_at,
        source=refund.country,
        destination=refund.country,
        provider=refund.provider,
        phone_number=refund.phone_number,
        external_id=refund.external_id,
        description=refund.reason,
        ended_at=progress.ended_at,
        failure_code=progress.failure_code,
    )


def of_transfer(transfer: Transfer) -> Transaction:
    """A transfer is over as soon as it is there."""
    return Transaction(
        noun=Noun.TRANSFER,
        id=transfer.id,
        reference=transfer.source_reference,
        other_reference=transfer.destination_reference,
        status=Status.COMPLETED,
        amount=transfer.debited,
        arrives=transfer.credited,
        created_at=transfer.created_at,
        source=transfer.source_country,
        destination=transfer.destination_country,
        external_id=transfer.external_id,
        description=transfer.description,
        ended_at=transfer.created_at,
    )
