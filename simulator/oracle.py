"""The oracle: an independent account of what must be true, against which the program is held.

It knows what merchants asked and were answered, what the rail truly did and told, and which rates
were served; from these it says which operations may exist, how each may stand, and what every
account must hold. It reads the program's records and believes none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from uuid import UUID

from kpay.catalogue.model import Catalogue, OperationType
from simulator.books import Books, at_rate, fee_of, in_decimals
from simulator.clock import Time
from simulator.feed import Feed
from simulator.operations import Answer, Kind, Operation, Record, Violation
from simulator.rail import Dealings, Rail, Truth
from simulator.reading import Account

# A rate has eighteen digits before its margin, as the program's own document has it.
_DIGITS = Context(prec=18, rounding=ROUND_HALF_UP)
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
# The clock may be set back and forth by so much between a look at the rates and an acceptance.
_CLOCK_SLACK = timedelta(minutes=10)

_SHORT = frozenset(
    {
        "transfer_exceeds_balance",
        "withdrawal_exceeds_balance",
        "refund_exceeds_balance",
        "no_wallet",
    }
)

_STEPS = {
    "": {"PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"},
    "PENDING": {"PROCESSING", "COMPLETED", "FAILED", "CANCELLED"},
    "PROCESSING": {"COMPLETED", "FAILED"},
}


class Oracle:
    """What must be true after every step."""

    def __init__(
        self,
        rail: Rail,
        feed: Feed,
        time: Time,
        catalogue: Catalogue,
        *,
        margin_bps: int,
        rates_live: timedelta,
    ) -> None:
        self._rail = rail
        self._feed = feed
        self._time = time
        self._catalogue = catalogue
        self._kept = Decimal(10_000 - margin_bps) / 10_000
        self._rates_live = rates_live
        self.books = Books()
        self.by_id: dict[UUID, Operation] = {}

    def appeared(self, operation: Operation, record: Record) -> None:
        """An operation is on record. It must be what was asked for, at a price that is right."""
        if operation.record is not None:
            raise Violation(f"{operation} exists twice")
        asked = (operation.external_id, operation.country, operation.amount, operation.target)
        found = (record.external_id, record.country, record.amount, record.target)
        if asked != found or not _of_its_payment(operation, record):
            raise Violation(f"{operation} is on record as {found}")
        self._check_price(operation, record)
        operation.record = record
        self.by_id[record.id] = operation
        if operation.kind is Kind.TRANSFER:
            operation.status = "DONE"
        self.books.begin(operation, record)

    def settle(self, operation: Operation) -> None:
        """Nothing is under way for it any more: it exists exactly if it was acknowledged.

        Without an answer it may be either way, and one that was refused does not exist.
        """
        record, accepted = operation.record, operation.accepted_id
        if operation.answer is Answer.ACCEPTED and (record is None or record.id != accepted):
            raise Violation(f"{operation} was acknowledged and does not exist")
        if operation.answer is Answer.REFUSED and record is not None:
            raise Violation(f"{operation} was refused ({operation.code}) and exists")

    @property
    def following(self) -> list[Operation]:
        """What is open, or has just begun to exist."""
        return [
            one
            for one in self.by_id.values()
            if one.open or (not one.status and one.kind is not Kind.TRANSFER)
        ]

    def stands(self, operation: Operation, status: str, failure_code: str | None) -> None:
        """How an operation stands now. Each step must be one that the truth allows."""
        before, record = operation.status, operation.record
        if record is None or record.reference is None or status == before:
            return
        if status not in _STEPS.get(before, set()):
            raise Violation(f"{operation} went from {before} to {status}")
        operation.status = status
        dealings = self._rail.dealings.get(record.reference)
        match status:
            case "COMPLETED":
                if dealings is None or "paid" not in dealings.told:
                    raise Violation(f"{operation} is COMPLETED, and no rail said so")
                self.books.complete(operation, record)
            case "FAILED":
                if not failure_code:
                    raise Violation(f"{operation} is FAILED without a code")
                self.books.give_back(operation, record)
            case "CANCELLED":
                if not operation.cancel_asked:
                    raise Violation(f"{operation} is CANCELLED, and nobody asked for it")
                self.books.give_back(operation, record)

    def check_answers(self, operations: Iterable[Operation]) -> None:
        """A refusal for what there is already names it; a refusal for what is not, is true."""
        for operation in operations:
            existing = self.by_id.get(operation.existing) if operation.existing else None
            match operation.code:
                case "external_id_used":
                    true = existing is not None and (
                        (existing.kind, existing.shop, existing.external_id)
                        == (operation.kind, operation.shop, operation.external_id)
                    )
                case "refund_exists":
                    true = existing is not None and existing.payment is operation.payment
                case "not_refundable":
                    true = operation.payment_was != "COMPLETED"
                case "refund_window_closed":
                    # No run is as long as that.
                    true = False
                case _:
                    continue
            if not true:
                raise Violation(f"{operation} was refused ({operation.code}) for {existing}")

    def check_refusals(
        self,
        asked: Iterable[Operation],
        appeared: Iterable[Operation],
        before: Mapping[tuple[UUID, str], int],
    ) -> None:
        """Nobody is told that money is short which was there, and which nobody else has taken."""
        spent = {(one.shop.name, one.country) for one in appeared if one.kind is not Kind.PAYMENT}
        for one in asked:
            there = before.get((one.shop.book.application_id, f"wallet:{one.country}"), 0)
            short = one.code in _SHORT and (one.shop.name, one.country) not in spent
            if short and there >= one.amount:
                raise Violation(f"{one} was refused ({one.code}), and there was {there}")

    def check_ends(self, operations: Iterable[Operation]) -> None:
        """How what has ended stands to the truth, now and for as long as the run lasts."""
        if self._rail.wrongs:
            raise Violation(self._rail.wrongs[0])
        for operation in operations:
            if operation.cancel_accepted and operation.status != "CANCELLED":
                raise Violation(f"{operation} was cancelled and is {operation.status}")
            if operation.record is not None and operation.record.reference is not None:
                dealings = self._rail.dealings.get(operation.record.reference)
                if dealings is not None:
                    self._check_end(operation, dealings)

    def check_claims(self, operations: Iterable[Operation]) -> None:
        """An externalId has one live operation, and a payment, when it is complete, one refund."""
        taken: Counter[tuple[object, ...]] = Counter()
        refunded: Counter[Operation] = Counter()
        for operation in operations:
            if operation.live and operation.external_id:
                taken[operation.kind, operation.shop.name, operation.external_id] += 1
            if operation.payment is not None:
                refunded[operation.payment] += operation.live
                if operation.payment.status != "COMPLETED":
                    raise Violation(f"{operation} is of a payment that is not complete")
        for what, times in taken.items():
            if times > 1:
                raise Violation(f"{times} live operations have one externalId: {what}")
        for payment, times in refunded.items():
            if times > 1:
                raise Violation(f"{payment} is refunded {times} times")

    def check_accounts(self, accounts: Iterable[Account]) -> None:
        """Every account holds what it must, none of the merchant's is short, all sum to zero."""
        found = {}
        sums: Counter[tuple[UUID, str]] = Counter()
        for account in accounts:
            found[account.application_id, account.code] = account.balance
            sums[account.application_id, account.currency] += account.balance
            if account.balance < 0 and account.code.startswith(("wallet:", "reserved:")):
                raise Violation(f"{account.code} is below zero: {account.balance}")
        for (_, currency), total in sums.items():
            if total:
                raise Violation(f"the accounts in {currency} sum to {total}, not to zero")
        expected = self.books.accounts
        for key in sorted(found.keys() | expected.keys(), key=str):
            if found.get(key, 0) != expected.get(key, 0):
                raise Violation(
                    f"{key[1]} holds {found.get(key, 0)} and must hold {expected.get(key, 0)}"
                )

    def check_counts(self, counts: Mapping[str, int]) -> None:
        """There is nothing on record that nobody asked for."""
        kinds = Counter(operation.kind for operation in self.by_id.values())
        expected = {
            "payments": kinds[Kind.PAYMENT],
            "payouts": kinds[Kind.PAYOUT],
            "transfers": kinds[Kind.TRANSFER],
            "refunds": kinds[Kind.REFUND],
            "entries": self.books.entries,
        }
        if dict(counts) != expected:
            raise Violation(f"there are {dict(counts)} and must be {expected}")

    def check_providers(self, accounts: Iterable[Account]) -> None:
        """The providers' accounts are what the rail truly moved, but for what it told wrongly."""
        by_reference = {
            one.record.reference: one for one in self.by_id.values() if one.record is not None
        }
        moved: Counter[tuple[UUID, str]] = Counter()
        for reference, dealings in self._rail.dealings.items():
            operation = by_reference.get(reference)
            told = dealings.instruction
            if operation is None:
                raise Violation(f"the rail was told of {reference}, which is not on record")
            times = dealings.times if dealings.truth(self._time.true) is Truth.PAID else 0
            if self.contradicted(operation):
                times = int(operation.status == "COMPLETED")
            sign = -1 if told.type is OperationType.DEPOSIT else 1
            account = told.book.application_id, f"provider:{told.provider}"
            moved[account] += sign * times * told.amount.minor
        held = {
            (one.application_id, one.code): one.balance
            for one in accounts
            if one.code.startswith("provider:")
        }
        for key in sorted(held.keys() | moved.keys(), key=str):
            if held.get(key, 0) != moved[key]:
                raise Violation(f"{key[1]} holds {held.get(key, 0)}, the rail moved {moved[key]}")

    def contradicted(self, operation: Operation) -> bool:
        """Whether it ended otherwise than the truth, because the rail said so."""
        dealings = self._dealings(operation)
        if dealings is None:
            return False
        paid = dealings.truth(self._time.true) is Truth.PAID
        return paid != (operation.status == "COMPLETED")

    def evidence(self, operation: Operation) -> set[str]:
        """The answers that speak against its end and that a process which still lives has got."""
        dealings = self._dealings(operation)
        against = {"COMPLETED": "refused", "FAILED": "paid"}.get(operation.status)
        if dealings is None or against is None:
            return set()
        return {against} if any(seat.alive for seat in dealings.told.get(against, ())) else set()

    def _dealings(self, operation: Operation) -> Dealings | None:
        record = operation.record
        if record is None or record.reference is None:
            return None
        return self._rail.dealings.get(record.reference)

    def _check_end(self, operation: Operation, dealings: Dealings) -> None:
        truth = dealings.truth(self._time.true)
        if dealings.times > 1 and dealings.will is Truth.PAID:
            raise Violation(f"{operation} was paid {dealings.times} times")
        match operation.status:
            case "COMPLETED":
                if truth is not Truth.PAID and "paid" not in dealings.lied:
                    raise Violation(f"{operation} is COMPLETED, and the rail has it {truth.value}")
            case "FAILED":
                never = truth is Truth.REFUSED or (
                    truth is Truth.UNHEARD and not dealings.may_still_arrive
                )
                if not never and "refused" not in dealings.lied:
                    raise Violation(
                        f"{operation} is FAILED, and the rail has it {truth.value}"
                        + (", with a request on its way" if dealings.may_still_arrive else "")
                    )
            case "CANCELLED" | "PENDING":
                raise Violation(f"{operation} is {operation.status}, and a rail has heard of it")

    def _check_price(self, operation: Operation, record: Record) -> None:
        terms = operation.shop.terms
        if operation.kind is Kind.REFUND:
            if record.sent != operation.amount:
                raise Violation(f"{operation} gives back {record.sent}")
            return
        if operation.kind is Kind.PAYMENT:
            if record.fee != fee_of(record.amount, terms.payment_fee_bps):
                raise Violation(f"{operation} has a fee of {record.fee}")
            return
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
        if not self._served(record):
            raise Violation(f"{operation} was made at {record.rate}, which nobody served in time")

    def _served(self, record: Record) -> bool:
        """Whether a source served this rate, in earnest and not too long before."""
        if record.currency == record.target_currency:
            return record.rate == 1
        for served in reversed(self._feed.served):
            age = record.created_at - served.at
            cross = _DIGITS.divide(
                served.rates[record.target_currency], served.rates[record.currency]
            )
            if (
                record.rate == _EXACT.multiply(cross, self._kept)
                and -_CLOCK_SLACK < age < self._rates_live + _CLOCK_SLACK
            ):
                return True
        return False


def _of_its_payment(operation: Operation, record: Record) -> bool:
    """Whether a refund is of the payment that it was asked for; anything else is of none."""
    payment = operation.payment.record if operation.payment is not None else None
    return record.payment_id == (None if payment is None else payment.id)
