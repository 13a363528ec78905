"""The oracle: an independent account of what must be true, against which the program is held.

It knows what merchants asked and were answered, what the rail truly did and told, and which rates
were served; from these it says which operations may exist, how each may stand, and what every
account must hold. It reads the program's records and believes none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from kpay.catalogue.model import Catalogue, OperationType
from simulator.books import Books, in_decimals
from simulator.clock import Time
from simulator.operations import (
    ENDED,
    Answer,
    Choice,
    Kind,
    Operation,
    Record,
    Standing,
    Told,
    Violation,
)
from simulator.prices import Prices
from simulator.rail import Dealings, Rail, Truth
from simulator.reading import Account

_SHORT = frozenset(
    {
        "transfer_exceeds_balance",
        "withdrawal_exceeds_balance",
        "refund_exceeds_balance",
        "no_wallet",
    }
)

_MOST_CHOICES = 10
# How what was not chosen in time has failed, what never arrived anywhere, and what was handed over
# to nobody for as long as it might wait.
_EXPIRED, _NEVER_ARRIVED, _TOO_LATE = "EXPIRED", "NOT_FOUND", "DEADLINE_PASSED"

_STEPS = {
    "": {"PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"},
    "PENDING": {"PROCESSING", "COMPLETED", "FAILED", "CANCELLED"},
    "PROCESSING": {"COMPLETED", "FAILED"},
}
# Between two looks a payer may be refused, pick again and call off.
_HOSTED_STEPS = {**_STEPS, "PROCESSING": {"PENDING", "COMPLETED", "FAILED", "CANCELLED"}}


class Oracle:
    """What must be true after every step."""

    def __init__(self, rail: Rail, time: Time, prices: Prices, catalogue: Catalogue) -> None:
        self._rail = rail
        self._time = time
        self._prices = prices
        self._catalogue = catalogue
        self.books = Books()
        self.by_id: dict[UUID, Operation] = {}

    def appeared(self, operation: Operation, record: Record) -> None:
        """An operation is on record. It must be what was asked for, at a price that is right."""
        if operation.record is not None:
            raise Violation(f"{operation} exists twice")
        # What a refund goes by may have been picked after it was asked for the first time.
        where = operation if operation.payment is None else operation.payment.record
        if where is None:
            raise Violation(f"{operation} is of a payment that is not on record")
        asked = (operation.external_id, where.country, operation.amount, where.target)
        found = (record.external_id, record.country, record.amount, record.target)
        if asked != found or not _of_its_payment(operation, record):
            raise Violation(f"{operation} is on record as {found}")
        if operation.hosted != (record.expires_at is not None):
            raise Violation(f"{operation} is on record with a page until {record.expires_at}")
        self._prices.check(operation, record)
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

    def chosen(self, operation: Operation, choices: Sequence[Choice]) -> None:
        """All that is on record as picked on its page, in order; some of it may be new."""
        record = operation.record
        for choice in choices[len(operation.choices) :]:
            if record is None or record.expires_at is None:
                raise Violation(f"{operation} has no page, and {choice.provider} was picked on it")
            operation.choices.append(choice)
            if choice.at >= record.expires_at:
                raise Violation(
                    f"{operation} could be chosen on until {record.expires_at}, and "
                    f"{choice.provider} was picked at {choice.at}"
                )
            if operation.status in ENDED:
                raise Violation(f"{operation} was {operation.status}, and is chosen on")
            if len(operation.choices) > min(len(operation.picks), _MOST_CHOICES):
                raise Violation(f"{operation} was chosen on {len(operation.choices)} times")
            if choice.provider not in operation.picks:
                raise Violation(f"{operation} goes by {choice.provider}, which nobody picked")
            record = operation.record = self._as_chosen(operation, record, choice)

    def _as_chosen(self, operation: Operation, record: Record, choice: Choice) -> Record:
        """What a choice makes of a record, at a price that is right."""
        provider = self._catalogue.providers[choice.provider]
        if choice.country != provider.country:
            raise Violation(f"{operation} goes to {choice.provider} in {choice.country}")
        changed = replace(record, target=choice.provider, reference=choice.reference)
        if operation.kind is Kind.PAYMENT:
            if provider.currency != record.currency:
                raise Violation(f"{operation} is to be paid by {choice.provider}")
            return replace(changed, country=choice.country, sent=record.amount)
        changed = replace(
            changed,
            target_currency=choice.currency or "",
            arrives=choice.arrives or 0,
            sent=in_decimals(choice.arrives or 0, provider.payout_decimals),
            rate=choice.rate or Decimal(0),
        )
        self._prices.check_exchange(operation, changed, choice.at)
        return changed

    def stands(self, operation: Operation, now: Standing) -> None:
        """How an operation stands now. Each step must be one that the truth allows."""
        before, record, status = operation.status, operation.record, now.status
        if record is None or record.reference is None or status == before:
            return
        steps = _HOSTED_STEPS if operation.hosted else _STEPS
        if status not in steps.get(before, set()):
            raise Violation(f"{operation} went from {before} to {status}")
        operation.status = status
        dealings = self._rail.dealings.get(record.reference)
        match status:
            case "COMPLETED":
                if dealings is None or "paid" not in dealings.told:
                    raise Violation(f"{operation} is COMPLETED, and no rail said so")
                self.books.complete(operation, record)
            case "FAILED":
                self._check_failure(operation, record, now)
                self.books.give_back(operation, record)
            case "CANCELLED":
                if not operation.cancel_asked:
                    raise Violation(f"{operation} is CANCELLED, and nobody asked for it")
                self.books.give_back(operation, record)

    def _check_failure(self, operation: Operation, record: Record, now: Standing) -> None:
        """What has a page fails when its time is over, and a refusal before leads back to it."""
        if not now.failure_code:
            raise Violation(f"{operation} is FAILED without a code")
        over = record.expires_at is not None and (now.ended_at or record.expires_at) >= (
            record.expires_at
        )
        if now.failure_code == _EXPIRED and not over:
            raise Violation(f"{operation} ran out before its time, at {now.ended_at}")
        if now.failure_code == _TOO_LATE:
            self._check_deadline(operation, record, now)
        again = operation.hosted and not over and len(operation.choices) < _MOST_CHOICES
        if again and now.failure_code not in (_NEVER_ARRIVED, _TOO_LATE):
            raise Violation(f"{operation} is FAILED, and something else could still be picked")

    def _check_deadline(self, operation: Operation, record: Record, now: Standing) -> None:
        """What waited for too long fails by itself only if no rail can have heard of it."""
        begun = operation.choices[-1].at if operation.choices else record.created_at
        minutes, ended = operation.minutes, now.ended_at or begun
        if minutes is None or ended < begun + timedelta(minutes=minutes):
            raise Violation(f"{operation} was given up at {ended}, and began to wait at {begun}")
        if record.reference in self._rail.dealings:
            raise Violation(f"{operation} was given up, and the rail may have heard of it")

    def check_answers(self, operations: Iterable[Operation], asked: Sequence[Operation]) -> None:
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
                case "idempotency_key_reused":
                    true = any(
                        (one.key, one.shop) == (operation.key, operation.shop)
                        for one in asked
                        if one is not operation
                    )
                case "refund_window_closed":
                    # No run is as long as that.
                    true = False
                case _:
                    continue
            if not true:
                raise Violation(f"{operation} was refused ({operation.code}) for {existing}")

    def check_keys(self, operations: Iterable[Operation]) -> None:
        """However often a request with a key is sent, one thing comes of it and one is answered."""
        done: dict[tuple[str, str], Operation] = {}
        for operation in operations:
            if len(set(map(_decided, operation.told))) > 1:
                raise Violation(f"{operation} was answered {list(map(_decided, operation.told))}")
            if operation.key is None or operation.record is None:
                continue
            first = done.setdefault((operation.shop.name, operation.key), operation)
            if first is not operation:
                raise Violation(f"{first} and {operation} exist")

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
            for reference in operation.references[:-1]:
                self._check_given_up(operation, reference)
            for reference in operation.references[-1:]:
                if reference in self._rail.dealings:
                    self._check_end(operation, self._rail.dealings[reference])

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
            "events": sum(one.status in ENDED for one in self.by_id.values()),
            "deliveries": sum(
                one.status in ENDED and one.shop.hears_of(one.kind) is not None
                for one in self.by_id.values()
            ),
        }
        if dict(counts) != expected:
            raise Violation(f"there are {dict(counts)} and must be {expected}")

    def check_providers(self, accounts: Iterable[Account]) -> None:
        """The providers' accounts are what the rail truly moved, but for what it told wrongly."""
        by_reference = {
            reference: one for one in self.by_id.values() for reference in one.references
        }
        moved: Counter[tuple[UUID, str]] = Counter()
        for reference, dealings in self._rail.dealings.items():
            operation = by_reference.get(reference)
            told = dealings.instruction
            if operation is None:
                raise Violation(f"the rail was told of {reference}, which is not on record")
            times = dealings.times if dealings.truth(self._time.true) is Truth.PAID else 0
            if self._contradicts(operation, dealings):
                times = int(_completed_by(operation, reference))
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
        return any(self._contradicts(operation, each) for each in self._dealings(operation))

    def _contradicts(self, operation: Operation, dealings: Dealings) -> bool:
        paid = dealings.truth(self._time.true) is Truth.PAID
        return paid != _completed_by(operation, dealings.instruction.reference)

    def evidence(self, operation: Operation) -> dict[UUID, str]:
        """The answers against its end that a process which still lives has got, by reference."""
        against = {}
        for dealings in self._dealings(operation):
            reference = dealings.instruction.reference
            word = "refused" if _completed_by(operation, reference) else "paid"
            if any(seat.alive for seat in dealings.told.get(word, ())):
                against[reference] = word
        return against

    def _dealings(self, operation: Operation) -> list[Dealings]:
        known = self._rail.dealings
        return [known[reference] for reference in operation.references if reference in known]

    def _check_given_up(self, operation: Operation, reference: UUID) -> None:
        """What was picked before the last choice: that is made when the rail has refused this."""
        dealings = self._rail.dealings.get(reference)
        if dealings is None:
            raise Violation(f"{operation} was chosen on again before a rail had heard of it")
        truth = dealings.truth(self._time.true)
        # What still arrives under a reference that was refused is answered as that was.
        if truth is not Truth.REFUSED and "refused" not in dealings.lied:
            raise Violation(
                f"{operation} was chosen on again, and the rail has the choice before {truth.value}"
            )

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
            case "CANCELLED" | "PENDING" if operation.hosted:
                self._check_given_up(operation, dealings.instruction.reference)
            case "CANCELLED" | "PENDING":
                raise Violation(f"{operation} is {operation.status}, and a rail has heard of it")


def _of_its_payment(operation: Operation, record: Record) -> bool:
    """Whether a refund is of the payment that it was asked for; anything else is of none."""
    payment = operation.payment.record if operation.payment is not None else None
    return record.payment_id == (None if payment is None else payment.id)


def _completed_by(operation: Operation, reference: UUID) -> bool:
    """Whether it is complete by what the rail was told under this reference."""
    return operation.status == "COMPLETED" and operation.references[-1] == reference


def _decided(told: Told) -> tuple[Answer, str, UUID | None]:
    return told.answer, told.code, told.id
