"""Tells whoever looks at a page that something it shows has changed. One for each process.

What is looked at is asked of the database, for all that look at once and no more often than once a
turn, and of nothing while nobody looks. So it is the same on every process, whichever of them made
the change, and what moves money writes nothing more for it. What has changed is not said: the page
is asked for anew, like any other, by whoever may see it then.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from uuid import UUID

import msgspec
import structlog

from kpay.core.book import Book
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import UNAVAILABLE, Database
from kpay.transactions import store
from kpay.transactions.model import Transaction
from kpay.transactions.store import State

# A page is told within so many seconds, and comes back after so many whether it was told or not:
# who has signed out since is then not let in.
_EVERY_SECONDS = 1.0
_LIFE_SECONDS = 10.0
# What one page can look at, and how many pages one process tells: of them all, and of one book, so
# that nobody keeps the news from others.
MOST_LOOKED_AT = 50
_MOST_VIEWERS = 1_000
_MOST_OF_BOOK = 100

log = structlog.get_logger(__name__)


class Watch(msgspec.Struct, frozen=True):
    """What a page shows that can change: these operations of a book, each `whole` or no more of it
    than its status, and whatever comes `newest` into the book's list.
    """

    book: Book
    ids: tuple[UUID, ...] = ()
    newest: bool = False
    whole: bool = False


class _Viewer:
    """A page that looks, and the mark that it had last."""

    def __init__(self, watch: Watch, seen: str) -> None:
        self.watch = watch
        self.mark = seen
        self.changed = asyncio.Event()
        self.over = False


class News:
    """Who looks at what, and what it looked like last."""

    def __init__(
        self,
        database: Database,
        *,
        every: float = _EVERY_SECONDS,
        life: float = _LIFE_SECONDS,
        most: int = _MOST_VIEWERS,
        most_of_book: int = _MOST_OF_BOOK,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """`ending` says whether the process is to end, and with it every answer that goes on."""
        self._database = database
        self._every = every
        self._life = life
        self._most = most
        self._most_of_book = most_of_book
        self._ending = ending
        self._viewers: set[_Viewer] = set()
        self._looking: asyncio.Task[None] | None = None

    async def state(self, book: Book) -> State | None:
        """How far a book has come, to be marked on a list that is read after this."""
        return (await store.newest(self._database, [book])).get(book)

    async def mark(self, watch: Watch) -> str:
        """What is looked at, as it stands now: read before the page is."""
        newest, states = await self._read([watch])
        return _mark(watch, newest, states)

    async def changes(self, watch: Watch, seen: str) -> AsyncGenerator[str, None]:
        """The mark of what is looked at, each time that it is another; at first than `seen`.

        Ends after some seconds.
        """
        viewer = _Viewer(watch, seen)
        self._viewers.add(viewer)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="news")
        ends = asyncio.get_running_loop().time() + self._life
        try:
            while True:
                # Each turn in a scope of its own: between two of them another task may go on.
                async with asyncio.timeout_at(ends):
                    await viewer.changed.wait()
                if viewer.over:
                    return
                viewer.changed.clear()
                yield viewer.mark
        except TimeoutError:
            return
        finally:
            self._viewers.discard(viewer)

    def check_room(self, book: Book) -> None:
        """Refuses: busy, where as many look as one process tells."""
        of_book = sum(viewer.watch.book == book for viewer in self._viewers)
        if len(self._viewers) >= self._most or of_book >= self._most_of_book:
            raise Refusal(
                Code.BUSY, "Too many pages wait for news here: reload to see what is new."
            )

    async def close(self) -> None:
        """Tell nobody any more."""
        self._end()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None

    async def _look(self) -> None:
        while self._viewers:
            try:
                await self._turn(list(self._viewers))
            except (Refusal, *UNAVAILABLE) as problem:
                log.info("no_news", problem=repr(problem))
            if self._ending():
                self._end()
                return
            await asyncio.sleep(self._every)

    def _end(self) -> None:
        """Let every answer come to its end."""
        for viewer in self._viewers:
            viewer.over = True
            viewer.changed.set()

    async def _turn(self, viewers: list[_Viewer]) -> None:
        newest, states = await self._read([viewer.watch for viewer in viewers])
        for viewer in viewers:
            mark = _mark(viewer.watch, newest, states)
            if mark != viewer.mark:
                viewer.mark = mark
                viewer.changed.set()

    async def _read(
        self, watches: list[Watch]
    ) -> tuple[Mapping[Book, State], Mapping[tuple[Book, UUID], State]]:
        """All that these look at: two statements, however many they are."""
        books = {watch.book for watch in watches if watch.newest}
        wanted = {(watch.book, one) for watch in watches for one in watch.ids}
        newest = await store.newest(self._database, books) if books else {}
        states = await store.states(self._database, list(wanted)) if wanted else {}
        return newest, states


def mark_of_list(state: State | None, shown: Iterable[Transaction]) -> tuple[tuple[UUID, ...], str]:
    """What a list has to look at of what it shows, and its mark."""
    open_ones = sorted((each.id, str(each.status)) for each in shown if each.is_open)
    ids = tuple(identifier for identifier, _ in open_ones)
    return ids, _hash(state, [(str(identifier), (status,)) for identifier, status in open_ones])


def _mark(
    watch: Watch, newest: Mapping[Book, State], states: Mapping[tuple[Book, UUID], State]
) -> str:
    seen: list[tuple[str, State]] = []
    for identifier in sorted(watch.ids):
        state = states.get((watch.book, identifier))
        if state is not None:
            seen.append((str(identifier), state if watch.whole else state[:1]))
    return _hash(newest.get(watch.book) if watch.newest else None, seen)


def _hash(*seen: object) -> str:
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
