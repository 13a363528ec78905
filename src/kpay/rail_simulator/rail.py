"""What the rail answers: it judges a request, accepts it or not, and then says so, more or less.

One process, one thread, and no wait between judging a request and reserving its money: an id is
accepted once, however many requests for it come in at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from kpay.catalogue.model import Catalogue, OperationType
from kpay.core.clock import Clock
from kpay.core.money import Money, rail_text
from kpay.rail_simulator import wire
from kpay.rail_simulator.account import Account, Availability
from kpay.rail_simulator.agenda import Agenda
from kpay.rail_simulator.books import FINAL, Books, BooksError, Order, Status
from kpay.rail_simulator.callbacks import Courier
from kpay.rail_simulator.lives import Key, Life, Lives
from kpay.rail_simulator.misbehaviour import Asked, Plan, opposite, plan_of
from kpay.rail_simulator.scenario import Scenario
from kpay.rail_simulator.wire import Fault, Request

# How long a request is held that is never answered, before its connection is closed.
SILENCE_SECONDS = 120
UNKNOWN_ERROR = Fault(500, "UNKNOWN_ERROR", "Something went wrong on our side.")
_BEFORE = ("timeout_before", "error_before")
# Bulks of which the second half is never carried out.
_HALVED = ("cut", "left_out")
_RECEIVED_KEPT = 5_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is answered, after so many seconds; None as status is no answer, ever."""

    status: int | None = 200
    body: Any = None
    after: int = 0
    form: str = "json"
    """`json`, `html` (an error page of something in between) or `cut` (half of the JSON)."""


class Rail:
    """One merchant's rail."""

    def __init__(
        self,
        clock: Clock,
        agenda: Agenda,
        courier: Courier,
        account: Account,
        catalogue: Catalogue,
        scenario: Scenario,
    ) -> None:
        self.account = account
        self.courier = courier
        self.books = Books(scenario.fees)
        self.lives = Lives(clock, agenda, courier, account, self.books, catalogue)
        self.received: deque[dict[str, Any]] = deque(maxlen=_RECEIVED_KEPT)
        self.received_count = 0
        self._clock = clock
        self._agenda = agenda
        self._nth: Counter[Asked] = Counter()
        # Of ids that were asked for and not accepted: a retry meets the same plan.
        self._plans: dict[Key, Plan] = {}
        self._spared: set[Key] = set()
        for place in account.places():
            self.books.top_up(place, scenario.balance(place), clock.now())
        self.play(scenario)

    def play(self, scenario: Scenario) -> None:
        """Go by these rules from now on; operators change as its turns say, counted from now.

        Raises KeyError for an operator that this account has not.
        """
        for turn in scenario.turns:
            if turn.provider not in self.account.providers:
                raise KeyError(turn.provider)
        self.scenario = scenario
        self._nth.clear()
        for turn in scenario.turns:
            act = self._turning(turn.provider, turn.operation, turn.status)
            self._agenda.after(turn.after, act)

    async def initiate(self, type_: OperationType, body: bytes) -> Answer:
        """A deposit, payout or refund. Faults: those of 400."""
        request = wire.read_request(type_, wire.parse(body))
        return await self._carry_out([request], lambda said: said[0])

    async def initiate_bulk(self, body: bytes) -> Answer:
        """Some payouts, each with its own outcome; the first one's plan words the answer."""
        return await self._carry_out(wire.read_bulk(wire.parse(body)), lambda said: said)

    def status(self, type_: OperationType, identifier: str) -> Answer:
        """What a status check is answered, as the operation's plan has it."""
        life = self.lives.find(type_, identifier)
        if life is None:
            return Answer(body={"status": "NOT_FOUND"})
        life.status_asked += 1
        operation, plan, now = life.operation, life.plan, self._clock.now()
        shown, code = operation.status, operation.failure_code
        match plan.status:
            case "error" if life.status_asked % 2:
                return Answer(status=500, body=UNKNOWN_ERROR.body())
            case "missing" if (now - operation.created).total_seconds() < plan.missing_for:
                return Answer(body={"status": "NOT_FOUND"})
            case "stale" if operation.ended is not None:
                if (now - operation.ended).total_seconds() < plan.stale_for:
                    shown = Status.PROCESSING
            case "contradictory" if not operation.open and not life.lied:
                life.lied = True
                shown, code = opposite(code)
        return Answer(body=wire.found(operation, shown, code))

    def fail_enqueued(self, type_: OperationType, identifier: str) -> Answer:
        """Call off what waits for its operator; the callback tells of it."""

        def call_off(life: Life) -> None:
            self.lives.end(life, "MANUALLY_CANCELLED")

        return self._asked_of(type_, identifier, frozenset((Status.ENQUEUED,)), call_off)

    def resend(self, type_: OperationType, identifier: str) -> Answer:
        """Send the callback of what has ended once more, and truly."""

        def send(life: Life) -> None:
            self.lives.tell(life, life.operation.status, life.operation.failure_code)

        return self._asked_of(type_, identifier, FINAL, send)

    def balances(self, country: str | None) -> list[dict[str, str]]:
        """What `wallet-balances` answers: what can be spent, without what is reserved."""
        return [
            {
                "country": place.country,
                "balance": rail_text(Money(wallet.available, place.currency)),
                "currency": place.currency,
                "provider": "",
            }
            for place, wallet in sorted(self.books.wallets.items())
            if country in (None, place.country)
        ]

    def note(self, **said: Any) -> None:
        """Remember what was received, for whoever looks; the last ones are kept."""
        self.received_count += 1
        self.received.append({"number": self.received_count, **said})

    async def _carry_out(
        self, requests: list[Request], shape: Callable[[list[dict[str, Any]]], Any]
    ) -> Answer:
        plans = [self._plan(request) for request in requests]
        first, key = plans[0], (requests[0].type, requests[0].id)
        # A retry is answered: what misbehaves for good can be told from nothing.
        again = key in self.lives.all or key in self._spared
        if first.answer in _BEFORE and not again:
            self._spared.add(key)
            return _worded(first, None)
        bulk = first.bulk if len(requests) > 1 and not again else "whole"
        half = (len(requests) + 1) // 2
        said: list[dict[str, Any]] = []
        ended: list[Life] = []
        for number, request in enumerate(requests[:half] if bulk in _HALVED else requests):
            known = (request.type, request.id) in self.lives.all
            # What was accepted is never said to be rejected: no rail may do that to a merchant.
            if bulk == "partial" and number % 2 and not known:
                said.append(wire.rejected(request.type, request.id, _unavailable(request)))
            else:
                said.append(self._answered(request, plans[number], ended))
        if key not in self.lives.all:
            self._spared.add(key)
        for life in ended:
            await self.lives.tell_now(life)
        if bulk == "cut":
            return Answer(status=500, body=UNKNOWN_ERROR.body())
        if bulk == "short":
            said = said[:half]
        shown = shape(said[::-1] if bulk == "reversed" else said)
        return Answer(body=shown) if again else _worded(first, shown)

    def _answered(self, request: Request, plan: Plan, ended: list[Life]) -> dict[str, Any]:
        known = self.lives.find(request.type, request.id)
        if known is not None:
            known.submitted += 1
            return wire.answered(request, "DUPLICATE_IGNORED", known.operation.created)
        try:
            life = self._accept(request, plan)
        except Fault as fault:
            return wire.rejected(request.type, request.id, fault)
        if plan.callback == "first" and self.lives.finish(life, tell=False):
            ended.append(life)
        return wire.answered(request, "ACCEPTED", life.operation.created)

    def _accept(self, request: Request, plan: Plan) -> Life:
        """Faults: those that come with 200."""
        if plan.outcome == "rejected":
            raise _unavailable(request)
        refund = request.type is OperationType.REFUND
        try:
            order = self._refund(request) if refund else self.account.judge(request)
            life = self.lives.begin(order, plan)
        except BooksError as problem:
            raise Fault(200, problem.code, str(problem)) from None
        self._plans.pop((order.type, order.id), None)
        self._spared.discard((order.type, order.id))
        return life

    def _refund(self, request: Request) -> Order:
        """A refund goes to whoever paid. Faults, and BooksErrors."""
        amount = None
        deposit = self.books.find(OperationType.DEPOSIT, request.deposit_id or "")
        if request.amount is not None and deposit is not None:
            provider = self.account.providers[deposit.order.provider]
            amount = self.account.amount(request.type, provider, request.amount)
            amount = msgspec.structs.replace(amount, currency=request.currency or "")
        deposit, amount = self.books.refundable(request.deposit_id or "", amount)
        order = msgspec.structs.replace(
            deposit.order,
            type=OperationType.REFUND,
            id=request.id,
            amount=amount,
            customer_message=None,
            client_reference=request.client_reference,
            metadata=request.metadata,
            deposit_id=request.deposit_id,
        )
        self.account.check_up(order)
        return order

    def _plan(self, request: Request) -> Plan:
        key = (request.type, request.id)
        life, plan = self.lives.all.get(key), self._plans.get(key)
        if life is not None:
            return life.plan
        if plan is None:
            asked = self._asked(request)
            plan = plan_of(asked, self._nth[asked], self.scenario.rules, self.scenario.seed)
            self._nth[asked] += 1
            self._plans[key] = plan
        return plan

    def _asked(self, request: Request) -> Asked:
        minor = int(Decimal(request.amount or "0").scaleb(2))
        if request.type is not OperationType.REFUND:
            return Asked(request.type, request.provider, request.phone_number, minor)
        deposit = self.books.find(OperationType.DEPOSIT, request.deposit_id or "")
        if deposit is None:
            return Asked(request.type, "", "", minor)
        order = deposit.order
        return Asked(request.type, order.provider, order.phone_number, minor or order.amount.minor)

    def _asked_of(
        self,
        type_: OperationType,
        identifier: str,
        wanted: frozenset[Status],
        act: Callable[[Life], None],
    ) -> Answer:
        """Something that a merchant may ask of an operation that stands so."""
        life = self.lives.find(type_, identifier)
        if life is None:
            no = Fault(200, "NOT_FOUND", f"No transaction with ID {identifier} was found.")
        elif life.operation.status not in wanted:
            no = Fault(200, "INVALID_STATE", f"The transaction is {life.operation.status}.")
        else:
            act(life)
            return Answer(body={wire.ID_FIELD[type_]: identifier, "status": "ACCEPTED"})
        return Answer(body=wire.rejected(type_, identifier, no))

    def _turning(
        self, provider: str, type_: OperationType | None, status: Availability
    ) -> Callable[[], None]:
        return lambda: self.lives.set_availability(provider, type_, status)


def _worded(plan: Plan, said: Any) -> Answer:
    """The answer, as the plan lets it through."""
    match plan.answer:
        case "slow":
            return Answer(body=said, after=plan.slow_for)
        case "timeout_before" | "timeout_after":
            return Answer(status=None, after=SILENCE_SECONDS)
        case "error_before" | "error_after":
            return Answer(status=500, body=UNKNOWN_ERROR.body())
        case "gateway_error":
            return Answer(status=502, form="html")
        case "nonsense":
            return Answer(body=said, form="cut")
        case _:
            return Answer(body=said)


def _unavailable(request: Request) -> Fault:
    return Fault(
        200, "PROVIDER_TEMPORARILY_UNAVAILABLE", f"{request.provider} is not available now."
    )
