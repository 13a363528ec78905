"""The fence: what an Idempotency-Key's attempt commits, it commits only while the attempt is its.

An attempt that is slow is taken over by the next one, which looks whether the operation is there
and may find that it is not. So nothing of the slow one may be committed afterwards: the key's row
is locked in the very transaction that writes the operation, and whoever takes it over waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from kpay.core.keyed import Keyed
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.database.queries import beside
from kpay.ledger.model import Verdict

SQL = beside(__file__)

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)

Beside: TypeAlias = Callable[[Connection], Awaitable[None]]
"""What is written with an operation in its transaction, such as who asked: both or neither."""


class Records(Protocol[R_contra]):
    """How one noun writes its rows together with their entries. Instances are their identity."""

    async def write(
        self, connection: Connection, ledger: Sequence[object], records: Sequence[R_contra]
    ) -> list[Verdict]:
        """Write a batch in one statement, and say what became of each record.

        `ledger` is what the statement hands to `post`, by whose verdicts it goes; beside them it
        refuses what the records themselves rule out: a used externalId, a payout that has ended.
        """
        ...


class Fenced(Generic[R]):
    """The same records, each with the attempt that it belongs to: all of a batch, or nothing.

    Where one attempt was overtaken the batch is tried again order by order, as after any trouble.
    What is to be written beside an operation is written where that is posted, and only there.
    """

    def __init__(self, records: Records[R]) -> None:
        self._records = records

    async def write(
        self,
        connection: Connection,
        ledger: Sequence[object],
        records: Sequence[tuple[Keyed, Beside | None, R]],
    ) -> list[Verdict]:
        async with connection.transaction():
            await hold(connection, [keyed for keyed, _, _ in records])
            verdicts = await self._records.write(
                connection, ledger, [record for _, _, record in records]
            )
            for (_, beside, _), verdict in zip(records, verdicts, strict=True):
                if beside is not None and verdict.posted:
                    await beside(connection)
            return verdicts


async def hold(connection: Connection, attempts: Sequence[Keyed]) -> None:
    """Keep every attempt from being taken over until the transaction at hand ends.

    Refuses: idempotency_in_progress, when one of them was already.
    """
    held: int = await connection.fetchval(
        SQL["hold_attempts"],
        [keyed.book.application_id for keyed in attempts],
        [keyed.book.environment for keyed in attempts],
        [keyed.key for keyed in attempts],
        [keyed.attempt for keyed in attempts],
    )
    if held != len(attempts):
        raise overtaken()


def overtaken() -> Refusal:
    """What somebody is told whose request another attempt is being made at."""
    return Refusal(
        Code.IDEMPOTENCY_IN_PROGRESS,
        "A request with this Idempotency-Key is being carried out at this moment: send it again in "
        "a second for its answer.",
        retry_after=1,
    )
