"""The prices that operations must be at: fees, and rates that a source truly served in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal

from kpay.catalogue.model import Catalogue
from simulator.books import at_rate, fee_of, in_decimals
from simulator.feed import Feed
from simulator.operations import Kind, Operation, Record, Violation

# A rate has eighteen digits before its margin, as the program's own document has it.
_DIGITS = Context(prec=18, rounding=ROUND_HALF_UP)
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
# The clock may be set back and forth by so much between a look at the rates and an acceptance.
_CLOCK_SLACK = timedelta(minutes=10)


class Prices:
    """What an operation must cost, and what must arrive."""

    def __init__(
        self, feed: Feed, catalogue: Catalogue, *, margin_bps: int, rates_live: timedelta
    ) -> None:
        self._feed = feed
        self._catalogue = catalogue
        self._kept = Decimal(10_000 - margin_bps) / 10_000
        self._rates_live = rates_live

    def check(self, operation: Operation, record: Record) -> None:
        terms = operation.shop.terms
        if operation.kind is Kind.REFUND:
            if record.sent != operation.amount:
                raise Violation(f"{operation} gives back {record.sent}")
            return
        if operation.kind is Kind.PAYMENT:
            if record.fee != fee_of(record.amount, terms.payment_fee_bps):
                raise Violation(f"{operation} has a fee of {record.fee}")
            return
        if operation.hosted:
            # Where it goes is not known yet, and so neither is what arrives.
            if record.fee != fee_of(record.amount, terms.payout_fee_bps):
                raise Violation(f"{operation} has a fee of {record.fee}")
            return
        self.check_exchange(operation, record, record.created_at)

    def check_exchange(self, operation: Operation, record: Record, at: datetime) -> None:
        """What arrives, at a rate that was right at that moment."""
        terms = operation.shop.terms
        fee = fee_of(record.amount, terms.payout_fee_bps) if operation.kind is Kind.PAYOUT else 0
        arrives = at_rate(record.amount - fee, record.rate)
        sent = arrives
        if operation.kind is Kind.PAYOUT:
            sent = in_decimals(arrives, self._catalogue.providers[record.target].payout_decimals)
        if (record.fee, record.arrives, record.sent) != (fee, arrives, sent):
            raise Violation(
                f"{operation} is on record with fee {record.fee}, {record.arrives} arriving, "
                f"{record.sent} sent; it must be {fee}, {arrives}, {sent}"
            )
        if not self._served(record, at):
            raise Violation(f"{operation} was made at {record.rate}, which nobody served in time")

    def _served(self, record: Record, at: datetime) -> bool:
        """Whether a source served this rate, in earnest and not too long before."""
        if record.currency == record.target_currency:
            return record.rate == 1
        for served in reversed(self._feed.served):
            age = at - served.at
            cross = _DIGITS.divide(
                served.rates[record.target_currency], served.rates[record.currency]
            )
            if (
                record.rate == _EXACT.multiply(cross, self._kept)
                and -_CLOCK_SLACK < age < self._rates_live + _CLOCK_SLACK
            ):
                return True
        return False
