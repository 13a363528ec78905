"""Walking along a wallet's two chains, a page of lines at a time, from either end.

Nothing is held between two pages: no connection, no transaction, no snapshot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator

from kpay.core.book import Book
from kpay.database.pool import Database
from kpay.ledger.movements import reserved, wallet
from kpay.statements import store
from kpay.statements.model import Line, Movement, Place, Standing, backward, onward


async def walk_onward(
    database: Database, book: Book, country: str, start: Standing, end: Place, *, size: int
) -> AsyncGenerator[Movement, None]:
    """Every movement from a place on, up to another, oldest first; `size` lines are read at once.

    Raises ValueError where the lines do not add up to the balances that they record.
    """
    place = start.place
    own = _Chain(database, book, wallet(country), place.wallet, end.wallet, size, onward=True)
    held = _Chain(
        database, book, reserved(country), place.reserved, end.reserved, size, onward=True
    )
    standing = start
    while movement := onward(standing, await own.first(), await held.first()):
        own.drop(movement.after.place.wallet - standing.place.wallet)
        held.drop(movement.after.place.reserved - standing.place.reserved)
        standing = movement.after
        yield movement


async def walk_backward(
    database: Database, book: Book, country: str, start: Standing, end: Place, *, size: int
) -> AsyncGenerator[Movement, None]:
    """Every movement before a place, down to another, newest first; `size` lines are read at once.

    Raises ValueError where the lines do not add up to the balances that they record.
    """
    place = start.place
    own = _Chain(database, book, wallet(country), end.wallet, place.wallet, size, onward=False)
    held = _Chain(
        database, book, reserved(country), end.reserved, place.reserved, size, onward=False
    )
    standing = start
    while movement := backward(standing, await own.first(), await held.first()):
        own.drop(standing.place.wallet - movement.before.wallet)
        held.drop(standing.place.reserved - movement.before.reserved)
        standing = Standing(
            movement.before,
            standing.available - movement.change + movement.reserved_change,
            standing.reserved - movement.reserved_change,
        )
        yield movement


class _Chain:
    """The lines of one account between two places, fetched when they are wanted."""

    def __init__(
        self,
        database: Database,
        book: Book,
        account: str,
        after: int,
        upto: int,
        size: int,
        *,
        onward: bool,
    ) -> None:
        self._database = database
        self._book = book
        self._account = account
        self._after = after
        self._upto = upto
        self._size = size
        self._onward = onward
        self._lines: deque[Line] = deque()

    async def first(self) -> Line | None:
        """The next line, or None at the end."""
        if not self._lines and self._after < self._upto:
            await self._fetch()
        return self._lines[0] if self._lines else None

    def drop(self, count: int) -> None:
        """Let go of the next line, if it was used."""
        if count:
            self._lines.popleft()

    async def _fetch(self) -> None:
        found = await store.lines(
            self._database,
            self._book,
            self._account,
            self._after,
            self._upto,
            self._size,
            onward=self._onward,
        )
        if not found:
            raise ValueError(f"lines of {self._account} are missing")
        self._lines.extend(found)
        if self._onward:
            self._after = found[-1].version
        else:
            self._upto = found[-1].version - 1
