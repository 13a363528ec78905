"""Statements of a wallet: asked for, made a moment later, told by callback, fetched as CSV.

The columns are those that pawaPay's own kit lists; it says that they can change.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from kpay.core.clock import Clock
from kpay.core.money import Money, rail_text
from kpay.rail_simulator import wire
from kpay.rail_simulator.agenda import Agenda
from kpay.rail_simulator.books import Books, Line, Place
from kpay.rail_simulator.callbacks import Courier
from kpay.rail_simulator.wire import Fault

MOST_DAYS = 31
URL_LIFE = timedelta(days=1)
_MADE_AFTER_SECONDS = 1
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
COLUMNS = (
    "Transaction ID",
    "Transaction Type",
    "Status",
    "Currency",
    "Amount",
    "Fee",
    "Net Amount",
    "Customer Phone Number",
    "Provider",
    "Client Reference",
    "Created At",
    "Completed At",
    "Provider Transaction ID",
)


class Statement(msgspec.Struct):
    """One that was asked for; `file` is there when it is made."""

    id: str
    place: Place
    since: datetime
    until: datetime
    compressed: bool
    callback_url: str
    created: datetime
    completed: datetime | None = None
    file: bytes | None = None

    @property
    def file_name(self) -> str:
        return f"{self.id}.csv.gz" if self.compressed else f"{self.id}.csv"


class Statements:
    """The statements of one account, by their ids."""

    def __init__(self, clock: Clock, agenda: Agenda, courier: Courier, books: Books) -> None:
        self._clock = clock
        self._agenda = agenda
        self._courier = courier
        self._books = books
        self._all: dict[str, Statement] = {}

    def request(self, body: bytes, origin: str) -> dict[str, Any]:
        """Make one, soon. Faults: INVALID_CALLBACK_URL, INVALID_DATE_RANGE, WALLET_NOT_FOUND, …"""
        made = self._read(wire.parse(body))
        self._all[made.id] = made

        def make() -> None:
            made.file = csv_of(self._books.lines, made)
            made.completed = self._clock.now()
            self._courier.send(made.callback_url, self._shown(made, origin), made.id)

        self._agenda.after(_MADE_AFTER_SECONDS, make)
        return {
            "statementId": made.id,
            "status": "ACCEPTED",
            "created": wire.seconds(made.created),
        }

    def status(self, identifier: str, origin: str) -> dict[str, Any]:
        made = self._all.get(identifier)
        if made is None:
            return {"status": "NOT_FOUND"}
        return {"status": "FOUND", "data": self._shown(made, origin)}

    def file(self, name: str) -> bytes | None:
        """What is behind a downloadUrl, which is as secret as its id."""
        made = self._all.get(name.partition(".")[0])
        return made.file if made is not None and made.file_name == name else None

    def _shown(self, made: Statement, origin: str) -> dict[str, Any]:
        said: dict[str, Any] = {
            "statementId": made.id,
            "status": "PROCESSING" if made.file is None else "COMPLETED",
            "wallet": {"country": made.place.country, "currency": made.place.currency},
            "created": wire.seconds(made.created),
            "startDate": wire.seconds(made.since),
            "endDate": wire.seconds(made.until),
        }
        if made.file is not None and made.completed is not None:
            said |= {
                "fileSize": len(made.file),
                "downloadUrl": f"{origin}/v2/statements/files/{made.file_name}",
                "downloadUrlExpiresAt": wire.seconds(self._clock.now() + URL_LIFE),
                "completedAt": wire.seconds(made.completed),
            }
        return said

    def _read(self, said: Any) -> Statement:
        try:
            asked = msgspec.convert(said, _Asked)
        except msgspec.ValidationError as problem:
            raise wire.invalid(str(problem)) from None
        place = Place(asked.wallet.country, asked.wallet.currency)
        if place not in self._books.wallets or asked.wallet.provider:
            raise Fault(400, "WALLET_NOT_FOUND", "There is no such wallet on this account.")
        url = urlsplit(asked.callbackUrl)
        # Plain HTTP is taken on this machine, where nobody has a certificate.
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
            raise Fault(400, "INVALID_CALLBACK_URL", "The callbackUrl must be a URL of https.")
        since, until = _utc(asked.startDate), _utc(asked.endDate)
        if not since < until <= since + timedelta(days=MOST_DAYS):
            raise Fault(
                400, "INVALID_DATE_RANGE", f"endDate must be at most {MOST_DAYS} days after start."
            )
        now = self._clock.now()
        text = f"{place}/{since}/{until}/{now}/{len(self._all)}"
        identifier = UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4)
        return Statement(
            str(identifier), place, since, until, asked.compressed, asked.callbackUrl, now
        )


class _Wallet(msgspec.Struct, forbid_unknown_fields=True):
    country: str
    currency: str
    provider: str | None = None


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    wallet: _Wallet
    callbackUrl: str  # noqa: N815  as it is spelled on the wire
    startDate: datetime  # noqa: N815
    endDate: datetime  # noqa: N815
    compressed: bool = False


def csv_of(lines: Iterable[Line], wanted: Statement) -> bytes:
    """The movements of a wallet from one moment to another, the second one not in.

    Amounts have no sign, the type says the direction; the net amount is what the wallet moved by.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for line in lines:
        if line.place == wanted.place and wanted.since <= line.at < wanted.until:
            writer.writerow(_row(line))
    made = text.getvalue().encode()
    return gzip.compress(made, mtime=0) if wanted.compressed else made


def _row(line: Line) -> list[str]:
    operation, currency = line.operation, line.place.currency
    amount, fee = _spelled(abs(line.moved), currency), _spelled(line.fee, currency)
    net = _spelled(line.moved - line.fee, currency)
    if operation is None:
        moment = wire.seconds(line.at)
        usual = ["", "TOPUP", "COMPLETED", currency, amount, fee, net]
        return [*usual, "", "", "", moment, moment, ""]
    order = operation.order
    return [
        order.id,
        str(order.type),
        str(operation.status),
        currency,
        amount,
        fee,
        net,
        order.phone_number,
        order.provider,
        order.client_reference or "",
        wire.seconds(operation.created),
        wire.seconds(line.at),
        wire.transaction_id(operation),
    ]


def _spelled(minor: int, currency: str) -> str:
    return rail_text(Money(minor, currency))


def _utc(moment: datetime) -> datetime:
    """Without an offset it is UTC, as its own examples are written."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
