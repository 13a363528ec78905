"""Statements: a wallet's day is ordered, made by pawaPay in its time, and read from a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date, timedelta
from typing import Any

from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.pawapay.sheet import Sheet
from kpay.connectors.statements import Line, NotReady, RailWallet, TicketLost
from kpay.connectors.tables import read_rows, unpack
from kpay.connectors.wire import Answer, NoAnswer, NoFile
from kpay.core.ids import parse_uuid

_PATH = "/v2/statements"
_BEING_MADE = frozenset({"ACCEPTED", "ENQUEUED", "PROCESSING"})
# Some millions of rows: more than a wallet moves in a day.
_LARGEST_FILE = 256 * 1024 * 1024
_LARGEST_TABLE = 1024 * 1024 * 1024


async def order_statement(
    client: PawapayClient, wallet: RailWallet, day: date, callback_url: str
) -> str:
    """Have a day of UTC made, packed: so a file that broke off cannot pass for a whole one.

    pawaPay wants to tell where it calls back; what it says there is not waited for.
    """
    wanted = {
        "wallet": _wallet(wallet),
        "callbackUrl": callback_url,
        "startDate": f"{day}T00:00:00Z",
        "endDate": f"{day + timedelta(days=1)}T00:00:00Z",
        "compressed": True,
    }
    answer = await client.post(_PATH, wanted)
    said = answer.read_object()
    ticket = parse_uuid(str(said.get("statementId")))
    if answer.status != 200 or said.get("status") != "ACCEPTED" or ticket is None:
        raise NoAnswer(f"a statement could not be ordered: {_why(answer, said)}")
    return str(ticket)


async def read_statement(
    client: PawapayClient, wallet: RailWallet, day: date, ticket: str
) -> AsyncGenerator[Line, None]:
    """The lines in the order of the file. Raises NotReady, TicketLost and NoAnswer."""
    url = await _find(client, wallet, ticket)
    sheet: Sheet | None = None
    try:
        async with (
            aclosing(client.download(url, _LARGEST_FILE)) as file,
            aclosing(unpack(file, _LARGEST_TABLE)) as table,
            aclosing(read_rows(table)) as rows,
        ):
            async for row in rows:
                if sheet is None:
                    sheet = Sheet(row, wallet, day)
                    continue
                for line in sheet.read(row):
                    yield line
    except NoFile as problem:
        # It is kept for a while only.
        raise TicketLost(str(problem)) from None
    if sheet is None:
        raise NoAnswer("the statement is empty, without even a header")


async def _find(client: PawapayClient, wallet: RailWallet, ticket: str) -> str:
    """Where the file is."""
    answer = await client.get(f"{_PATH}/{ticket}")
    said = answer.read_object()
    data = said.get("data")
    if answer.status == 200 and said.get("status") == "NOT_FOUND":
        raise TicketLost("pawaPay does not know the statement any more")
    if answer.status != 200 or said.get("status") != "FOUND" or not isinstance(data, dict):
        raise NoAnswer(f"the statement cannot be asked about: {_why(answer, said)}")
    url = data.get("downloadUrl")
    match data.get("status"):
        case "FAILED":
            raise TicketLost(f"pawaPay could not make the statement: {_why(answer, data)}")
        case str() as status if status in _BEING_MADE:
            raise NotReady
        case "COMPLETED" if not _is_of(data, wallet, ticket):
            raise NoAnswer("the statement is another one than was ordered")
        case "COMPLETED" if isinstance(url, str):
            return url
        case _:
            raise NoAnswer("the answer about the statement cannot be understood")


def _is_of(data: dict[str, Any], wallet: RailWallet, ticket: str) -> bool:
    told = data.get("wallet")
    if data.get("statementId") != ticket or not isinstance(told, dict):
        return False
    return all(told.get(name) == text for name, text in _wallet(wallet).items())


def _wallet(wallet: RailWallet) -> dict[str, str]:
    """One provider's wallet has its name; a country's has none."""
    named = {"country": wallet.country, "currency": wallet.currency}
    return named if wallet.provider is None else {**named, "provider": wallet.provider}


def _why(answer: Answer, said: dict[str, Any]) -> str:
    reason = said.get("failureReason")
    code = reason.get("failureCode") if isinstance(reason, dict) else None
    return f"{answer.status} {str(code)[:60]}" if code else str(answer.status)
