"""The float: what a rail says that it holds for us against what our books say, and why they differ.

Both are as they were at the last midnight of which there is a statement. Each part of the
difference is named, with what it comes to; what is left over is nobody's, and is said aloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from kpay.core.money import Money
from kpay.core.words import to_say
from kpay.database.pool import Database, Row
from kpay.reconciliation import store
from kpay.reconciliation.model import Kind, State
from kpay.reconciliation.store import Place, place_of


class Part(msgspec.Struct, frozen=True):
    """One reason why the two differ: `amount` is by how much more the rail holds for it."""

    text: str
    amount: Money
    count: int | None = None
    values: Mapping[str, str] = {}
    """What the text has parts for."""

    @property
    def words(self) -> str:
        return self.text % self.values if self.values else self.text


class Float(msgspec.Struct, frozen=True):
    """A wallet at a rail at the end of a day."""

    place: Place
    day: date
    lines: int
    theirs: Money
    ours: Money
    parts: Sequence[Part]
    told: Money
    """What the rail said when it was asked, at `told_at`."""
    told_at: datetime

    @property
    def difference(self) -> Money:
        return self.theirs - self.ours

    @property
    def unexplained(self) -> Money:
        """What no part explains: the rail's balances do not follow from its own lines."""
        left = self.difference
        for part in self.parts:
            left -= part.amount
        return left


class Unfinished(msgspec.Struct, frozen=True):
    """A day that is under way, or cannot go on at present."""

    environment: str
    connector: str
    wallet: str
    day: date
    stage: str
    due_at: datetime
    trouble: str | None


_WORDS = {
    (Kind.MISSING_HERE, State.AWAITED): to_say("moved there before midnight, here after it"),
    (Kind.MISSING_THERE, State.AWAITED): to_say("moved here before midnight, no line there yet"),
    (Kind.MISSING_HERE, State.OPEN): to_say("lines there without an operation here"),
    (Kind.MISSING_THERE, State.OPEN): to_say("operations here without a line there"),
    (Kind.DIFFERENT_AMOUNT, State.OPEN): to_say("other amounts there than here"),
    (Kind.DUPLICATE, State.OPEN): to_say("moved there more than once"),
    (Kind.MISSING_HERE, State.CLOSED): to_say("missing here, closed"),
    (Kind.MISSING_THERE, State.CLOSED): to_say("missing there, closed"),
    (Kind.DIFFERENT_AMOUNT, State.CLOSED): to_say("different amount, closed"),
    (Kind.DUPLICATE, State.CLOSED): to_say("duplicate, closed"),
}
_BEFORE = to_say("it differed so before the first statement, of %(day)s")
_OTHERS = to_say("%(word)s at the rail")


async def floats(database: Database) -> Sequence[Float]:
    """Every wallet at its last day that is done."""
    return [await _float(database, row) for row in await database.fetch(store.SQL["last_days"])]


async def unfinished(database: Database) -> Sequence[Unfinished]:
    """Oldest first."""
    return [
        Unfinished(
            environment=row["environment"],
            connector=row["connector"],
            wallet=" ".join(filter(None, (row["country"], row["currency"], row["provider"]))),
            day=row["day"],
            stage=row["stage"],
            due_at=row["due_at"],
            trouble=row["trouble"],
        )
        for row in await database.fetch(store.SQL["unfinished"])
    ]


async def _float(database: Database, row: Row) -> Float:
    place, day = place_of(row), row["day"]
    currency = place.wallet.currency
    parts = []
    first = await database.fetchrow(store.SQL["first_figures"], *place.key)
    if first is not None and first["difference"]:
        amount = Money(first["difference"], currency)
        parts.append(Part(_BEFORE, amount, values={"day": f"{first['day']}"}))
    parts += [
        Part(
            _OTHERS, Money(other["moved"], currency), other["lines"], values={"word": other["word"]}
        )
        for other in await database.read(store.SQL["others"], *place.key, day)
    ]
    for differing in await database.read(store.SQL["differing"], *place.key):
        kind, state = Kind(differing["kind"]), State(differing["state"])
        words = _WORDS.get((kind, state)) or f"{kind.replace('_', ' ')}, {state}"
        parts.append(Part(words, Money(differing["moved"], currency), differing["breaks"]))
    return Float(
        place=place,
        day=day,
        lines=row["lines"],
        theirs=Money(row["closing_theirs"], currency),
        ours=Money(row["closing_ours"], currency),
        parts=parts,
        told=Money(row["told_balance"], currency),
        told_at=row["told_at"],
    )
