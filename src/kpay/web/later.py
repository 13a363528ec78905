"""An ASGI application that is made when somebody first comes to it.

What it needs is loaded on a thread: others' requests go on meanwhile, and only those that came for
it wait. One that could not be made is tried again by whoever comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kpay.web.api import AsgiApplication
from kpay.web.endpoint import Receive, Scope, Send


class Later:
    """`load` is called on a thread, then `make` where requests are served; each once."""

    def __init__(self, load: Callable[[], None], make: Callable[[], AsgiApplication]) -> None:
        self._load = load
        self._make = make
        self._made: AsgiApplication | None = None
        self._making: asyncio.Task[AsgiApplication] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            if self._making is None:
                self._making = asyncio.create_task(self._begin())
            # Shielded: whoever goes away must not take along what the others wait for.
            made = await asyncio.shield(self._making)
        else:
            made = self._made
        await made(scope, receive, send)

    async def _begin(self) -> AsgiApplication:
        try:
            await asyncio.to_thread(self._load)
            self._made = self._make()
        finally:
            self._making = None
        return self._made
