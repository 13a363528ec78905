"""What can be asked about a wallet's past: its movements, and statements that add up.

Where a period begins and ends is looked up once, as places in the wallet's two chains. Between two
places nothing ever changes, so a statement of any length is whole and adds up however long it is
read for, and whatever is posted meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kpay.catalogue.model import Catalogue
from kpay.core.book import Book
from kpay.core.page import OF_FILE
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.ledger.model import Kind
from kpay.statements import store
from kpay.statements.chains import walk_backward, walk_onward
from kpay.statements.model import (
    NOTHING,
    Movement,
    Operation,
    Place,
    Standing,
    Told,
    Wanted,
)
from kpay.statements.operations import Teller

MOST_IN_JSON = 1_000

# How many movements are looked through for one page: with a filter that hardly any passes, a page
# ends early instead of late.
_MOST_SCANNED = 10_000
_AN_INSTANT = timedelta(microseconds=1)


class Statement(msgspec.Struct, frozen=True):
    """What a wallet held when a period began and when it ended; None is the beginning, and now."""

    book: Book
    country: str
    currency: str
    since: datetime | None
    until: datetime | None
    opening: Standing
    closing: Standing


class Page(msgspec.Struct, frozen=True):
    """Movements, newest first, and where the next page begins; None on the last one."""

    currency: str
    rows: list[Told]
    next: Place | None


class Statements:
    """The verbs of movements and statements."""

    def __init__(self, database: Database, catalogue: Catalogue, tellers: Sequence[Teller]) -> None:
        self._database = database
        self._catalogue = catalogue
        self._tellers = tellers
        self._of_kind = {kind: teller for teller in tellers for kind in teller.kinds}

    @property
    def told_kinds(self) -> frozenset[Kind]:
        """The kinds of entries whose operations are known to somebody."""
        return frozenset(self._of_kind)

    async def balances(
        self, book: Book, countries: Sequence[str], moments: Sequence[datetime]
    ) -> dict[str, list[int]]:
        """What each wallet held before each moment, as `Standing.balance` says it.

        However much was posted, it takes a few look-ups for each wallet and moment.
        """
        return await store.balances(self._database, book, countries, moments)

    async def open(
        self, book: Book, country: str, since: datetime | None, until: datetime | None
    ) -> Statement:
        """A statement from `since` on, before `until`. Refuses: unsupported_country, no_wallet."""
        now, currency = await self._standing(book, country)
        closing = await self._before(book, country, now, until)
        opening = NOTHING
        if since is not None:
            opening = await self._before(book, country, closing, since)
        return Statement(book, country, currency, since, until, opening, closing)

    async def lines(self, statement: Statement) -> AsyncGenerator[list[Told], None]:
        """A statement's movements, oldest first, some at a time.

        Raises ValueError where they do not lead from the opening balance to the closing one.
        """
        book, country, closing = statement.book, statement.country, statement.closing
        reached = statement.opening
        async for movements in _batches(
            walk_onward(self._database, book, country, reached, closing.place, size=OF_FILE)
        ):
            reached = movements[-1].after
            yield await self._tell(book, country, movements)
        if reached != closing:
            raise ValueError("a statement does not lead to its closing balance")

    async def short(self, statement: Statement) -> list[Told]:
        """All of a statement's movements at once. Refuses: statement_too_long."""
        begin, end = statement.opening.place, statement.closing.place
        told: list[Told] = []
        # Each line is of one movement, and a movement has one line of each chain at most.
        if max(end.wallet - begin.wallet, end.reserved - begin.reserved) <= MOST_IN_JSON:
            async for rows in self.lines(statement):
                told += rows
                if len(told) > MOST_IN_JSON:
                    break
            else:
                return told
        raise Refusal(
            Code.STATEMENT_TOO_LONG,
            f"This period has more than {MOST_IN_JSON:,} movements: ask for a shorter one, or for "
            f"CSV of any length at /api/wallets/{statement.country}/statement/export.",
        )

    async def page(
        self, book: Book, country: str, wanted: Wanted, cursor: Place | None, limit: int
    ) -> Page:
        """Movements before a cursor, newest first. A page can be short where a filter leaves out
        much; there are more as long as it says where the next one begins.

        Refuses: unsupported_country, no_wallet, invalid_parameter (a cursor that is not ours).
        """
        now, currency = await self._standing(book, country)
        start = now
        if cursor is not None:
            start = await self._at_cursor(book, country, now, cursor)
        kept: list[Movement] = []
        following: Place | None = None
        scanned = 0
        # What a filter leaves out is read as well, so a few at a time would be many times.
        size = limit + 1 if wanted.type is None else OF_FILE
        walk = self._walk(book, country, wanted, start, size=size)
        async with aclosing(walk):
            async for movement in walk:
                if wanted.type in (None, movement.type):
                    if len(kept) == limit:
                        following = kept[-1].before
                        break
                    kept.append(movement)
                scanned += 1
                if scanned == _MOST_SCANNED:
                    following = movement.before
                    break
        return Page(currency, await self._tell(book, country, kept), following)

    async def check(self, book: Book, country: str) -> str:
        """The currency of a wallet that is there. Refuses: unsupported_country, no_wallet."""
        _, currency = await self._standing(book, country)
        return currency

    async def all(
        self, book: Book, country: str, wanted: Wanted
    ) -> AsyncGenerator[list[Told], None]:
        """Every movement up to now, newest first, some at a time.

        Refuses: unsupported_country, no_wallet.
        """
        now, _ = await self._standing(book, country)
        async for movements in _batches(self._walk(book, country, wanted, now, size=OF_FILE)):
            passed = [each for each in movements if wanted.type in (None, each.type)]
            yield await self._tell(book, country, passed)

    async def _walk(
        self, book: Book, country: str, wanted: Wanted, start: Standing, *, size: int
    ) -> AsyncGenerator[Movement, None]:
        """From a standing back, through the period that is wanted, whatever the type."""
        start = await self._before(book, country, start, wanted.until)
        end = Place()
        if wanted.since is not None:
            end = await store.behind(self._database, book, country, start.place, wanted.since)
        if wanted.external_id is not None:
            movements = self._of_external_id(book, country, wanted.external_id, start, end)
        else:
            movements = walk_backward(
                self._database, book, country, start, end, size=min(size, OF_FILE)
            )
        async for movement in movements:
            yield movement

    async def _of_external_id(
        self, book: Book, country: str, external_id: str, start: Standing, end: Place
    ) -> AsyncGenerator[Movement, None]:
        """The movements of the operations that an externalId names, between two places."""
        named = {
            identifier
            for teller in self._tellers
            for identifier in await teller.named(book, external_id)
        }
        for moment in await store.moments_of(self._database, book, list(named)):
            # Whatever was posted at this moment, which may be more than was asked for.
            top = await self._before(book, country, start, moment + _AN_INSTANT)
            floor = await store.behind(self._database, book, country, top.place, moment)
            bottom = Place(max(floor.wallet, end.wallet), max(floor.reserved, end.reserved))
            async for movement in walk_backward(
                self._database, book, country, top, bottom, size=OF_FILE
            ):
                if movement.operation_id in named:
                    yield movement

    async def _standing(self, book: Book, country: str) -> tuple[Standing, str]:
        """What a wallet holds now. Refuses: unsupported_country, no_wallet."""
        self._catalogue.country(country, "country")
        found = await store.standing(self._database, book, country)
        if found is None:
            raise Refusal(
                Code.NO_WALLET,
                f"There is no wallet in {country}: collect a payment there first.",
            )
        return found

    async def _before(
        self, book: Book, country: str, upto: Standing, moment: datetime | None
    ) -> Standing:
        """What a wallet held just before a moment, if that was before a known standing."""
        if moment is None:
            return upto
        place = await store.behind(self._database, book, country, upto.place, moment)
        if place == upto.place:
            return upto
        found = await store.at_place(self._database, book, country, place)
        if found is None:
            raise ValueError("the moments of a wallet's lines are not in their order")
        return found

    async def _at_cursor(self, book: Book, country: str, now: Standing, cursor: Place) -> Standing:
        """The standing that a cursor means. Refuses: invalid_parameter."""
        found = None
        if cursor.wallet <= now.place.wallet and cursor.reserved <= now.place.reserved:
            found = await store.at_place(self._database, book, country, cursor)
        if found is None:
            raise Refusal(
                Code.INVALID_PARAMETER,
                "cursor must be the nextCursor of the page before, unchanged.",
            )
        return found

    async def _tell(self, book: Book, country: str, movements: Sequence[Movement]) -> list[Told]:
        """Movements with their operations, which are looked up by kind, all of one at once."""
        wanted: dict[int, tuple[Teller, set[UUID]]] = {}
        for movement in movements:
            teller = self._of_kind[movement.kind]
            wanted.setdefault(id(teller), (teller, set()))[1].add(movement.operation_id)
        known: dict[UUID, Operation] = {}
        for teller, ids in wanted.values():
            known.update(await teller.tell(book, country, list(ids)))
        return [Told(movement, known[movement.operation_id]) for movement in movements]


async def _batches(movements: AsyncIterable[Movement]) -> AsyncGenerator[list[Movement], None]:
    """As many at a time as are told at once."""
    batch: list[Movement] = []
    async for movement in movements:
        batch.append(movement)
        if len(batch) == OF_FILE:
            yield batch
            batch = []
    if batch:
        yield batch
