"""Defects to plant, one at a time: each is a mistake that a program like this could well have.

A simulator that finds nothing has proved nothing unless it is known to find these. Each replaces
one thing in the running program; nothing is written to disk and the database keeps its guarantees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Outcome, Refused, Unknown
from kpay.idempotency import flow as keys
from kpay.idempotency import store as key_store
from kpay.instructions import flow as instructions
from kpay.instructions import model as life
from kpay.instructions import rails
from kpay.instructions import store as instruction_store
from kpay.instructions.bulkheads import Rail
from kpay.instructions.model import Action, Claim, Event, Step
from kpay.ledger import movements
from kpay.ledger.model import POSTED, Entry, Order, Verdict
from kpay.ledger.poster import Poster
from kpay.payouts import flow as payouts
from kpay.payouts import store as payout_store
from kpay.rates.model import Quote
from kpay.transfers import flow as transfers
from kpay.transfers.model import credited_for
from kpay.webhooks import model as webhooks
from kpay.webhooks import store as webhook_store
from simulator import ports

Plant = Callable[[], AbstractContextManager[Any]]


def _without(queries: Mapping[str, str], name: str, *changes: tuple[str, str]) -> dict[str, str]:
    """Statements with one of them changed; it must have what is taken out of it."""
    sql = queries[name]
    for old, new in changes:
        if old not in sql:
            raise ValueError(f"{name} has no {old!r} any more")
        sql = sql.replace(old, new)
    ports.know(sql, ports.name_of(queries[name]))
    return {**queries, name: sql}


def claims_hold_nothing() -> AbstractContextManager[Any]:
    """What a worker claims stays as it was, so that another one claims it too."""
    changed = _without(
        instruction_store.SQL,
        "claim",
        ("next_action = 'check',", "next_action = instructions.next_action,"),
        ("due_at = $4,", "due_at = least(instructions.due_at, $4),"),
    )
    return patch.object(instruction_store, "SQL", changed)


def nothing_is_reserved() -> AbstractContextManager[Any]:
    """A payout is accepted and its money is not set aside."""
    real = payouts._reserve

    def reserve(*agreed: Any) -> Order[Any]:
        return msgspec.structs.replace(real(*agreed), entry=None)

    return patch.object(payouts, "_reserve", reserve)


def silence_is_failure() -> AbstractContextManager[Any]:
    """A rail that does not answer has refused."""
    real = rails._call

    async def call(connector: Any, claims: Sequence[Claim]) -> list[Outcome]:
        outcomes = await real(connector, claims)
        return [Refused("TIMEOUT") if isinstance(one, Unknown) else one for one in outcomes]

    return patch.object(rails, "_call", call)


def silence_is_handed_over_again() -> AbstractContextManager[Any]:
    """What was not answered is handed over once more, without a question."""
    real = life.step_after

    def step_after(claim: Claim, outcome: Outcome, *when: Any) -> Step:
        step = real(claim, outcome, *when)
        if isinstance(outcome, Unknown) and step.due_at is not None:
            step = msgspec.structs.replace(step, next_action=Action.SUBMIT)
        return step

    return patch.object(instructions, "step_after", step_after)


def not_found_is_final() -> AbstractContextManager[Any]:
    """What a rail has not seen yet has failed."""
    real = life.event_of

    def event_of(outcome: Outcome, *when: Any) -> Event:
        name = life.outcome_name(outcome)
        return Event.REFUSED if name == "not_found" else real(outcome, *when)

    return patch.object(life, "event_of", event_of)


def external_ids_are_forgotten() -> AbstractContextManager[Any]:
    """A payout's externalId is on its record and not where it would be looked for."""
    changed = _without(payout_store.SQL, "write", ("id, type, external_id,", "id, type, null,"))
    return patch.object(payout_store, "SQL", changed)


def holds_are_given_back_twice() -> AbstractContextManager[Any]:
    """A payout that failed gives back what it held two times over."""
    real = movements.payout_released

    def released(payout_id: Any, *, country: str, amount: Any) -> Entry:
        return real(payout_id, country=country, amount=amount + amount)

    return patch.object(movements, "payout_released", released)


def rounding_is_skipped() -> AbstractContextManager[Any]:
    """A payout settles what was agreed, not what the rail was told in its own decimals."""
    real = movements.payout_completed

    def completed(payout_id: Any, **amounts: Any) -> Entry:
        return real(payout_id, **{**amounts, "sent": amounts["payout_amount"]})

    return patch.object(movements, "payout_completed", completed)


def rates_change_after_acceptance() -> AbstractContextManager[Any]:
    """A transfer credits what a later rate makes of it, and records the one that was quoted."""
    real = credited_for

    def later(wanted: Any, quote: Quote) -> Any:
        return real(wanted, msgspec.structs.replace(quote, rate=quote.rate * 101 / 100))

    return patch.object(transfers, "credited_for", later)


def answers_precede_commits() -> AbstractContextManager[Any]:
    """An operation is acknowledged when it waits to be written."""
    real = Poster.post

    async def post(self: Poster, order: Order[Any], records: Any, *keyed: Any) -> Verdict:
        waiting = asyncio.ensure_future(real(self, order, records, *keyed))
        # Nobody looks at what becomes of it.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        return POSTED

    return patch.object(Poster, "post", post)


@contextmanager
def calls_precede_intents() -> Iterator[None]:
    """A rail is called with what is due, and only then it is written that it was."""
    real_claim, real_ask = rails.Rails.claim, rails.Rails.ask_together
    early: dict[UUID, Outcome] = {}
    due = """
        select application_id, environment::text, id, attempts + 1 as number,
            next_action as action, reference, provider, phone_number, currency, amount,
            deposit_reference, $1::timestamptz as submitted_at, 'rail' as connector
        from instructions where due_at <= $1 and type = $2 and next_action = 'submit'
        order by id limit $3
    """

    async def claim(
        self: rails.Rails, type_: OperationType, limit: int, full: Sequence[Rail]
    ) -> list[Claim]:
        for row in await self._database.fetch(due, self._clock.now(), type_, limit):
            (early[row["id"]],) = await real_ask(self, [instruction_store._claim(row, type_)])
        return await real_claim(self, type_, limit, full)

    async def ask(self: rails.Rails, claims: Sequence[Claim]) -> list[Outcome]:
        (claim,) = claims
        return [early.pop(claim.id, None) or (await real_ask(self, claims))[0]]

    with (
        patch.object(rails.Rails, "claim", claim),
        patch.object(rails.Rails, "ask_together", ask),
    ):
        yield


def stale_claims_are_called() -> AbstractContextManager[Any]:
    """What was claimed is handed over, however long ago that was."""
    return patch.object(rails, "ran_out", lambda *_: False)


def stale_answers_count() -> AbstractContextManager[Any]:
    """What an earlier attempt has not learnt decides over what a later one has begun."""
    changed = _without(
        instruction_store.SQL, "write", ("wanted.attempt < instructions.attempts", "false")
    )
    return patch.object(instruction_store, "SQL", changed)


def refunds_are_forgotten() -> AbstractContextManager[Any]:
    """A refund that is complete no longer stands in the way of another one of its payment."""
    forgotten = """deposit_reference = case
            when step.status = 'COMPLETED' and deposit_reference is not null then reference
            else deposit_reference
        end,
        ended_at ="""
    changed = _without(instruction_store.SQL, "write", ("ended_at =", forgotten))
    return patch.object(instruction_store, "SQL", changed)


def any_answer_is_a_delivery() -> AbstractContextManager[Any]:
    """A webhook is delivered when its receiver has answered, whatever it said."""
    return patch.object(webhooks, "is_delivered", lambda answer: answer.status is not None)


def webhooks_overtake_each_other() -> AbstractContextManager[Any]:
    """A webhook does not wait for those before it, of what happened to the same operation."""
    changed = _without(webhook_store.SQL, "claim", ("and earlier.id < deliveries.id", "and false"))
    return patch.object(webhook_store, "SQL", changed)


def lost_webhooks_are_given_up() -> AbstractContextManager[Any]:
    """What a process that died was about to send is not sent by another."""
    changed = _without(
        webhook_store.SQL, "claim", ("set due_at = $2, att", "set due_at = $2 + '9 years', att")
    )
    return patch.object(webhook_store, "SQL", changed)


def keys_are_forgotten() -> AbstractContextManager[Any]:
    """The row of an Idempotency-Key is removed as soon as anybody tidies up."""
    return patch.object(keys, "KEEP", timedelta(0))


def attempts_have_operations_of_their_own() -> AbstractContextManager[Any]:
    """A second attempt at a request with a key does not make what the first was to make."""
    changed = _without(
        key_store.SQL,
        "claim",
        ("attempt + 1,", "attempt + 1, operation_id = excluded.operation_id,"),
    )
    return patch.object(key_store, "SQL", changed)


def keys_fit_any_request() -> AbstractContextManager[Any]:
    """A key is answered without a look at what it was sent with."""
    real = keys._answer_of

    def answer_of(known: Any, fingerprint: bytes) -> Any:
        return real(known and msgspec.structs.replace(known, fingerprint=fingerprint), fingerprint)

    return patch.object(keys, "_answer_of", answer_of)


def pages_never_close() -> AbstractContextManager[Any]:
    """A page whose time is over is chosen on all the same, if nobody has ended it."""
    changed = _without(
        instruction_store.SQL, "choose", ("and due_at > $4 and choice", "and choice")
    )
    return patch.object(instruction_store, "SQL", changed)


def choices_are_taken_twice() -> AbstractContextManager[Any]:
    """Another operator is picked while the first is still asking the payer."""
    changed = _without(
        instruction_store.SQL,
        "choose",
        (
            "and next_action = 'choose' and due_at > $4",
            "and (next_action = 'choose' and due_at > $4 or status = 'PROCESSING')",
        ),
    )
    return patch.object(instruction_store, "SQL", changed)


def deadlines_end_what_a_rail_has() -> AbstractContextManager[Any]:
    """What is late has failed, whether a rail was told of it or not."""
    untold = _without(
        instruction_store.SQL,
        "overdue",
        ("instructions.connector is not null as at_rail", "false as at_rail"),
    )
    changed = _without(
        untold,
        "write",
        ("and instructions.connector is not null\n        ) as changed", "and false) as changed"),
    )
    return patch.object(instruction_store, "SQL", changed)


def answers_of_other_choices_count() -> AbstractContextManager[Any]:
    """What is learnt of an earlier choice decides over the one that was made since."""
    changed = _without(
        instruction_store.SQL, "write", ("wanted.attempt <= instructions.earlier_attempts", "false")
    )
    return patch.object(instruction_store, "SQL", changed)
