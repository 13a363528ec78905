"""What the database holds, read by the simulation on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from simulator.operations import Choice, Kind, Record, Standing

_PAYMENTS = """
    select payments.*, instructions.reference, instructions.amount as sent
    from payments join instructions using (application_id, environment, id)
    where description = any($1::text[])
"""
_PAYOUTS = """
    select payouts.*, instructions.reference, instructions.amount as sent
    from payouts join instructions using (application_id, environment, id)
    where description = any($1::text[])
"""
_REFUNDS = """
    select refunds.*, instructions.reference, instructions.amount as sent
    from refunds join instructions using (application_id, environment, id)
    where reason = any($1::text[])
"""
_TRANSFERS = "select * from transfers where description = any($1::text[])"
_STATUSES = """
    select id, status::text, failure_code, ended_at from instructions where id = any($1::uuid[])
"""
_CHOICES = """
    select id, number, provider, country, reference, at, payout_currency, payout_amount, rate
    from choices where id = any($1::uuid[]) order by id, number
"""
_ACCOUNTS = "select application_id, code, currency, balance from accounts where version > 0"
_COUNTS = """
    select
        (select count(*) from payments) as payments, (select count(*) from payouts) as payouts,
        (select count(*) from transfers) as transfers, (select count(*) from refunds) as refunds,
        (select count(*) from entries) as entries, (select count(*) from events) as events,
        (select count(*) from deliveries) as deliveries
"""
# The outcomes of the attempts under one reference: a hosted page has one for each choice.
_OUTCOMES = """
    select array_agg(outcome) from attempts
    where instruction_id = $1 and sent ->> 'reference' = $2::uuid::text
"""
# What is new, what waits, and what waited when it was read last.
_DELIVERIES = """
    select id, application_id, topic, type, operation_id, resource_id, status, tries
    from deliveries where id > $1 or due_at is not null or id = any($2::uuid[]) order by id
"""
_NIL = UUID(int=0)


@dataclass(frozen=True)
class Account:
    """An account with its balance in hundredths."""

    application_id: UUID
    code: str
    currency: str
    balance: int


@dataclass(frozen=True)
class Delivery:
    """A webhook as it stands on record."""

    id: UUID
    application_id: UUID
    topic: str
    type: str
    operation_id: UUID
    resource_id: UUID
    status: str
    tries: int


class Reader:
    """Reads while nobody has a statement under way."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def records(self, kind: Kind, tokens: Sequence[str]) -> list[tuple[str, Record]]:
        """The operations of a kind with these descriptions, each with its own."""
        if not tokens:
            return []
        sql, read, token = _READERS[kind]
        rows = await self._connection.fetch(sql, tokens)
        return [(row[token], read(row)) for row in rows]

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """How instructions stand."""
        if not ids:
            return {}
        rows = await self._connection.fetch(_STATUSES, ids)
        return {
            row["id"]: Standing(row["status"], row["failure_code"], row["ended_at"]) for row in rows
        }

    async def choices(self, ids: Sequence[UUID]) -> dict[UUID, list[Choice]]:
        """All that was picked on the pages of instructions, in its order."""
        found: dict[UUID, list[Choice]] = {}
        for row in await self._connection.fetch(_CHOICES, ids) if ids else ():
            identifier, *fields = row
            found.setdefault(identifier, []).append(Choice(*fields))
        return found

    async def deliveries(self, waiting: Sequence[UUID], last: UUID | None) -> list[Delivery]:
        """Those that are unsettled or were in `waiting`, and all after the `last` one, in order."""
        rows = await self._connection.fetch(_DELIVERIES, last or _NIL, waiting)
        return [Delivery(*row) for row in rows]

    async def accounts(self) -> list[Account]:
        """Every account that was ever posted to."""
        return [Account(*row) for row in await self._connection.fetch(_ACCOUNTS)]

    async def counts(self) -> dict[str, int]:
        """How many there are of what an operation leaves behind."""
        row = await self._connection.fetchrow(_COUNTS)
        return dict(row or {})

    async def outcomes(self, instruction_id: UUID, reference: UUID) -> list[str | None]:
        """What is kept of the answer to each attempt under a reference."""
        return await self._connection.fetchval(_OUTCOMES, instruction_id, reference) or []


def _payment(row: Any) -> Record:
    return Record(
        id=row["id"],
        application_id=row["application_id"],
        external_id=row["external_id"],
        country=row["country"] or "",
        currency=row["currency"],
        amount=row["amount"],
        fee=row["fee"],
        target=row["provider"] or "",
        target_currency=row["currency"],
        arrives=row["amount"] - row["fee"],
        sent=row["sent"],
        rate=Decimal(1),
        created_at=row["created_at"],
        reference=row["reference"],
        expires_at=row["expires_at"],
    )


def _payout(row: Any) -> Record:
    return Record(
        id=row["id"],
        application_id=row["application_id"],
        external_id=row["external_id"],
        country=row["source_country"],
        currency=row["currency"],
        amount=row["amount"],
        fee=row["fee"],
        target=row["provider"] or "",
        target_currency=row["payout_currency"] or "",
        arrives=row["payout_amount"] or 0,
        sent=row["sent"] or 0,
        rate=row["rate"] or Decimal(1),
        created_at=row["created_at"],
        reference=row["reference"],
        expires_at=row["expires_at"],
    )


def _transfer(row: Any) -> Record:
    return Record(
        id=row["id"],
        application_id=row["application_id"],
        external_id=row["external_id"],
        country=row["source_country"],
        currency=row["source_currency"],
        amount=row["source_amount"],
        fee=0,
        target=row["destination_country"],
        target_currency=row["destination_currency"],
        arrives=row["destination_amount"],
        sent=row["destination_amount"],
        rate=row["rate"],
        created_at=row["created_at"],
        reference=None,
    )


def _refund(row: Any) -> Record:
    return Record(
        id=row["id"],
        application_id=row["application_id"],
        external_id=row["external_id"],
        country=row["country"],
        currency=row["currency"],
        amount=row["amount"],
        fee=0,
        target=row["provider"],
        target_currency=row["currency"],
        arrives=row["amount"],
        sent=row["sent"],
        rate=Decimal(1),
        created_at=row["created_at"],
        reference=row["reference"],
        payment_id=row["payment_id"],
    )


# How each kind is read, and the column that holds what its merchant called it.
_READERS: dict[Kind, tuple[str, Callable[[Any], Record], str]] = {
    Kind.PAYMENT: (_PAYMENTS, _payment, "description"),
    Kind.PAYOUT: (_PAYOUTS, _payout, "description"),
    Kind.TRANSFER: (_TRANSFERS, _transfer, "description"),
    Kind.REFUND: (_REFUNDS, _refund, "reason"),
}
