"""How rails are spoken to: claim what is due, commit the intent, call, and hand back the outcome.

The intent is on disk before the call and no transaction is open during it (promise 6), so a process
that dies at any point leaves a row that says what to do next. What follows from the outcome is the
business of the payment, the payout or the refund: `flow.py` is what they share of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from msgspec import Meta

from kpay import metrics
from kpay.access.model import Terms
from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.connectors.capabilities import DELAYED, SubmitsMany, most_at_once
from kpay.connectors.model import Connector, Outcome, Refused, Unknown
from kpay.connectors.phones import as_typed, predict_as_typed, read_phone
from kpay.connectors.routing import Routing
from kpay.connectors.sandbox import SandboxConnector
from kpay.contradictions.flow import alarm
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock, iso
from kpay.core.forms import Moment
from kpay.core.limits import Limits
from kpay.core.money import Money
from kpay.core.page import Filter
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database, Row, outside_transaction
from kpay.instructions import store
from kpay.instructions.alarms import rail_alarm
from kpay.instructions.bulkheads import Rail
from kpay.instructions.cancelling import Cancellations
from kpay.instructions.model import (
    CLAIM,
    Action,
    Claim,
    Progress,
    Status,
    Step,
    outcome_name,
    ran_out,
)
from kpay.instructions.next_rails import NextRails

_ANSWER_WITHIN_SECONDS = 30

log = structlog.get_logger(__name__)


class Attempt(msgspec.Struct, rename="camel"):
    """One time the operator was spoken to; `outcome` is null while no answer is recorded."""

    number: Annotated[int, Meta(description="The first is 1.")]
    action: Annotated[
        str,
        Meta(
            description="Whether it was handed over, asked about, or asked to be cancelled.",
            extra_json_schema={"enum": list(Action)},
        ),
    ]
    connector: Annotated[str, Meta(description="Our connector to the operator.")]
    sent: Annotated[
        Any,
        Meta(
            description="What the operator was told. `queueUntil` is there where it was asked to "
            "cancel because that deadline had passed."
        ),
    ]
    sent_at: Annotated[Moment, Meta(description="When it was told.")]
    outcome: Annotated[
        str | None,
        Meta(
            description="accepted, paid, refused, not_found, unknown, declined (to cancel), or "
            "null without an answer."
        ),
    ]
    answer: Annotated[Any, Meta(description="What the operator answered, or null.")]
    answered_at: Annotated[Moment | None, Meta(description="When its answer was recorded.")]


class Rails:
    """Speaks to the rails on behalf of payments, payouts and refunds."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        routing: Routing,
        sandbox: SandboxConnector,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._routing = routing
        self._sandbox = sandbox
        self._clock = clock
        self.steps = store.StepRecords()
        self.cancellations = Cancellations(database, routing, clock)
        self.onward = NextRails(database, catalogue, routing)

    def open_provider(
        self, environment: Environment, code: str, terms: Terms, type_: OperationType
    ) -> Provider:
        """A provider that is open and that the application may use.

        Refuses: unknown_provider, provider_suspended, provider_closed, provider_not_allowed.
        """
        provider = self._routing.open_provider(environment, code, type_)
        terms.check_provider(provider.code)
        return provider

    def open_providers(
        self, environment: Environment, terms: Terms, type_: OperationType
    ) -> list[Provider]:
        """Every provider that is open and that the application may use, country by country."""
        return [
            self._routing.as_served(environment, provider)
            for country in self._catalogue.countries
            for provider in self._catalogue.of_country(country)
            if self._routing.is_open(environment, provider, type_) and terms.may_use(provider.code)
        ]

    def is_delayed(
        self, environment: Environment, provider: Provider, type_: OperationType
    ) -> bool:
        """Whether what it is handed now waits at its rail until it is back."""
        return self._routing.status(environment, provider, type_) == DELAYED

    def provider(self, environment: Environment, code: str) -> Provider:
        """A provider that was used, open or not, as its rail serves it."""
        return self._routing.as_served(environment, self._catalogue.providers[code])

    def check_served(self, environment: Environment, code: str, connector: str | None) -> None:
        """Refuses: provider_closed, where a provider that once was used gives nothing back now.

        That is for the rail to do that has the deposit; None where it is not known which.
        """
        provider, type_ = self._catalogue.providers[code], OperationType.REFUND
        rail = self._routing.named(environment, connector)
        gone = connector is not None and rail is None
        if gone or not self._routing.is_open(environment, provider, type_, rail):
            raise Refusal(
                Code.PROVIDER_CLOSED,
                f"{code} is closed at present and can give nothing back: try again when "
                "GET /api/v1/payments/availability says that it is open.",
            )

    def check_filter(self, wanted: Filter) -> None:
        """Whether there is what a list is narrowed to; a provider may be suspended by now.

        Refuses: unsupported_country, unknown_provider.
        """
        if wanted.country is not None:
            self._catalogue.country(wanted.country, "country")
        if wanted.provider is not None:
            self._catalogue.known_provider(wanted.provider)

    def check_limits(self, type_: OperationType, amount: Money, terms: Terms) -> None:
        """Refuses: amount_out_of_bounds."""
        self.limits(type_, amount.currency, terms).check(amount)

    def limits(self, type_: OperationType, currency: str, terms: Terms) -> Limits:
        """What the application has agreed on, else the catalogue's."""
        return terms.limits.get((type_, currency)) or self._catalogue.limits[type_, currency]

    def read_phone(
        self, environment: Environment, type_: OperationType, provider: Provider, text: str
    ) -> str:
        """Refuses: invalid_phone_number, not_a_test_number."""
        return read_phone(self._catalogue, environment, type_, provider, text)

    def read_phone_as_typed(
        self, environment: Environment, type_: OperationType, provider: Provider, text: str
    ) -> str:
        """A number as a person types it. Refuses: invalid_phone_number, not_a_test_number."""
        calling_code = self._catalogue.countries[provider.country].calling_code
        readings = as_typed(calling_code, text)
        for reading in readings[:-1]:
            with suppress(Refusal):
                return self.read_phone(environment, type_, provider, reading)
        return self.read_phone(environment, type_, provider, readings[-1])

    def predict(self, environment: Environment, country: str, text: str) -> Provider:
        """The operator that most likely serves a number as a person types it.

        Refuses: not_a_test_number, invalid_phone_number.
        """
        return predict_as_typed(self._catalogue, environment, country, text)

    async def claim(
        self, type_: OperationType, limit: int, full: Sequence[Rail] = ()
    ) -> list[Claim]:
        """Take up to `limit` of what is due; nobody else does, until the claim runs out.

        What is for a rail that is `full` is left to whoever has room for it.
        """
        now = self._clock.now()
        return await store.claim(
            self._database,
            type_,
            now=now,
            until=now + CLAIM,
            limit=limit,
            plan=self._routing.plan(type_),
            full=full,
        )

    def calls(self, claims: Sequence[Claim]) -> list[list[Claim]]:
        """Which of these attempts are made in one call: those of one rail that takes several.

        Only what is handed over for the first time. A rail may take none of a call for the sake of
        one that it cannot read: the second time each goes alone, and that one spoils no other.
        """
        calls: list[list[Claim]] = []
        last: dict[Rail, list[Claim]] = {}
        sizes: dict[Rail, int] = {}
        for claim in claims:
            rail = claim.book.environment, claim.connector
            if claim.action is not Action.SUBMIT or claim.number > 1:
                calls.append([claim])
                continue
            if rail not in sizes:
                sizes[rail] = most_at_once(self._routing.named(*rail), claim.type)
            if rail not in last or len(last[rail]) == sizes[rail]:
                last[rail] = []
                calls.append(last[rail])
            last[rail].append(claim)
        return calls

    async def ask(self, claim: Claim) -> Outcome:
        """Make the attempt. Whatever goes wrong on the way is unknown, never failed (promise 5)."""
        (outcome,) = await self.ask_together([claim])
        return outcome

    async def ask_together(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Make attempts in one call to the rail that they all are for; one outcome for each."""
        outside_transaction()
        connector = self._routing.named(claims[0].book.environment, claims[0].connector)
        hindered = {claim.id: self._hindrance(claim, connector) for claim in claims}
        free = [claim for claim in claims if hindered[claim.id] is None]
        said: dict[UUID, Outcome] = {}
        if connector is not None and free:
            outcomes = await _call(connector, free)
            for claim, outcome in zip(free, outcomes, strict=True):
                said[claim.id] = outcome
                _note(connector, claim, outcome)
        return [hindered[claim.id] or said[claim.id] for claim in claims]

    def _hindrance(self, claim: Claim, connector: Connector | None) -> Unknown | None:
        """Why an attempt must not be made now, if it must not."""
        if connector is None or not self._may_go_on(claim):
            return Unknown("no connector serves this provider now")
        if ran_out(claim, self._clock.now()):
            return Unknown("the claim ran out before the call: somebody else may have made it")
        return None

    def _may_go_on(self, claim: Claim) -> bool:
        """What was handed over is asked about whatever happens; handed over is only what may be."""
        if claim.action is not Action.SUBMIT:
            return True
        provider = self._catalogue.providers[claim.instruction.provider]
        return self._routing.connector(claim.book.environment, provider) is not None

    async def keep_evidence(self, step: Step) -> bool:
        """Keep an answer with its attempt, which changes nothing. Whether it contradicts the books.

        Then it is held for a person to look at, and said loudly.
        """
        found = await store.record_late_answer(self._database, step)
        if found is None:
            return False
        alarm(step.book, step.id, found.what, connector=found.connector, reference=found.reference)
        return True

    async def keep_late_answer(self, step: Step) -> None:
        """Keep an answer that came too late: it changes nothing, and is evidence all the same.

        That is after the end, or without certainty when a later attempt has begun.
        """
        await self.keep_evidence(step)
        log.warning(
            "answer_after_end",
            instruction=str(step.id),
            attempt=step.attempt,
            outcome=None if step.outcome is None else outcome_name(step.outcome),
        )

    async def attempts(self, book: Book, instruction_id: UUID) -> list[Attempt]:
        """The evidence trail of one payment, payout or refund, oldest first."""
        rows = await store.attempts(self._database, book, instruction_id)
        return [_attempt(row) for row in rows]

    async def open_at_rails(self) -> dict[tuple[Environment, str], int]:
        """How many instructions each connector has that have not ended."""
        return await store.open_at_rails(self._database)

    async def finish_in_sandbox(
        self, book: Book, instruction_id: UUID, progress: Progress, failure_code: str | None
    ) -> None:
        """Decide how an open sandbox operation ends; the worker settles it as if the rail had said.

        Refuses: not_open, in production too and of what another rail has: only the rail decides.
        """
        if not book.is_test or progress.status is not Status.PROCESSING:
            raise Refusal(
                Code.NOT_OPEN,
                "Only an operation of the sandbox that is PROCESSING can be finished.",
            )
        if progress.connector != self._sandbox.name:
            raise Refusal(
                Code.NOT_OPEN,
                f"{progress.connector} has it, and not the sandbox: it decides how it ends.",
            )
        await self._sandbox.decide(book, progress.reference, failure_code)
        await store.hasten(self._database, book, instruction_id, self._clock.now())


async def _call(connector: Connector, claims: Sequence[Claim]) -> list[Outcome]:
    """One call to a rail, bounded; one outcome for each of the attempts that it makes."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
            return await _said(connector, claims)
    except Exception as problem:
        log.warning(
            "rail_call_unknown",
            connector=connector.name,
            action=claims[0].action,
            references=[str(claim.instruction.reference) for claim in claims],
            exc_info=problem,
        )
        return [Unknown(type(problem).__name__)] * len(claims)


async def _said(connector: Connector, claims: Sequence[Claim]) -> list[Outcome]:
    if len(claims) == 1:
        verb = connector.submit if claims[0].action is Action.SUBMIT else connector.check
        return [await verb(claims[0].instruction)]
    if not isinstance(connector, SubmitsMany):
        raise TypeError(f"{connector.name} takes one instruction at a time")
    outcomes = await connector.submit_many([claim.instruction for claim in claims])
    if len(outcomes) != len(claims):
        raise ValueError(f"{len(outcomes)} outcomes of {len(claims)} instructions")
    return list(outcomes)


def _note(connector: Connector, claim: Claim, outcome: Outcome) -> None:
    metrics.attempts.labels(connector.name, claim.action, outcome_name(outcome)).inc()
    if isinstance(outcome, Unknown | Refused) and outcome.alarm:
        why = outcome.why if isinstance(outcome, Unknown) else outcome.code
        rail_alarm(connector.name, why, claim.instruction.reference)


def _attempt(row: Row) -> Attempt:
    answered_at: datetime | None = row["answered_at"]
    return Attempt(
        number=row["number"],
        action=row["action"],
        connector=row["connector"],
        sent=msgspec.Raw(row["sent"].encode()),
        sent_at=iso(row["sent_at"]),
        outcome=row["outcome"],
        answer=None if row["answer"] is None else msgspec.Raw(row["answer"].encode()),
        answered_at=None if answered_at is None else iso(answered_at),
    )
