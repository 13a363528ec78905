"""Every way that money can move. Nothing else can post.

Each movement is a small pure function that returns one balanced entry. Amounts are signed and each
currency sums to zero. The words for accounts:

    wallet:CMR              what the merchant can use in Cameroon
    reserved:CMR            what is set aside for payouts and refunds under way
    provider:MTN_MOMO_CMR   what the operator owes (negative) or has paid out for us (positive)
    fees:XAF                what the house has earned
    fx:XAF, fx:XOF          the house's exchange position, one side for each currency
    rounding:XOF            what an operator's decimals made more or less of a payout
"""

from __future__ import annotations

from uuid import UUID

from kpay.core.money import Money
from kpay.ledger.model import Entry, Kind, Posting


def payment_completed(
    payment_id: UUID, *, provider: str, country: str, paid: Money, fee: Money
) -> Entry:
    """The payer has paid: the operator owes us all of it, the merchant gets the net."""
    return _entry(
        Kind.PAYMENT_COMPLETED,
        payment_id,
        Posting(provider_account(provider), -paid),
        Posting(wallet(country), paid - fee),
        Posting(fees(paid.currency), fee),
    )


def transfer(
    transfer_id: UUID, *, source: str, destination: str, debited: Money, credited: Money
) -> Entry:
    """From one country's wallet to another's; across currencies, by way of the house's position."""
    return _entry(
        Kind.TRANSFER,
        transfer_id,
        Posting(wallet(source), -debited),
        *_exchange(debited, credited),
        Posting(wallet(destination), credited),
    )


def payout_requested(payout_id: UUID, *, country: str, amount: Money) -> Entry:
    """The gross amount is set aside, so that nothing else can spend it meanwhile."""
    return _set_aside(Kind.PAYOUT_REQUESTED, payout_id, country, amount)


def payout_completed(
    payout_id: UUID,
    *,
    country: str,
    provider: str,
    amount: Money,
    fee: Money,
    payout_amount: Money,
    sent: Money,
) -> Entry:
    """The operator has paid: the hold is consumed, the fee earned, the residue of rounding kept."""
    return _entry(
        Kind.PAYOUT_COMPLETED,
        payout_id,
        Posting(reserved(country), -amount),
        Posting(fees(amount.currency), fee),
        *_exchange(amount - fee, payout_amount),
        Posting(provider_account(provider), sent),
        Posting(rounding(sent.currency), payout_amount - sent),
    )


def payout_released(payout_id: UUID, *, country: str, amount: Money) -> Entry:
    """The payout failed or was cancelled: all of the hold goes back to the wallet."""
    return _set_aside(Kind.PAYOUT_RELEASED, payout_id, country, -amount)


def refund_requested(refund_id: UUID, *, country: str, amount: Money) -> Entry:
    """All that the payer paid is set aside, its fee too: the merchant bears what that cost."""
    return _set_aside(Kind.REFUND_REQUESTED, refund_id, country, amount)


def refund_completed(refund_id: UUID, *, country: str, provider: str, amount: Money) -> Entry:
    """The operator has given the payer back what was paid: the hold is consumed."""
    return _entry(
        Kind.REFUND_COMPLETED,
        refund_id,
        Posting(reserved(country), -amount),
        Posting(provider_account(provider), amount),
    )


def refund_released(refund_id: UUID, *, country: str, amount: Money) -> Entry:
    """The refund failed or was cancelled: all of the hold goes back to the wallet."""
    return _set_aside(Kind.REFUND_RELEASED, refund_id, country, -amount)


def wallet(country: str) -> str:
    return f"wallet:{country}"


def reserved(country: str) -> str:
    return f"reserved:{country}"


def provider_account(provider: str) -> str:
    return f"provider:{provider}"


def fees(currency: str) -> str:
    return f"fees:{currency}"


def fx(currency: str) -> str:
    return f"fx:{currency}"


def rounding(currency: str) -> str:
    return f"rounding:{currency}"


def _set_aside(kind: Kind, operation_id: UUID, country: str, amount: Money) -> Entry:
    """From what can be used to what is reserved; less than nothing goes back."""
    return _entry(
        kind,
        operation_id,
        Posting(wallet(country), -amount),
        Posting(reserved(country), amount),
    )


def _exchange(given: Money, received: Money) -> tuple[Posting, ...]:
    """The two legs of a conversion; none where the currency stays the same."""
    if given.currency == received.currency:
        return ()
    return Posting(fx(given.currency), given), Posting(fx(received.currency), -received)


def _entry(kind: Kind, operation_id: UUID, *postings: Posting) -> Entry:
    """An entry without its empty lines: no fee, or nothing to round."""
    return Entry(kind, operation_id, tuple([line for line in postings if line.amount.minor]))
