"""News for pages that are looked at: server-sent events that say only that there is something new.

A page carries the address of its news (`data-live`), and our script fetches the page anew when it
is told. Without the script nothing is told, and a page is as it was when it was asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from urllib.parse import urlencode
from uuid import UUID

from kpay.core.book import Book
from kpay.dashboard.page import PREFIX, Page, Reach, Visit, book_address
from kpay.people.model import Right
from kpay.transactions.model import Noun, Transaction, parse, spell
from kpay.transactions.news import MOST_LOOKED_AT, News, Watch, mark_of_list
from kpay.transactions.store import State
from kpay.web.streams import Stream

_OF, _NEWEST, _WHOLE, _SEEN = "of", "newest", "whole", "seen"
# How soon a browser comes back when an answer has ended or was broken off.
_AGAIN_AFTER_MS = 1_000


class Live:
    """The one address that every page of a book asks for its news."""

    def __init__(self, news: News) -> None:
        self._news = news

    def pages(self) -> list[Page]:
        address = f"{PREFIX}/app/{{application}}/{{environment}}/live"
        return [Page("GET", address, Reach.BOOK, self.tell, Right.VIEW_MONEY, active=False)]

    async def tell(self, visit: Visit) -> Stream:
        """Each change since what the page has seen. Refuses: busy."""
        self._news.check_room(visit.book)
        seen = visit.last_event or visit.query.get(_SEEN, "")
        changes = self._news.changes(_watch(visit), seen)
        return Stream(_events(changes))

    async def state(self, book: Book) -> State | None:
        """How far a book has come, to be read before its list is."""
        return await self._news.state(book)

    def of_list(
        self, book: Book, state: State | None, shown: Sequence[Transaction], *, newest: bool
    ) -> str:
        """The address of the news of a list, read after `state`; `newest` for its first page."""
        ids, mark = mark_of_list(state if newest else None, shown)
        names = {each.id: each.public_id for each in shown}
        return _address(Watch(book, ids, newest=newest), [names[one] for one in ids], mark)

    async def of_one(self, book: Book, noun: Noun, identifier: UUID) -> str:
        """The address of the news of a page about one transaction, which is read after this."""
        watch = Watch(book, (identifier,), whole=True)
        return _address(watch, [spell(noun, identifier)], await self._news.mark(watch))


def _address(watch: Watch, names: Iterable[str], mark: str) -> str:
    query = {_OF: ",".join(names), _SEEN: mark}
    if watch.newest:
        query[_NEWEST] = "1"
    if watch.whole:
        query[_WHOLE] = "1"
    return f"{book_address(watch.book, 'live')}?{urlencode(query, safe=',')}"


def _watch(visit: Visit) -> Watch:
    """What an address asks about; what none of ours says is about nothing."""
    names = visit.query.get(_OF, "").split(",")[:MOST_LOOKED_AT]
    ids: list[UUID] = [found[1] for name in names if (found := parse(name)) is not None]
    return Watch(visit.book, tuple(ids), newest=_NEWEST in visit.query, whole=_WHOLE in visit.query)


async def _events(changes: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    yield b"retry: %d\n\n" % _AGAIN_AFTER_MS
    async for mark in changes:
        yield f"id: {mark}\ndata: {mark}\n\n".encode()
