"""The SQL of the work: which day of which wallet is due, its lines, and what is judged of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import Balance
from kpay.connectors.model import storable_evidence, storable_text
from kpay.connectors.statements import Line, RailWallet
from kpay.core.book import Environment
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside
from kpay.instructions.model import Status
from kpay.reconciliation.model import Finding, Kind, Ours, Standing, State, Theirs, signed

SQL = beside(__file__)

# A part of a day: what is held in memory at once, whatever the size of the day.
PART = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A wallet at a rail."""

    environment: Environment
    connector: str
    wallet: RailWallet

    @property
    def key(self) -> tuple[str, ...]:
        """As the tables' keys begin."""
        wallet = self.wallet
        return (
            self.environment,
            self.connector,
            wallet.country,
            wallet.currency,
            wallet.provider or "",
        )


@dataclass(frozen=True, slots=True)
class Claimed:
    """A day of a wallet that is this process's to go on with."""

    place: Place
    day: date
    stage: str
    ticket: str | None
    number: int
    told_balance: int

    @property
    def key(self) -> tuple[object, ...]:
        return (*self.place.key, self.day)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a day came to, on both sides."""

    opening_theirs: int
    opening_ours: int
    closing_theirs: int
    closing_ours: int
    lines: int
    others: int
    agreed: int
    correction: int = 0
    """By how much less the days before ended than it seemed, on the rail's side."""


Rails = Sequence[tuple[Environment, str]]


async def last_day(database: Database, environment: Environment, connector: str) -> date | None:
    day: date | None = await database.fetchval(SQL["last_day"], environment, connector)
    return day


async def plan(
    database: Database,
    environment: Environment,
    connector: str,
    days: Sequence[date],
    now: datetime,
) -> None:
    await database.execute(SQL["plan"], environment, connector, days, now)


async def claim_day(
    database: Database, rails: Rails, now: datetime, until: datetime
) -> tuple[Environment, str, date] | None:
    """A day of a rail whose wallets are to be asked for."""
    row = await database.fetchrow(SQL["claim_day"], now, until, *_columns(rails))
    return None if row is None else (Environment(row["environment"]), row["connector"], row["day"])


async def day_told(
    database: Database,
    environment: Environment,
    connector: str,
    day: date,
    balances: Sequence[Balance],
    now: datetime,
) -> None:
    """The wallets of a rail on a day are known, and each is due."""
    async with database.transaction() as connection:
        await connection.execute(
            SQL["add_wallets"],
            environment,
            connector,
            day,
            now,
            [one.country for one in balances],
            [one.amount.currency for one in balances],
            [one.provider or "" for one in balances],
            [one.amount.minor for one in balances],
        )
        await connection.execute(SQL["day_told"], environment, connector, day)


async def day_troubled(
    database: Database,
    environment: Environment,
    connector: str,
    day: date,
    again_at: datetime,
    trouble: str,
) -> None:
    await database.execute(SQL["day_troubled"], environment, connector, day, again_at, trouble)


async def claim(database: Database, rails: Rails, now: datetime, until: datetime) -> Claimed | None:
    row = await database.fetchrow(SQL["claim"], now, until, *_columns(rails))
    if row is None:
        return None
    return Claimed(
        place=place_of(row),
        day=row["day"],
        stage=row["stage"],
        ticket=row["ticket"],
        number=row["claims"],
        told_balance=row["told_balance"],
    )


async def go_on(
    database: Database,
    claimed: Claimed,
    stage: str,
    due_at: datetime,
    *,
    ticket: str | None,
    trouble: str | None = None,
) -> bool:
    """Whether it was still this process's to go on with."""
    done = await database.fetchval(
        SQL["go_on"], *claimed.key, claimed.number, stage, due_at, ticket, trouble
    )
    return done is not None


async def finish(database: Database, claimed: Claimed, figures: Figures) -> bool:
    done = await database.fetchval(
        SQL["finish"],
        *claimed.key,
        claimed.number,
        figures.opening_theirs,
        figures.opening_ours,
        figures.closing_theirs,
        figures.closing_ours,
        figures.lines,
        figures.others,
        figures.agreed,
        figures.correction,
    )
    return done is not None


async def clear_lines(database: Database, claimed: Claimed) -> None:
    await database.execute(SQL["clear_lines"], *claimed.key)


async def add_lines(
    database: Database, claimed: Claimed, first: int, lines: Sequence[Line]
) -> None:
    """Lines of a statement, the first of them with that number."""
    await database.execute(
        SQL["add_lines"],
        *claimed.key,
        list(range(first, first + len(lines))),
        [line.at for line in lines],
        [storable_text(line.word) for line in lines],
        [line.operation for line in lines],
        [line.reference for line in lines],
        [line.amount.minor for line in lines],
        [None if line.balance is None else line.balance.minor for line in lines],
        [json.dumps(storable_evidence(line.raw)) for line in lines],
    )


async def lines(database: Database, claimed: Claimed, after: int) -> Sequence[Row]:
    return await database.read(SQL["lines"], *claimed.key, after, PART)


async def completed(
    database: Database,
    place: Place,
    between: tuple[datetime, datetime],
    providers: Sequence[str],
    after: tuple[datetime, UUID],
) -> Sequence[Row]:
    return await database.read(
        SQL["completed"],
        place.environment,
        place.connector,
        *between,
        providers,
        *after,
        PART,
    )


async def live(database: Database, claimed: Claimed, after: str) -> list[str]:
    rows = await database.read(SQL["live"], *claimed.key, after, PART)
    return [row["key"] for row in rows]


async def theirs(
    database: Database, claimed: Claimed, references: Sequence[UUID]
) -> Mapping[UUID, Theirs]:
    rows = await database.read(SQL["theirs"], *claimed.key, references)
    return {row["reference"]: Theirs(row["moved"], row["lines"]) for row in rows}


async def ours(
    database: Database, place: Place, providers: Iterable[str], references: Sequence[UUID]
) -> Mapping[UUID, Ours]:
    """The operations that there are of these references."""
    rows = await database.read(SQL["ours"], place.environment, references)
    here = frozenset(providers)
    return {row["reference"]: _ours(row, place, here) for row in rows}


def _ours(row: Row, place: Place, providers: frozenset[str]) -> Ours:
    type_ = OperationType(row["type"])
    # What ended before there was a choice of rails does not say which one it was.
    same_rail = row["connector"] in (None, place.connector)
    return Ours(
        book=book_of(row),
        id=row["id"],
        type=type_,
        status=Status(row["status"]),
        moves=signed(type_, row["amount"]),
        submitted_at=row["submitted_at"],
        ended_at=row["ended_at"],
        earlier_choice=row["earlier_choice"],
        elsewhere=not same_rail or row["provider"] not in providers,
    )


async def standing(
    connection: Connection, place: Place, keys: Sequence[str]
) -> Mapping[str, Standing]:
    """Breaks as they are on record, on the caller's connection: they stay so in its transaction."""
    rows = await connection.fetch(SQL["standing"], *place.key, keys)
    return {
        row["key"]: Standing(State(row["state"]), row["theirs"], row["ours"], row["found_on"])
        for row in rows
    }


async def judged(connection: Connection, claimed: Claimed, keys: Sequence[str]) -> None:
    await connection.execute(SQL["judged"], *claimed.key, keys)


async def agree(
    connection: Connection, claimed: Claimed, key: str, moved: int, note: str, now: datetime
) -> None:
    await connection.execute(SQL["agree"], *claimed.key, key, moved, note, now)


async def write(
    connection: Connection,
    claimed: Claimed,
    key: str,
    identifier: UUID,
    finding: Finding,
    ours: Ours | None,
    now: datetime,
) -> None:
    kind: Kind | None = finding.kind
    await connection.execute(
        SQL["write"],
        *claimed.key,
        key,
        identifier,
        kind,
        finding.state,
        finding.theirs,
        finding.ours,
        None if ours is None else ours.book.application_id,
        None if ours is None else ours.id,
        None if ours is None else ours.type,
        now,
        finding.note,
    )


async def own_wallets(database: Database, claimed: Claimed) -> set[str]:
    """Which providers of the wallet's country have one of their own."""
    wallet = claimed.place.wallet
    rows = await database.fetch(
        SQL["wallets_of_day"],
        claimed.place.environment,
        claimed.place.connector,
        wallet.country,
        wallet.currency,
        claimed.day,
    )
    return {row["provider"] for row in rows}


async def first_day(database: Database, place: Place) -> date:
    day: date = await database.fetchval(SQL["first_day"], *place.key)
    return day


async def before(database: Database, claimed: Claimed) -> tuple[int, int] | None:
    """What both sides held when the wallet's last day before this one ended."""
    row = await database.fetchrow(SQL["before"], *claimed.key)
    return None if row is None else (row["closing_theirs"], row["closing_ours"])


async def sums(database: Database, claimed: Claimed) -> Row:
    row = await database.fetchrow(SQL["sums"], *claimed.key)
    if row is None:
        raise RuntimeError("a sum has no row")
    return row


async def moved_before_told(database: Database, claimed: Claimed) -> int:
    """What the day had moved when the rail told what the wallet holds, after the first day."""
    moved: int = await database.fetchval(SQL["moved_before_told"], *claimed.key)
    return moved


async def told(database: Database, claimed: Claimed) -> tuple[int | None, int | None]:
    """What the rail says that the wallet held before a day's first line and after its last."""
    row = await database.fetchrow(SQL["told"], *claimed.key)
    return (None, None) if row is None else (row["opening"], row["closing"])


async def our_moves(
    database: Database,
    place: Place,
    since: datetime,
    until: datetime,
    providers: Sequence[str],
) -> int:
    moved: int = await database.fetchval(
        SQL["our_moves"], place.environment, place.connector, since, until, providers
    )
    return moved


def place_of(row: Row) -> Place:
    """Whose row it is, by its key."""
    return Place(
        Environment(row["environment"]),
        row["connector"],
        RailWallet(row["country"], row["currency"], row["provider"] or None),
    )


def _columns(rails: Rails) -> tuple[list[str], list[str]]:
    return [environment for environment, _ in rails], [connector for _, connector in rails]
