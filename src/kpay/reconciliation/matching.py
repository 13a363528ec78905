"""A day of a wallet is matched: every line against its operation, and every operation its line.

In parts, each in a transaction of its own, and each reference by all that is known of it. So it can
be broken off anywhere and begun again, and twice is the same as once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import structlog

from kpay.connectors.statements import RailWallet
from kpay.contradictions import store as contradictions
from kpay.contradictions.flow import alarm
from kpay.contradictions.model import What
from kpay.core.clock import Clock
from kpay.core.ids import Ids, parse_uuid
from kpay.database.pool import Connection, Database
from kpay.reconciliation import store
from kpay.reconciliation.model import (
    Cut,
    Finding,
    Ours,
    Standing,
    State,
    Theirs,
    changes,
    found_on,
    judge,
    midnight,
    settles,
)
from kpay.reconciliation.store import Claimed, Figures

_NOBODY = UUID(int=0)
_BEGINNING = midnight(date(2000, 1, 1))

log = structlog.get_logger(__name__)


class Matching:
    """One wallet's day, held against our books."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        claimed: Claimed,
        cut: Cut,
        providers: Sequence[str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._claimed = claimed
        self._cut = cut
        self._providers = providers

    async def match(self) -> Figures:
        """Judge all that the day touches. Returns what it came to."""
        agreed = await self._lines()
        await self._completed()
        await self._live()
        return await self._figures(agreed)

    async def _lines(self) -> int:
        """Every operation of the statement. Returns how many references agree."""
        after, agreed = 0, 0
        while rows := await store.lines(self._database, self._claimed, after):
            references = {row["reference"] for row in rows if row["reference"] is not None}
            agreed += await self._judge(sorted(references))
            await self._judge_unnamed(
                {
                    line_key(self._claimed.day, row["number"]): Theirs(row["amount"], 1)
                    for row in rows
                    if row["reference"] is None
                }
            )
            after = rows[-1]["number"]
        return agreed

    async def _completed(self) -> None:
        """Every operation that our books completed on the day."""
        between = self._cut.start, self._cut.end
        after = self._cut.start, _NOBODY
        while rows := await store.completed(
            self._database, self._claimed.place, between, self._providers, after
        ):
            await self._judge([row["reference"] for row in rows])
            after = rows[-1]["ended_at"], rows[-1]["id"]

    async def _live(self) -> None:
        """What was awaited or is open: the day may have brought the other side."""
        after = ""
        while keys := await store.live(self._database, self._claimed, after):
            references = {key: parse_uuid(key) for key in keys}
            await self._judge([one for one in references.values() if one is not None])
            after = keys[-1]

    async def _judge(self, references: Sequence[UUID]) -> int:
        """Judge some references by all that is known of them. Returns how many agree."""
        if not references:
            return 0
        theirs = await store.theirs(self._database, self._claimed, references)
        ours = await store.ours(self._database, self._claimed.place, self._providers, references)
        return await self._write(
            {str(one): (theirs.get(one, Theirs()), ours.get(one)) for one in references}
        )

    async def _judge_unnamed(self, lines: Mapping[str, Theirs]) -> None:
        """Operations by the rail's word that name no reference: nobody can know whose they are."""
        if lines:
            await self._write({key: (moved, None) for key, moved in lines.items()})

    async def _write(self, sides: Mapping[str, tuple[Theirs, Ours | None]]) -> int:
        """Write what is new of these; then say aloud what a person has to look at."""
        now = self._clock.now()
        opened: list[tuple[str, Finding]] = []
        held: list[tuple[str, What, Ours]] = []
        agreed = 0
        async with self._database.transaction() as connection:
            standing = await store.standing(connection, self._claimed.place, list(sides))
            for key, (theirs, ours) in sides.items():
                before = standing.get(key)
                finding = judge(theirs, ours, self._cut, found_on(before))
                agreed += finding.kind is None
                if await self._record(connection, key, before, (theirs, ours), finding, now):
                    opened.append((key, finding))
                what = await self._hold(connection, key, finding, ours, now)
                if what is not None and ours is not None:
                    held.append((key, what, ours))
            await store.judged(connection, self._claimed, list(standing))
        for key, finding in opened:
            self._tell(key, finding)
        for key, what, ours in held:
            connector = self._claimed.place.connector
            alarm(ours.book, ours.id, what, connector=connector, reference=UUID(key))
        return agreed

    async def _record(
        self,
        connection: Connection,
        key: str,
        before: Standing | None,
        sides: tuple[Theirs, Ours | None],
        finding: Finding,
        now: datetime,
    ) -> bool:
        """Whether a break has been opened by it."""
        theirs, ours = sides
        if settles(before, finding):
            note = f"Both sides agree with the day of {self._claimed.day}."
            await store.agree(connection, self._claimed, key, theirs.moved, note, now)
        if not changes(before, finding):
            return False
        await store.write(connection, self._claimed, key, self._ids.uuid(), finding, ours, now)
        return finding.state is State.OPEN

    async def _hold(
        self,
        connection: Connection,
        key: str,
        finding: Finding,
        ours: Ours | None,
        now: datetime,
    ) -> What | None:
        """Hold what the statement says against a settled operation. Returns what is new of it."""
        what = finding.contradiction
        if what is None or ours is None:
            return None
        evidence = {
            "statement": str(self._claimed.day),
            "wallet": wallet_name(self._claimed.place.wallet),
            "theirs": finding.theirs,
            "ours": finding.ours,
        }
        kept = await contradictions.keep(
            connection,
            ours.book,
            ours.id,
            what,
            reference=UUID(key),
            connector=self._claimed.place.connector,
            attempt=None,
            evidence=json.dumps(evidence),
            found_at=now,
        )
        return what if kept else None

    def _tell(self, key: str, finding: Finding) -> None:
        """Say loudly that a break was opened."""
        place = self._claimed.place
        log.error(
            "reconciliation_break",
            kind=finding.kind,
            connector=place.connector,
            environment=str(place.environment),
            wallet=wallet_name(place.wallet),
            day=str(self._claimed.day),
            key=key,
            theirs=finding.theirs,
            ours=finding.ours,
        )

    async def _figures(self, agreed: int) -> Figures:
        """What both sides held when the day began and when it ended.

        What a rail told after the first day has some of the next in it, which is known only now.
        """
        sums = await store.sums(self._database, self._claimed)
        first, last = await store.told(self._database, self._claimed)
        before = await store.before(self._database, self._claimed)
        correction = await store.moved_before_told(self._database, self._claimed)
        if before is None:
            # The first day: a rail that shows no balances has told one since, and nothing else.
            theirs = self._claimed.told_balance - sums["moved"] if first is None else first
            ours = await self._our_moves(_BEGINNING, self._cut.start)
        else:
            theirs, ours = before
            theirs -= correction
        moved = await self._our_moves(self._cut.start, self._cut.end)
        return Figures(
            opening_theirs=theirs,
            opening_ours=ours,
            closing_theirs=theirs + sums["moved"] if last is None else last,
            closing_ours=ours + moved,
            lines=sums["lines"],
            others=sums["others"],
            agreed=agreed,
            correction=correction,
        )

    async def _our_moves(self, since: datetime, until: datetime) -> int:
        return await store.our_moves(
            self._database, self._claimed.place, since, until, self._providers
        )


def line_key(day: date, number: int) -> str:
    """What a line without a reference is called."""
    return f"{day}/{number}"


def wallet_name(wallet: RailWallet) -> str:
    """CMR XAF, or CMR XAF MTN_MOMO_CMR."""
    return " ".join(filter(None, (wallet.country, wallet.currency, wallet.provider)))
