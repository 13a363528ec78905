"""The two clients: the same calls and the same conversation, driven by a thread or by asyncio."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, cast

import httpx

from kpay_client import _calls
from kpay_client._call import Call, Page, following
from kpay_client._core import (
    Alone,
    Core,
    Credentials,
    Patience,
    Send,
    Step,
    Talk,
    Wait,
    check_base_url,
)
from kpay_client._outcomes import Answered, Unanswered
from kpay_client.errors import KPayError

P = ParamSpec("P")
T = TypeVar("T")

VERSION = "0.1.0"
_HEADERS = {"User-Agent": f"kpay-client/{VERSION}"}
# What fails before a byte of the request has left.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Line:
    """What drives the conversations of a `KPay`, in the thread that calls."""

    def __init__(
        self, core: Core, http: httpx.Client, base_url: str, sleep: Callable[[float], None]
    ) -> None:
        self._core = core
        self._http = http
        self._base_url = base_url
        self._sleep = sleep
        self._alone = threading.Lock()

    def run(self, call: Call[T]) -> T:
        return self._drive(self._core.talk(call))

    def rows(self, call: Call[Page[T]]) -> Iterator[T]:
        """Every row of a list, page after page, each asked for when it is come to."""
        wanted: Call[Page[T]] | None = call
        while wanted is not None:
            page = self.run(wanted)
            yield from page.data
            wanted = following(wanted, page)

    def _drive(self, talk: Talk[T]) -> T:
        told: Any = None
        while True:
            try:
                step = talk.send(told)
            except StopIteration as end:
                return cast("T", end.value)
            told = self._do(step)

    def _do(self, step: Step) -> Any:
        if isinstance(step, Wait):
            return self._sleep(step.seconds)
        if isinstance(step, Alone):
            with self._alone:
                try:
                    return self._drive(step.talk)
                except KPayError as problem:
                    return problem
        try:
            return _answered(self._http.request(**_request(self._base_url, step)))
        except httpx.RequestError as problem:
            return _unanswered(problem)


class AsyncLine:
    """What drives the conversations of an `AsyncKPay`, in the event loop."""

    def __init__(
        self,
        core: Core,
        http: httpx.AsyncClient,
        base_url: str,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._core = core
        self._http = http
        self._base_url = base_url
        self._sleep = sleep
        self._alone = asyncio.Lock()

    async def run(self, call: Call[T]) -> T:
        return await self._drive(self._core.talk(call))

    async def rows(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """Every row of a list, page after page, each asked for when it is come to."""
        wanted: Call[Page[T]] | None = call
        while wanted is not None:
            page = await self.run(wanted)
            for row in page.data:
                yield row
            wanted = following(wanted, page)

    async def _drive(self, talk: Talk[T]) -> T:
        told: Any = None
        while True:
            try:
                step = talk.send(told)
            except StopIteration as end:
                return cast("T", end.value)
            told = await self._do(step)

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Wait):
            return await self._sleep(step.seconds)
        if isinstance(step, Alone):
            async with self._alone:
                try:
                    return await self._drive(step.talk)
                except KPayError as problem:
                    return problem
        try:
            return _answered(await self._http.request(**_request(self._base_url, step)))
        except httpx.RequestError as problem:
            return _unanswered(problem)


def _request(base_url: str, step: Send) -> dict[str, Any]:
    return {
        "method": step.method,
        "url": base_url + step.path,
        "headers": dict(step.headers),
        "content": step.content,
        "timeout": step.timeout,
    }


def _answered(response: httpx.Response) -> Answered:
    return Answered(response.status_code, dict(response.headers), response.content)


def _unanswered(problem: httpx.RequestError) -> Unanswered:
    return Unanswered(problem, arrived=not isinstance(problem, _NEVER_SENT))


# A method of a client is one of the functions in `_calls`, driven by the client's line. Four small
# descriptors say how, and keep the function's own signature for readers and type checkers.


class _HasLine(Protocol):
    @property
    def _line(self) -> Line: ...


class _HasAsyncLine(Protocol):
    @property
    def _line(self) -> AsyncLine: ...


class _Now(Generic[P, T]):
    """A method that returns the answer."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, owner: _HasLine, _class: type[Any]) -> Callable[P, T]:
        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner._line.run(self._build(*args, **kwargs))

        return method


class _Rows(Generic[P, T]):
    """A method that returns an iterator over every row."""

    def __init__(self, build: Callable[P, Call[Page[T]]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, owner: _HasLine, _class: type[Any]) -> Callable[P, Iterator[T]]:
        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return owner._line.rows(self._build(*args, **kwargs))

        return method


class _Soon(Generic[P, T]):
    """A method whose answer is awaited."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(
        self, owner: _HasAsyncLine, _class: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(self._build)
        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return await owner._line.run(self._build(*args, **kwargs))

        return method


class _RowsSoon(Generic[P, T]):
    """A method that returns an asynchronous iterator over every row."""

    def __init__(self, build: Callable[P, Call[Page[T]]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, owner: _HasAsyncLine, _class: type[Any]) -> Callable[P, AsyncIterator[T]]:
        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            return owner._line.rows(self._build(*args, **kwargs))

        return method


class _Group:
    def __init__(self, line: Line) -> None:
        self._line = line


class _AsyncGroup:
    def __init__(self, line: AsyncLine) -> None:
        self._line = line


class Payments(_Group):
    init = _Now(_calls.init_payment)
    get = _Now(_calls.get_payment)
    list = _Rows(_calls.list_payments)
    refund = _Now(_calls.refund_payment)


class AsyncPayments(_AsyncGroup):
    init = _Soon(_calls.init_payment)
    get = _Soon(_calls.get_payment)
    list = _RowsSoon(_calls.list_payments)
    refund = _Soon(_calls.refund_payment)


class Withdrawals(_Group):
    create = _Now(_calls.create_withdrawal)
    get = _Now(_calls.get_withdrawal)
    list = _Rows(_calls.list_withdrawals)
    cancel = _Now(_calls.cancel_withdrawal)


class AsyncWithdrawals(_AsyncGroup):
    create = _Soon(_calls.create_withdrawal)
    get = _Soon(_calls.get_withdrawal)
    list = _RowsSoon(_calls.list_withdrawals)
    cancel = _Soon(_calls.cancel_withdrawal)


class Transfers(_Group):
    create = _Now(_calls.create_transfer)
    get = _Now(_calls.get_transfer)
    list = _Rows(_calls.list_transfers)


class AsyncTransfers(_AsyncGroup):
    create = _Soon(_calls.create_transfer)
    get = _Soon(_calls.get_transfer)
    list = _RowsSoon(_calls.list_transfers)


class Wallets(_Group):
    overview = _Now(_calls.overview)


class AsyncWallets(_AsyncGroup):
    overview = _Soon(_calls.overview)


class Events(_Group):
    list = _Rows(_calls.list_events)


class AsyncEvents(_AsyncGroup):
    list = _RowsSoon(_calls.list_events)


class KPay:
    """A client for threads: every method waits for its answer. Safe to share between threads.

    `api_key` and `secret_key` are one pair; `base_url` is such as https://pay.example.com. Use it
    as a context manager, or call `close`. `transport`, `sleep`, `clock` (monotonic seconds) and
    `now` (the wall clock, with its zone) are there for tests.
    """

    me = _Now(_calls.me)
    balance = _Now(_calls.balance)
    exchange_rate = _Now(_calls.exchange_rate)
    predict_provider = _Now(_calls.predict_provider)
    availability = _Now(_calls.availability)
    platform_info = _Now(_calls.platform_info)

    def __init__(
        self,
        api_key: str,
        secret_key: str,
        *,
        base_url: str,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _wall_clock,
    ) -> None:
        self._base_url = check_base_url(base_url)
        core = Core(Credentials(api_key, secret_key), patience or Patience(), clock, now)
        self._http = httpx.Client(transport=transport, headers=_HEADERS)
        self._line = line = Line(core, self._http, self._base_url, sleep)
        self.payments = Payments(line)
        self.withdrawals = Withdrawals(line)
        self.transfers = Transfers(line)
        self.wallets = Wallets(line)
        self.events = Events(line)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"KPay(base_url={self._base_url!r})"


class AsyncKPay:
    """A client for asyncio: every method is awaited, every list is read with `async for`.

    As `KPay` otherwise; use it as an asynchronous context manager, or await `close`.
    """

    me = _Soon(_calls.me)
    balance = _Soon(_calls.balance)
    exchange_rate = _Soon(_calls.exchange_rate)
    predict_provider = _Soon(_calls.predict_provider)
    availability = _Soon(_calls.availability)
    platform_info = _Soon(_calls.platform_info)

    def __init__(
        self,
        api_key: str,
        secret_key: str,
        *,
        base_url: str,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _wall_clock,
    ) -> None:
        self._base_url = check_base_url(base_url)
        core = Core(Credentials(api_key, secret_key), patience or Patience(), clock, now)
        self._http = httpx.AsyncClient(transport=transport, headers=_HEADERS)
        self._line = line = AsyncLine(core, self._http, self._base_url, sleep)
        self.payments = AsyncPayments(line)
        self.withdrawals = AsyncWithdrawals(line)
        self.transfers = AsyncTransfers(line)
        self.wallets = AsyncWallets(line)
        self.events = AsyncEvents(line)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_problem: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncKPay(base_url={self._base_url!r})"
