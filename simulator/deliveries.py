"""What must be true of webhooks: that each end is told, truly, in order, and taken at last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

from kpay.core.ids import public_id
from simulator.operations import ENDED, Kind, Operation, Violation
from simulator.reading import Delivery
from simulator.receivers import Heard, Letter, Receivers

_NOUNS = {Kind.PAYMENT: "payment", Kind.PAYOUT: "payout", Kind.REFUND: "refund"}
_PREFIXES = {Kind.PAYMENT: "pay", Kind.PAYOUT: "wdr", Kind.REFUND: "rfd"}
# So often an event is tried before those of the same resource that come after it go ahead.
_NO_LONGER_FIRST = 8
_MOST_TRIES = 25


class Deliveries:
    """Every delivery as it was read last, held against what the receivers know."""

    def __init__(self, receivers: Receivers, by_id: Mapping[UUID, Operation]) -> None:
        self._receivers = receivers
        self._by_id = by_id
        self._found: dict[UUID, Delivery] = {}
        self._of_resource: defaultdict[tuple[str, UUID], list[UUID]] = defaultdict(list)
        self.last: UUID | None = None

    @property
    def waiting(self) -> list[UUID]:
        """Those that may yet be sent: they wait, or were given up and can be asked for again."""
        return [one.id for one in self._found.values() if one.status != "DELIVERED"]

    @property
    def failed(self) -> list[Delivery]:
        """Those that are settled and were not taken."""
        return [one for one in self._found.values() if one.status == "FAILED"]

    def read(self, deliveries: Iterable[Delivery]) -> None:
        """How they stand now. Each that is new is of an end, and each that is settled was heard."""
        for one in deliveries:
            if one.id not in self._found:
                self._check_new(one)
                self._of_resource[one.topic, one.resource_id].append(one.id)
                self.last = one.id
            self._found[one.id] = one
            heard = self._receivers.heard.get(one.id)
            match one.status:
                case "DELIVERED":
                    if heard is None or not heard.taken:
                        raise Violation(f"{self._name(one)} is DELIVERED, and nobody took it")
                case "FAILED":
                    refused = heard is not None and heard.refused
                    if not refused and one.tries < _MOST_TRIES:
                        raise Violation(
                            f"{self._name(one)} is FAILED after {one.tries} tries, and nobody "
                            "refused it"
                        )
                case "CANCELLED":
                    raise Violation(f"{self._name(one)} is CANCELLED, and its URL is there")

    def check_letters(self) -> None:
        """What was heard since the last look: it is true, and nothing was passed over for it."""
        if self._receivers.wrongs:
            raise Violation(self._receivers.wrongs[0])
        letters = list(self._receivers.letters)
        self._receivers.letters.clear()
        for letter in letters:
            one = self._found.get(letter.event_id)
            if one is None:
                raise Violation(f"{letter.event} was heard, and is of no delivery")
            self._check_body(letter, one)
            self._check_order(one, self._receivers.heard[one.id])

    def check_all_taken(self) -> None:
        """At the end every receiver has taken all that it was to hear."""
        for one in self._found.values():
            heard = self._receivers.heard.get(one.id)
            if one.status != "DELIVERED" or heard is None or not heard.taken:
                raise Violation(f"{self._name(one)} is {one.status} and was never taken")

    def _check_new(self, one: Delivery) -> None:
        operation = self._by_id.get(one.operation_id)
        if operation is None or operation.status not in ENDED:
            raise Violation(f"{one.type} is to be delivered, and of {operation} that is not true")
        topic = operation.shop.hears_of(operation.kind)
        resource = operation if operation.payment is None else operation.payment
        wanted = (
            operation.shop.book.application_id,
            topic,
            f"{_NOUNS[operation.kind]}.{operation.status.lower()}",
            None if resource.record is None else resource.record.id,
        )
        if (one.application_id, one.topic, one.type, one.resource_id) != wanted:
            raise Violation(f"{self._name(one)} goes to {one.topic} as of {one.resource_id}")

    def _check_body(self, letter: Letter, one: Delivery) -> None:
        operation = self._by_id[one.operation_id]
        body = letter.body
        failed = operation.status == "FAILED"
        told = (
            letter.shop,
            body["event"],
            body["paymentId"],
            body["status"],
            Decimal(str(body["amount"])),
            body["externalId"],
            body["failureReason"] is not None,
            body["completedAt"] is not None,
        )
        true = (
            operation.shop,
            one.type,
            public_id(_PREFIXES[operation.kind], one.operation_id),
            operation.status,
            Decimal(operation.amount) / 100,
            operation.external_id,
            failed,
            operation.status == "COMPLETED",
        )
        if told != true:
            raise Violation(f"{self._name(one)} was told as {body}")

    def _check_order(self, one: Delivery, heard: Heard) -> None:
        """What happened to the same resource before was settled when this was first heard."""
        for identifier in self._of_resource[one.topic, one.resource_id]:
            earlier = self._found[identifier]
            if earlier.id >= one.id:
                break
            known = self._receivers.heard.get(earlier.id)
            settled = None if known is None else known.settled
            if earlier.tries < _NO_LONGER_FIRST and (settled is None or settled > heard.first):
                raise Violation(
                    f"{self._name(one)} was heard before {self._name(earlier)} was settled, which "
                    f"was tried {earlier.tries} times"
                )

    def _name(self, one: Delivery) -> str:
        return f"{one.type} of {self._by_id.get(one.operation_id)}"
