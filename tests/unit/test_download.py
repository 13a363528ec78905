"""A file is sent as it is taken; what goes wrong once it has begun leaves it without an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Download, Guard, Reply, Route
from kpay.web.download import Begun, begin_download, send_download


async def nothing(_call: object) -> Reply:
    raise AssertionError


ROUTE = Route("GET", "/file", "A file", Guard.KEYS, nothing, str, media="text/csv; charset=utf-8")


class Client:
    """Takes what it is sent, up to `takes` parts; then it waits for ever, or has gone."""

    def __init__(self, takes: int = 1_000, *, leaves: bool = False) -> None:
        self.got: list[dict[str, Any]] = []
        self._takes = takes
        self._leaves = leaves
        self._gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.got) <= self._takes:
            self.got.append(message)
        elif self._leaves:
            # A server takes what nobody reads, and says so elsewhere.
            self._gone.set()
            await asyncio.sleep(0)
        else:
            await asyncio.Event().wait()

    @property
    def data(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)

    @property
    def has_whole(self) -> bool:
        return self.got[-1].get("more_body", False) is False


class File:
    """A file of so many parts that says how many were made, and whether it was let go of."""

    def __init__(
        self, parts: int, *, breaks_at: int | None = None, problem: Exception | None = None
    ) -> None:
        self.made = 0
        self.closed = False
        self._parts = parts
        self._breaks_at = breaks_at
        self._problem = problem or RuntimeError("a defect")

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(self._parts):
                if number == self._breaks_at:
                    raise self._problem
                self.made += 1
                yield b"%d," % number
        finally:
            self.closed = True

    async def begun(self) -> Begun:
        return await begin_download(Download(self.parts(), "some.csv"), ROUTE)


async def test_a_file_is_sent_whole_with_its_name() -> None:
    file, client = File(3), Client()
    await send_download(await file.begun(), client.receive, client.send, "req_1")

    assert client.data == b"0,1,2,"
    assert client.has_whole
    start = client.got[0]
    assert start["status"] == 200
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"text/csv; charset=utf-8"
    assert headers[b"content-disposition"] == b'attachment; filename="some.csv"'
    assert headers[b"x-request-id"] == b"req_1"
    assert headers[b"cache-control"] == b"no-store"


async def test_an_empty_file_is_a_file() -> None:
    client = Client()
    await send_download(await File(0).begun(), client.receive, client.send, "req_1")

    assert (client.data, client.has_whole) == (b"", True)


async def test_what_is_refused_before_the_first_part_is_a_refusal() -> None:
    file = File(1, breaks_at=0, problem=Refusal(Code.NO_WALLET, "There is no wallet."))

    with pytest.raises(Refusal, match="no wallet"):
        await file.begun()


async def test_what_goes_wrong_in_the_middle_leaves_the_file_without_its_end() -> None:
    file, client = File(5, breaks_at=2), Client()
    await send_download(await file.begun(), client.receive, client.send, "req_1")

    assert client.data == b"0,1,"
    assert not client.has_whole
    assert file.closed


async def test_nothing_more_is_made_once_the_client_has_gone() -> None:
    file, client = File(1_000), Client(takes=3, leaves=True)
    await send_download(await file.begun(), client.receive, client.send, "req_1")

    assert file.made < 8
    assert file.closed


async def test_a_part_is_made_when_the_one_before_was_taken_and_not_waited_for_without_end() -> (
    None
):
    file, client = File(1_000), Client(takes=3)
    begun = await file.begun()
    sending = send_download(begun, client.receive, client.send, "req_1", taken_within=0.05)
    await sending

    assert file.made == 4
    assert not client.has_whole
    assert file.closed
