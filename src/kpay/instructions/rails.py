"""How rails are spoken to: claim what is due, commit the intent, call, and hand back the outcome.

The intent is on disk before the call and no transaction is open during it (promise 6), so a process
that dies at any point leaves a row that says what to do next. What follows from the outcome is the
business of the payment, the payout or the refund: `flow.py` is what they share of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
import structlog
from msgspec import Meta

from kpay import metrics
from kpay.access.model import Terms
from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.connectors.capabilities import DELAYED
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
from kpay.database.pool import UNAVAILABLE, Database, Row, outside_transaction
from kpay.instructions import store
from kpay.instructions.alarms import rail_alarm
from kpay.instructions.cancelling import Cancellations
from kpay.instructions.model import (
    CLAIM,
    Action,
    Agreed,
    Claim,
    Progress,
    Status,
    Step,
    outcome_name,
    ran_out,
)
from kpay.instructions.store import TrackedRows

_ANSWER_WITHIN_SECONDS = 30
_RECORD_TRIES = 100
_BETWEEN_RECORD_TRIES_SECONDS = 0.25
_PASSING = (Code.DATABASE_UNAVAILABLE, Code.BUSY)

G = TypeVar("G", bound=Agreed)

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

    def check_served(self, environment: Environment, code: str) -> None:
        """Refuses: provider_closed, where a provider that once was used gives nothing back now."""
        provider = self._catalogue.providers[code]
        if not self._routing.is_open(environment, provider, OperationType.REFUND):
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

    async def claim(self, type_: OperationType, limit: int) -> list[Claim]:
        """Take up to `limit` of what is due; nobody else does, until the claim runs out."""
        now = self._clock.now()
        return await store.claim(
            self._database,
            type_,
            now=now,
            until=now + CLAIM,
            limit=limit,
            plan=self._routing.plan,
        )

    async def ask(self, claim: Claim) -> Outcome:
        """Make the attempt. Whatever goes wrong on the way is unknown, never failed (promise 5)."""
        outside_transaction()
        connector = self._routing.named(claim.book.environment, claim.connector)
        if connector is None or not self._may_go_on(claim):
            return Unknown("no connector serves this provider now")
        if ran_out(claim, self._clock.now()):
            return Unknown("the claim ran out before the call: somebody else may have made it")
        outcome = await _call(connector, claim)
        metrics.attempts.labels(connector.name, claim.action, outcome_name(outcome)).inc()
        if isinstance(outcome, Unknown | Refused) and outcome.alarm:
            why = outcome.why if isinstance(outcome, Unknown) else outcome.code
            rail_alarm(connector.name, why, claim.instruction.reference)
        return outcome

    def _may_go_on(self, claim: Claim) -> bool:
        """What was handed over is asked about whatever happens; handed over is only what may be."""
        if claim.action is not Action.SUBMIT:
            return True
        provider = self._catalogue.providers[claim.instruction.provider]
        return self._routing.connector(claim.book.environment, provider) is not None

    async def work(
        self,
        type_: OperationType,
        limit: int,
        rows: TrackedRows[G],
        record: Callable[[Claim, G, Outcome], Awaitable[object]],
    ) -> int:
        """Make one attempt at each of up to `limit` that are due; `record` writes what it came to.

        Returns how many attempts were made.
        """
        claims = await self.claim(type_, limit)
        if claims:
            found = await rows.of_ids([(claim.book, claim.id) for claim in claims])

            async def attempt(claim: Claim) -> None:
                outcome = await self.ask(claim)
                await _surely(lambda: record(claim, found[claim.id].agreed, outcome))

            for came in await asyncio.gather(*map(attempt, claims), return_exceptions=True):
                if isinstance(came, Exception):
                    # It is still due: another attempt is made when the claim has run out.
                    log.error("attempt_failed", type=type_, exc_info=came)
        return len(claims)

    async def keep_late_answer(self, step: Step) -> None:
        """Keep an answer that came too late: it changes nothing, and is evidence all the same.

        That is after the end, or without certainty when a later attempt has begun. One that
        contradicts what is settled is held for a person to look at, and said loudly.
        """
        found = await store.record_late_answer(self._database, step)
        if found is not None:
            alarm(
                step.book,
                step.id,
                found.what,
                connector=found.connector,
                reference=found.reference,
            )
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

        Refuses: not_open, in production too, where only the rail decides.
        """
        if not book.is_test or progress.status is not Status.PROCESSING:
            raise Refusal(
                Code.NOT_OPEN,
                "Only an operation of the sandbox that is PROCESSING can be finished.",
            )
        await self._sandbox.decide(book, progress.reference, failure_code)
        await store.hasten(self._database, book, instruction_id, self._clock.now())


async def _surely(record: Callable[[], Awaitable[object]]) -> None:
    """Record what a rail said, however long the database is away, while the claim is ours.

    Otherwise an answer that is at hand would be lost, and asked for again a minute later.
    """
    for _ in range(_RECORD_TRIES):
        try:
            await record()
        except (Refusal, *UNAVAILABLE) as problem:
            if isinstance(problem, Refusal) and problem.code not in _PASSING:
                raise
            await asyncio.sleep(_BETWEEN_RECORD_TRIES_SECONDS)
        else:
            return
    raise RuntimeError("the database was away for as long as the claim was ours")


async def _call(connector: Connector, claim: Claim) -> Outcome:
    verb = connector.submit if claim.action is Action.SUBMIT else connector.check
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
            return await verb(claim.instruction)
    except Exception as problem:
        log.warning(
            "rail_call_unknown",
            connector=connector.name,
            action=claim.action,
            reference=str(claim.instruction.reference),
            exc_info=problem,
        )
        return Unknown(type(problem).__name__)


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
