"""Many operations at once, with every answer counted: the kill comes at a count, not at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from soak.client import Client, NotSentError
from soak.journal import CREATED, OK, Answer, Defect, Journal, Record
from soak.operations import Wanted, refund_of

_AT_ONCE = 32
# What a client leaves between two tries while the service is away.
_AGAIN_SECONDS = 0.1
# So many payments are acknowledged before the first of them is given back: it is complete by then,
# unless something was killed.
_PAID_BEFORE = 40


class Load:
    """Sends what `operations` yields, from the moment it is entered until it is left.

    `to_refund` are payments that are to be given back, and outlive one load.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        operations: Iterator[Wanted],
        to_refund: deque[Record],
    ) -> None:
        self._to_refund = to_refund
        self._client = client
        self._journal = journal
        self._operations = operations
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._answers = self._created = 0
        self._act_at = -1
        self._act: Callable[[], None] = lambda: None
        self._changed = asyncio.Condition()

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._play()) for _ in range(_AT_ONCE)]

    async def stop(self, seconds: float) -> None:
        """Take up nothing new, and wait for what was begun."""
        self._stopping = True
        done, late = await asyncio.wait(self._tasks, timeout=seconds)
        await asyncio.gather(*done)
        if late:
            raise Defect(f"{len(late)} clients have no answer after {seconds} seconds")

    def cancel(self) -> None:
        """Give up at once: something was found."""
        for task in self._tasks:
            task.cancel()

    async def act_after(self, answers: int, act: Callable[[], None], seconds: float) -> None:
        """Do something in the very moment in which so many more answers have come."""
        done = asyncio.Event()

        def acted() -> None:
            act()
            done.set()

        self._act, self._act_at = acted, self._answers + answers
        await self._while_loading(done.wait(), seconds)

    async def acknowledged(self, more: int, seconds: float) -> None:
        """Wait until so many more operations have been acknowledged."""
        goal = self._created + more

        async def reached() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self._created >= goal)

        await self._while_loading(reached(), seconds)

    async def _while_loading(self, waited: Coroutine[Any, Any, object], seconds: float) -> None:
        """Wait for something, unless the load itself finds a defect before."""
        waiting = asyncio.create_task(waited)
        try:
            done, _ = await asyncio.wait(
                {waiting, *self._tasks}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        for task in done - {waiting}:
            await task
        if not done:
            raise Defect(f"{self._answers} answers came, and then too few in {seconds} seconds")

    async def _play(self) -> None:
        while not self._stopping:
            record = await self._next()
            await self.settle(record)
            if record.acknowledged is None:
                continue
            if record.wanted.is_recalled:
                await self._recall(record)
            if record.wanted.is_repeated:
                await self._repeat(record)
            if record.wanted.is_refunded:
                self._to_refund.append(record)

    async def _next(self) -> Record:
        """A refund, if enough payments wait for theirs that the first is complete; else any."""
        if len(self._to_refund) >= _PAID_BEFORE:
            paid = self._to_refund.popleft()
            if await self._is_complete(paid):
                return self._journal.open(refund_of(paid.wanted, paid.id or ""))
            self._to_refund.append(paid)
        return self._journal.open(next(self._operations))

    async def _is_complete(self, paid: Record) -> bool:
        try:
            answer = await self._client.look_at_payment(paid.wanted.merchant, paid.id or "")
        except NotSentError:
            return False
        return answer.status == OK and answer.body["status"] == "COMPLETED"

    async def settle(self, record: Record, *, surely: bool = False) -> None:
        """Send one operation until its answer decides it; an impatient merchant tries once."""
        await self._ask(
            lambda: self._client.send(record.wanted),
            record.add,
            patiently=surely or record.wanted.is_patient,
        )

    async def _repeat(self, record: Record) -> None:
        """Send it once more with its key: nobody may do it again, even where it has failed."""
        await self._ask(
            lambda: self._client.send(record.wanted), record.add_repeat, patiently=False
        )

    async def _recall(self, record: Record) -> None:
        wanted, identifier = record.wanted, record.id or ""
        await self._ask(
            lambda: self._client.recall(wanted.merchant, identifier),
            record.add_recall,
            patiently=wanted.is_patient,
        )

    async def _ask(
        self,
        send: Callable[[], Awaitable[Answer]],
        keep: Callable[[Answer], None],
        *,
        patiently: bool,
    ) -> None:
        while True:
            try:
                answer = await send()
            except NotSentError:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            keep(answer)
            await self._count(answer.status)
            if answer.is_decided:
                return
            await asyncio.sleep(_AGAIN_SECONDS)
            if not patiently:
                return

    async def _count(self, status: int) -> None:
        if not status:
            return
        self._answers += 1
        if self._answers == self._act_at:
            self._act()
        self._created += status == CREATED
        async with self._changed:
            self._changed.notify_all()
