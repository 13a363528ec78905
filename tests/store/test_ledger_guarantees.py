"""What the database itself refuses, whatever the program above it believes: in straight SQL.

Promises 2, 3 and 5: entries balance, floors hold, what is written stays written, and an end is an
end. Here the schema's owner tries; what the program's own role may not even try is in
test_grants.py, and what the owner can do all the same is found by `verify`: test_tampering.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from types import MappingProxyType
from uuid import UUID, uuid4

import asyncpg
import pytest

from kpay.instructions.model import (
    DEADLINE_EVENTS,
    ENDS,
    HOSTED_EVENTS,
    TRANSITIONS,
    Status,
)

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
APPLICATION = UUID(int=1)


@dataclass(frozen=True)
class Line:
    """One posting as it would be written: what its account comes to, in which version."""

    account: str
    amount: int
    after: int
    version: int
    currency: str = "XAF"
    # Which entry of its batch it is of.
    entry: int = 0


@dataclass
class Ledger:
    """Writes lines by hand, and the accounts as a program that trusts its lines would."""

    connection: asyncpg.Connection[asyncpg.Record]

    async def open(self, account: str, currency: str = "XAF") -> None:
        await self.connection.execute(
            "insert into accounts (application_id, environment, code, currency)"
            " values ($1, 'TEST', $2, $3) on conflict on constraint accounts_pkey do nothing",
            APPLICATION,
            account,
            currency,
        )

    async def write(
        self, *lines: Line, step: int = 1, kind: str = "transfer", operation: UUID | None = None
    ) -> None:
        """Entries of these lines, with their accounts moved on to where they end."""
        for line in lines:
            await self.open(line.account, line.currency)
        standing = {line.account: (line.after, line.version) for line in lines}
        await self.post(*lines, standing=standing, step=step, kind=kind, operation=operation)

    async def stand(self, account: str, balance: int, version: int) -> None:
        """An account moved by hand, with no line to say why."""
        await self.connection.execute(
            "update accounts set balance = $2, version = $3 where code = $1",
            account,
            balance,
            version,
        )

    async def post(
        self,
        *lines: Line,
        standing: Mapping[str, tuple[int, int]] = MappingProxyType({}),
        step: int = 1,
        kind: str = "transfer",
        operation: UUID | None = None,
    ) -> None:
        """The entries, their lines, and accounts as they are said to stand, all at once."""
        operations = {line.entry: uuid4() for line in lines}
        if operation is not None:
            operations[0] = operation
        async with self.connection.transaction():
            await self.connection.executemany(
                "insert into entries"
                " (application_id, environment, operation_id, step, kind, at, number, hash)"
                " values ($1, 'TEST', $2, $3, $4, $5, 1, '')",
                [(APPLICATION, each, step, kind, NOW) for each in operations.values()],
            )
            await self.connection.execute(
                MOVE_AND_POST,
                APPLICATION,
                step,
                NOW,
                [operations[line.entry] for line in lines],
                [line.account for line in lines],
                [line.currency for line in lines],
                [line.amount for line in lines],
                [line.after for line in lines],
                [line.version for line in lines],
                list(standing),
                [balance for balance, _ in standing.values()],
                [version for _, version in standing.values()],
            )


# As the program writes a flush: balances and lines in one statement, which the triggers then see.
MOVE_AND_POST = """
with moved as (
    update accounts set balance = state.balance, version = state.version
    from unnest($10::text[], $11::bigint[], $12::bigint[]) as state (code, balance, version)
    where accounts.code = state.code
)
insert into postings (
    application_id, environment, step, at, operation_id, account, currency, amount, balance_after,
    version
)
select $1, 'TEST', $2, $3, line.*
from unnest($4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[]) as line
"""


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """A ledger whose Cameroon wallet holds 100 hundredths, which the provider owes."""
    connection = await asyncpg.connect(database_url)
    made = Ledger(connection)
    await made.write(
        Line("provider:MTN_MOMO_CMR", -100, -100, 1),
        Line("wallet:CMR", 100, 100, 1),
        kind="payment_completed",
    )
    yield made
    await connection.close()


def refused_by(constraint: str) -> pytest.RaisesExc[asyncpg.IntegrityConstraintViolationError]:
    """That the database refuses, and by which of its constraints."""
    return pytest.raises(
        asyncpg.IntegrityConstraintViolationError,
        check=lambda problem: problem.constraint_name == constraint,
    )


# Entries.


async def test_an_entry_that_balances_is_written(ledger: Ledger) -> None:
    await ledger.write(Line("wallet:CMR", -40, 60, 2), Line("wallet:GAB", 40, 40, 1))
    await ledger.write(Line("wallet:GAB", -40, 0, 2), Line("wallet:CMR", 40, 100, 3))

    assert await ledger.connection.fetchval("select count(*) from postings") == 6


UNSOUND = [
    # The two lines of one entry differ, or are of two currencies.
    ("postings_balance", [Line("wallet:CMR", -40, 60, 2), Line("wallet:GAB", 39, 39, 1)]),
    ("postings_balance", [Line("wallet:CMR", -40, 60, 2)]),
    (
        "postings_balance",
        [Line("wallet:CMR", -40, 60, 2), Line("wallet:SEN", 40, 40, 1, "XOF")],
    ),
    # A version is written a second time.
    ("postings_pkey", [Line("wallet:CMR", -40, 60, 1), Line("wallet:GAB", 40, 40, 1)]),
    # A line that moves nothing.
    ("postings_amount_moves", [Line("wallet:CMR", 0, 100, 2)]),
]


async def test_an_entry_that_is_not_sound_is_refused_whole(
    ledger: Ledger, subtests: pytest.Subtests
) -> None:
    for constraint, lines in UNSOUND:
        with subtests.test(lines=lines), refused_by(constraint):
            await ledger.write(*lines)
    assert await ledger.connection.fetchval("select count(*) from entries") == 1
    assert await ledger.connection.fetchval("select count(*) from postings") == 2


async def test_a_batch_may_carry_one_account_through_several_versions(ledger: Ledger) -> None:
    await ledger.write(
        *(Line("wallet:CMR", -50, 50, 2), Line("wallet:GAB", 50, 50, 1)),
        *(Line("wallet:CMR", -20, 30, 3, entry=1), Line("wallet:GAB", 20, 70, 2, entry=1)),
    )

    assert await ledger.connection.fetchval("select count(*) from postings") == 6


# Floors.


async def test_a_wallet_and_what_is_reserved_never_stand_below_zero(ledger: Ledger) -> None:
    for account in ("wallet:CMR", "reserved:CMR"):
        await ledger.open(account)
        with refused_by("accounts_floor"):
            await ledger.stand(account, -1, 2)


async def test_no_line_takes_a_wallet_below_zero(ledger: Ledger) -> None:
    await ledger.open("wallet:GAB")
    with refused_by("postings_floor"):
        await ledger.post(Line("wallet:CMR", -101, -1, 2), Line("wallet:GAB", 101, 101, 1))


async def test_the_house_s_own_accounts_may(ledger: Ledger) -> None:
    house = ["provider:X", "fees:XAF", "fx:XAF", "rounding:XAF"]

    await ledger.write(
        *(Line(account, -5, -5, 1) for account in house), Line("wallet:CMR", 20, 120, 2)
    )


async def test_an_account_of_no_known_kind_is_refused(ledger: Ledger) -> None:
    with refused_by("accounts_code_known"):
        await ledger.open("pocket:CMR")
    with refused_by("accounts_code_known"):
        await ledger.connection.execute("update accounts set code = 'pocket:CMR'")


# What is written stays written.


async def test_what_is_written_is_never_changed(ledger: Ledger, subtests: pytest.Subtests) -> None:
    tables = ("postings", "entries", "transfers", "payments", "payouts", "refunds", "events")
    changes = ("update {} set application_id = application_id", "delete from {}", "truncate {}")
    for table, change in product(tables, changes):
        with subtests.test(table=table, change=change), refused_by(f"{table}_insert_only"):
            await ledger.connection.execute(change.format(table))


async def test_an_account_and_a_journal_are_never_removed(ledger: Ledger) -> None:
    for table, change in product(("accounts", "journals"), ("delete from {}", "truncate {}")):
        with refused_by(f"{table}_never_deleted"):
            await ledger.connection.execute(change.format(table))


async def test_an_operation_is_closed_at_most_once(ledger: Ledger) -> None:
    operation = uuid4()
    held = [Line("wallet:CMR", -40, 60, 2), Line("reserved:CMR", 40, 40, 1)]
    paid = [Line("reserved:CMR", -40, 0, 2), Line("provider:X", 40, 40, 1)]
    freed = [Line("reserved:CMR", -40, 0, 2), Line("wallet:CMR", 40, 100, 3)]
    await ledger.write(*held, kind="payout_requested", operation=operation)
    await ledger.write(*paid, step=2, kind="payout_completed", operation=operation)

    with refused_by("entries_pkey"):
        await ledger.write(*freed, step=2, kind="payout_released", operation=operation)


async def test_an_entry_of_no_known_kind_or_at_the_wrong_step_is_refused(
    ledger: Ledger, subtests: pytest.Subtests
) -> None:
    wrong = [(2, "transfer"), (1, "payout_completed"), (1, "payout_released"), (1, "gift"), (3, "")]
    for step, kind in wrong:
        with subtests.test(step=step, kind=kind), refused_by("entries_kind_known"):
            await ledger.post(Line("wallet:CMR", -1, 99, 2), step=step, kind=kind)


# Instructions.


async def put_instruction(
    connection: asyncpg.Connection[asyncpg.Record],
    status: Status,
    *,
    type_: str = "PAYOUT",
    external_id: str | None = None,
) -> UUID:
    """An instruction that stands at a status from the start."""
    instruction_id = uuid4()
    ended = status in ENDS
    await connection.execute(
        "insert into instructions (application_id, environment, id, type, claimed_external_id,"
        " reference, provider, phone_number, currency, amount, status, failure_code, next_action,"
        " due_at, ended_at)"
        " values ($1, 'TEST', $2, $3, $4, $5, 'X', '1', 'XAF', 1, $6, $7, 'check', $8, $9)",
        APPLICATION,
        instruction_id,
        type_,
        external_id,
        uuid4(),
        status,
        "NO" if status is Status.FAILED else None,
        None if ended else NOW,
        NOW if ended else None,
    )
    return instruction_id


async def move(
    connection: asyncpg.Connection[asyncpg.Record], instruction_id: UUID, status: Status
) -> str:
    """Set a status with all that goes with it, so that nothing but the step itself can be wrong."""
    return await connection.execute(
        "update instructions set status = $2, failure_code = $3, due_at = $4, ended_at = $5"
        " where id = $1",
        instruction_id,
        status,
        "NO" if status is Status.FAILED else None,
        None if status in ENDS else NOW,
        NOW if status in ENDS else None,
    )


async def give_deadline(
    connection: asyncpg.Connection[asyncpg.Record], instruction_id: UUID
) -> None:
    await connection.execute(
        "update instructions set queue_until = $2 where id = $1", instruction_id, NOW
    )


async def test_an_instruction_goes_only_where_the_transition_table_lets_it(ledger: Ledger) -> None:
    # What has not begun may be written again as it is; an end may not even be that.
    # What only a hosted page or a deadline leads to is refused to what has none.
    for others in (HOSTED_EVENTS | DEADLINE_EVENTS, HOSTED_EVENTS):
        allowed = {
            (status, to) for (status, event), to in TRANSITIONS.items() if event not in others
        }
        allowed.add((Status.PENDING, Status.PENDING))
        for old, new in product(Status, Status):
            instruction_id = await put_instruction(ledger.connection, old)
            if others == HOSTED_EVENTS and old not in ENDS:
                await give_deadline(ledger.connection, instruction_id)
            if (old, new) in allowed:
                assert await move(ledger.connection, instruction_id, new) == "UPDATE 1"
            else:
                with refused_by("instructions_steps"):
                    await move(ledger.connection, instruction_id, new)


async def test_one_external_id_has_one_live_operation_of_its_type(ledger: Ledger) -> None:
    await put_instruction(ledger.connection, Status.PENDING, external_id="A")
    await put_instruction(ledger.connection, Status.PENDING, external_id="A", type_="DEPOSIT")
    await put_instruction(ledger.connection, Status.FAILED)

    with refused_by("instructions_external_id_key"):
        await put_instruction(ledger.connection, Status.PENDING, external_id="A")
