"""The lives of accepted operations: to their end, and the callbacks that tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from kpay.catalogue.model import Catalogue, OperationType
from kpay.core.clock import Clock
from kpay.rail_simulator import wire
from kpay.rail_simulator.account import Account, Availability
from kpay.rail_simulator.agenda import Agenda
from kpay.rail_simulator.books import Books, Operation, Order, Status
from kpay.rail_simulator.callbacks import Courier
from kpay.rail_simulator.misbehaviour import Plan, tellings

Key: TypeAlias = tuple[OperationType, str]
"""An operation's type and id."""


class Life(msgspec.Struct):
    """An accepted operation with its plan, how often it was submitted and its status asked."""

    operation: Operation
    plan: Plan
    submitted: int = 1
    status_asked: int = 0
    lied: bool = False


class Lives:
    """Every operation that was accepted. `books` hold what became of its money."""

    def __init__(
        self,
        clock: Clock,
        agenda: Agenda,
        courier: Courier,
        account: Account,
        books: Books,
        catalogue: Catalogue,
    ) -> None:
        self.all: dict[Key, Life] = {}
        self._clock = clock
        self._agenda = agenda
        self._courier = courier
        self._account = account
        self._books = books
        self._catalogue = catalogue

    def find(self, type_: OperationType, identifier: str) -> Life | None:
        return self.all.get((type_, identifier))

    def begin(self, order: Order, plan: Plan) -> Life:
        """Accept an order. Raises BooksError.

        While its operator is delayed it is enqueued. Else it stands half of its time as accepted
        and half as being processed.
        """
        operation = self._books.accept(order, self._clock.now())
        life = self.all[(order.type, order.id)] = Life(operation, plan)
        if self._account.availability(order.provider, order.type) is Availability.DELAYED:
            self._move(life, Status.ENQUEUED)
            return life
        self._agenda.after(plan.ends_after // 2, self._moving(life, Status.PROCESSING))
        self._agenda.after(plan.ends_after, self._finishing(life))
        return life

    def set_availability(
        self, provider: str, type_: OperationType | None, status: Availability
    ) -> None:
        """What was enqueued goes on when its operator is there again. Raises KeyError."""
        self._account.set_availability(provider, type_, status)
        if status is not Availability.OPERATIONAL:
            return
        for life in self.all.values():
            order = life.operation.order
            if (
                life.operation.status is Status.ENQUEUED
                and order.provider == provider
                and type_ in (None, order.type)
            ):
                self._move(life, Status.PROCESSING)
                self._agenda.after(life.plan.ends_after, self._finishing(life))

    def finish(self, life: Life, *, tell: bool = True) -> bool:
        """End it as its plan and its number say. False where that leaves it open, for now."""
        operation, plan = life.operation, life.plan
        outcome = self._outcome(operation.order, plan)
        if outcome == "stuck" or operation.status is Status.ENQUEUED:
            return False
        if plan.path == "reconciled" and operation.status is Status.PROCESSING:
            self._move(life, Status.IN_RECONCILIATION)
            self._agenda.after(plan.ends_after, self._finishing(life))
            return False
        return self.end(life, None if outcome == "completed" else outcome, tell=tell)

    def end(self, life: Life, failure_code: str | None, *, tell: bool = True) -> bool:
        """End it so. False, and nothing is changed, where it has ended already."""
        status = Status.COMPLETED if failure_code is None else Status.FAILED
        if not self._books.move(life.operation, status, self._clock.now(), failure_code):
            return False
        if tell:
            for wait, said, code in tellings(life.plan, failure_code):
                self._agenda.after(wait, self._telling(life, said, code))
        return True

    def tell(self, life: Life, status: Status, code: str | None, signature: str = "good") -> None:
        """Send a callback that says so, whether or not it is true."""
        order = life.operation.order
        if url := self._account.callback_urls.get(order.type):
            self._courier.send(
                url, wire.callback(life.operation, status, code), order.id, signature
            )

    async def tell_now(self, life: Life) -> None:
        """Send the true callback, and wait for its first try."""
        operation = life.operation
        if url := self._account.callback_urls.get(operation.order.type):
            said = wire.callback(operation, operation.status, operation.failure_code)
            await self._courier.send_now(url, said, operation.order.id, life.plan.signature)

    def _outcome(self, order: Order, plan: Plan) -> str:
        """completed, stuck or a failure code."""
        if plan.outcome != "by_number":
            return plan.outcome
        number = self._catalogue.test_numbers.get((order.type.decided_by, order.phone_number))
        if number is None or number.outcome == "COMPLETED":
            return "completed"
        if number.outcome == "FAILED":
            return number.failure_code or "UNSPECIFIED_FAILURE"
        return "stuck"

    def _move(self, life: Life, status: Status) -> None:
        self._books.move(life.operation, status, self._clock.now())

    def _moving(self, life: Life, status: Status) -> Callable[[], None]:
        return lambda: self._move(life, status)

    def _finishing(self, life: Life) -> Callable[[], None]:
        def act() -> None:
            self.finish(life)

        return act

    def _telling(self, life: Life, status: Status, code: str | None) -> Callable[[], None]:
        return lambda: self.tell(life, status, code, life.plan.signature)
