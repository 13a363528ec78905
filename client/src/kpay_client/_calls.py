"""Every call there is, as plain data: nothing here sends anything.

A function for each method of the clients checks its arguments and builds a `Call`; both clients
offer the same functions, so their signatures and these docstrings are what a reader sees there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

from kpay_client._reading import Unreadable, read
from kpay_client.answers import (
    AccessToken,
    CountryAvailability,
    Event,
    ExchangeRate,
    Me,
    Overview,
    Payment,
    PlatformInfo,
    Prediction,
    Refund,
    Transfer,
    Wallet,
    Withdrawal,
)

T = TypeVar("T")
C = TypeVar("C", bound="_Dated")

Amount: TypeAlias = Decimal | int

DRAWN_PREFIX = "kpay-client-"
"""How an externalId begins that this client drew because the caller gave none."""

_PAYMENTS = "/api/v1/payments"
_WALLETS = "/api/wallets"
# By how much the clocks of a server's machines, and of what stands before them, may differ.
_CLOCKS_APART = timedelta(seconds=30)
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]+\Z")


class Guard(Enum):
    """What a call shows of its caller: nothing, the key pair, or a token given for it."""

    PUBLIC = "public"
    KEYS = "keys"
    TOKEN = "token"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read.

    `write` is there where the request changes something. `own_application` asks for the keys' own
    application to be filled in as `applicationId`.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    guard: Guard = Guard.KEYS
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    write: Write[T] | None = None
    own_application: bool = False

    @property
    def address(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Write(Generic[T]):
    """What lets a request that changes something be sent again after its answer was lost.

    When the first one arrived, the second is refused with the code `refused_as`, and `look` builds
    the call that shows what exists, by the refusal's `existingId` or by `known_id`. `is_own` says
    whether that is the work of a call that began at the given moment of the server's clock.
    """

    refused_as: str
    look: Callable[[str], Call[T]]
    is_own: Callable[[T, datetime], bool]
    external_id: str | None = None
    known_id: str | None = None
    idempotency_key: str = field(default_factory=lambda: str(uuid4()))


class _Dated(Protocol):
    """What was created at some moment."""

    @property
    def created_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and the cursor of the next one."""

    data: list[T]
    next_cursor: str | None


# Who am I, and what is there


def me() -> Call[Me]:
    """Whom the keys belong to."""
    return _get(f"{_PAYMENTS}/me", Me)


def token() -> Call[AccessToken]:
    """A token for the wallets. Many may be in force at once, so asking twice harms nothing."""
    return Call("POST", f"{_PAYMENTS}/token", _one(AccessToken), body={})


def balance() -> Call[list[Wallet]]:
    """What each wallet holds."""
    return Call("GET", f"{_PAYMENTS}/balance", _each(Wallet))


def overview() -> Call[Overview]:
    """What each wallet holds, with whose they are."""
    return Call("GET", f"{_WALLETS}/overview", _one(Overview), Guard.TOKEN)


def exchange_rate(source: str, target: str) -> Call[ExchangeRate]:
    """Units of the currency `target` for one of `source`, as a conversion now would use it."""
    return Call(
        "GET",
        f"{_PAYMENTS}/exchange-rate",
        _one(ExchangeRate),
        query={"from": source, "to": target},
    )


def predict_provider(phone_number: str) -> Call[Prediction]:
    """The operator that most likely serves a number."""
    return Call(
        "POST",
        f"{_PAYMENTS}/predict-provider",
        _one(Prediction),
        body={"phoneNumber": phone_number},
    )


def availability() -> Call[list[CountryAvailability]]:
    """Which operators are open, by country."""
    return Call("GET", f"{_PAYMENTS}/availability", _each(CountryAvailability))


def platform_info() -> Call[PlatformInfo]:
    """The usual fees and bounds."""
    return Call("GET", "/api/public/platform-info", _one(PlatformInfo), Guard.PUBLIC)


def list_events(*, page_size: int | None = None) -> Call[Page[Event]]:
    """What happened to payments and withdrawals, newest first."""
    return _listing(f"{_PAYMENTS}/events", Event, Guard.KEYS, {"limit": page_size})


# Payments


def init_payment(
    *,
    amount: Amount,
    provider: str | None = None,
    phone_number: str | None = None,
    external_id: str | None = None,
    return_url: str | None = None,
    cancel_url: str | None = None,
    currency: str | None = None,
    description: str | None = None,
    customer_name: str | None = None,
    customer_email: str | None = None,
    payment_method: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Call[Payment]:
    """Ask a payer for money: on the phone, or with `return_url` on the hosted page.

    Without `external_id` one is drawn, which the answer and every error tell. Tried again where
    that is safe: at most one payment is made.
    """
    used, drawn = _own_or_drawn(external_id)
    body = _given(
        amount=_exact(amount),
        provider=provider,
        phoneNumber=phone_number,
        externalId=used,
        returnUrl=return_url,
        cancelUrl=cancel_url,
        currency=currency,
        description=description,
        customerName=customer_name,
        customerEmail=customer_email,
        paymentMethod=payment_method,
        metadata=metadata,
    )
    write = _creation(used, drawn, get_payment, lambda found: _agrees(body, found.raw))
    return Call("POST", f"{_PAYMENTS}/init", _one(Payment), body=body, write=write)


def get_payment(payment_id: str) -> Call[Payment]:
    """One payment, with all that is known of it."""
    return _get(f"{_PAYMENTS}/{_safe(payment_id)}", Payment)


def list_payments(
    *,
    external_id: str | None = None,
    status: str | None = None,
    country: str | None = None,
    provider: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[Payment]]:
    """The payments, newest first, from `since` and before `until`."""
    query = _filter(external_id, country, since, until, page_size)
    return _listing(
        _PAYMENTS, Payment, Guard.KEYS, {**query, "status": status, "provider": provider}
    )


def refund_payment(
    payment_id: str, *, reason: str | None = None, external_id: str | None = None
) -> Call[Refund]:
    """Give a payment back to its payer, in full.

    Without `external_id` one is drawn. Tried again where that is safe: at most one refund is made.
    """
    used, drawn = _own_or_drawn(external_id)
    write = _creation(
        used, drawn, get_refund, lambda found: found.original_payment_id == payment_id
    )
    return Call(
        "POST",
        f"{_PAYMENTS}/{_safe(payment_id)}/refund",
        _one(Refund),
        body=_given(reason=reason, externalId=used),
        write=write,
    )


def get_refund(refund_id: str) -> Call[Refund]:
    """One refund."""
    return _get(f"{_PAYMENTS}/refunds/{_safe(refund_id)}", Refund)


# Withdrawals


def create_withdrawal(
    *,
    amount: Amount,
    provider: str | None = None,
    phone_number: str | None = None,
    source_country: str | None = None,
    external_id: str | None = None,
    return_url: str | None = None,
    cancel_url: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Call[Withdrawal]:
    """Pay a phone in any country from any wallet; `amount` is gross, in the wallet's currency.

    Without `external_id` one is drawn, which the answer and every error tell. Tried again where
    that is safe: at most one withdrawal is made.
    """
    used, drawn = _own_or_drawn(external_id)
    body = _given(
        amount=_exact(amount),
        provider=provider,
        phoneNumber=phone_number,
        sourceCountry=source_country,
        externalId=used,
        returnUrl=return_url,
        cancelUrl=cancel_url,
        description=description,
        metadata=metadata,
    )
    write = _creation(used, drawn, get_withdrawal, lambda found: _agrees(body, found.raw))
    return Call("POST", f"{_PAYMENTS}/withdraw", _one(Withdrawal), body=body, write=write)


def get_withdrawal(withdrawal_id: str) -> Call[Withdrawal]:
    """One withdrawal, with all that is known of it."""
    return _get(f"{_PAYMENTS}/withdraw/{_safe(withdrawal_id)}", Withdrawal)


def list_withdrawals(
    *,
    external_id: str | None = None,
    status: str | None = None,
    country: str | None = None,
    provider: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[Withdrawal]]:
    """The withdrawals, newest first, from `since` and before `until`."""
    query = _filter(external_id, country, since, until, page_size)
    return _listing(
        f"{_PAYMENTS}/withdrawals",
        Withdrawal,
        Guard.KEYS,
        {**query, "status": status, "provider": provider},
    )


def cancel_withdrawal(withdrawal_id: str) -> Call[Withdrawal]:
    """Call back a withdrawal that was not sent yet."""
    path = f"{_PAYMENTS}/withdraw/{_safe(withdrawal_id)}"
    write = Write(
        "not_cancellable",
        get_withdrawal,
        # Cancelled is what was asked for, whoever was first.
        lambda found, _began: found.status == "CANCELLED",
        known_id=withdrawal_id,
    )
    return Call("POST", f"{path}/cancel", _one(Withdrawal), write=write)


# Transfers


def create_transfer(
    *,
    source_country: str,
    destination_country: str,
    amount: Amount,
    external_id: str | None = None,
    description: str | None = None,
    application_id: str | None = None,
) -> Call[Transfer]:
    """Move money between two wallets; `amount` is in the currency of the source's.

    The application is that of the keys. Without `external_id` one is drawn, which the answer and
    every error tell. Tried again where that is safe: at most one transfer is made.
    """
    used, drawn = _own_or_drawn(external_id)
    body = _given(
        applicationId=application_id,
        sourceCountry=source_country,
        destinationCountry=destination_country,
        amount=_exact(amount),
        description=description,
        externalId=used,
    )

    def agrees(found: Transfer) -> bool:
        source, destination = found.source_transaction, found.destination_transaction
        shown = {
            "amount": source.amount,
            "sourceCountry": source.country,
            "destinationCountry": destination.country,
            "description": found.description,
            "externalId": found.external_id,
        }
        return _agrees(body, shown)

    return Call(
        "POST",
        f"{_WALLETS}/transfer",
        _one(Transfer),
        Guard.TOKEN,
        body=body,
        write=_creation(used, drawn, get_transfer, agrees),
        own_application=application_id is None,
    )


def get_transfer(transfer_id: str) -> Call[Transfer]:
    """One transfer."""
    return _get(f"{_WALLETS}/transfer/{_safe(transfer_id)}", Transfer, Guard.TOKEN)


def list_transfers(
    *,
    external_id: str | None = None,
    country: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[Transfer]]:
    """The transfers, newest first; `country` is of either side."""
    query = _filter(external_id, country, since, until, page_size)
    return _listing(f"{_WALLETS}/transfers", Transfer, Guard.TOKEN, query)


def for_application(call: Call[T], application_id: str) -> Call[T]:
    """The call with the application that it asked to have filled in."""
    body = {"applicationId": application_id, **(call.body or {})}
    return replace(call, body=body, own_application=False)


def following(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    """The call for the page after this one, or None at the end."""
    if page.next_cursor is None:
        return None
    return replace(call, query={**call.query, "cursor": page.next_cursor})


def _creation(
    external_id: str,
    drawn: bool,
    look: Callable[[str], Call[C]],
    agrees: Callable[[C], bool],
) -> Write[C]:
    """How a creation under an externalId is sent again.

    One that was drawn for this call can be nobody else's. The caller's own may have been used
    before, by mistake and for the very same thing: what is older than the call is not its work.
    """

    def is_own(found: C, began: datetime) -> bool:
        if drawn:
            return True
        made = found.created_at
        return agrees(found) and made is not None and made >= began - _CLOCKS_APART

    return Write("external_id_used", look, is_own, external_id=external_id)


def _own_or_drawn(external_id: str | None) -> tuple[str, bool]:
    """The externalId that is sent, and whether it was drawn."""
    if external_id is None:
        return f"{DRAWN_PREFIX}{uuid4()}", True
    return external_id, False


# What was sent and is shown again as it was: the rest is the server's to word.
_COMPARED = ("provider", "sourceCountry", "destinationCountry", "description", "externalId")


def _agrees(sent: Mapping[str, object], shown: Mapping[str, Any]) -> bool:
    """Whether what is shown is what was asked for, as far as both say."""
    if shown.get("amount") != sent["amount"]:
        return False
    if not _same(_digits(sent.get("phoneNumber")), _digits(shown.get("phoneNumber"))):
        return False
    return all(_same(sent.get(name), shown.get(name)) for name in _COMPARED)


def _same(sent: object, shown: object) -> bool:
    return sent is None or shown is None or sent == shown


def _digits(number: object) -> str | None:
    return None if number is None else re.sub(r"\D", "", str(number))


def _get(path: str, shape: type[T], guard: Guard = Guard.KEYS) -> Call[T]:
    return Call("GET", path, _one(shape), guard)


def _listing(path: str, shape: type[T], guard: Guard, query: Mapping[str, object]) -> Call[Page[T]]:
    def read_page(value: Any) -> Page[T]:
        if not isinstance(value, dict):
            raise Unreadable("a page is expected")
        cursor = value.get("nextCursor")
        if not isinstance(cursor, str | None):
            raise Unreadable("nextCursor: text is expected")
        return Page(_each(shape)(value.get("data")), cursor)

    given = {name: str(value) for name, value in query.items() if value is not None}
    return Call("GET", path, read_page, guard, query=given)


def _one(shape: type[T]) -> Callable[[Any], T]:
    return lambda value: read(shape, value)


def _each(shape: type[T]) -> Callable[[Any], list[T]]:
    def read_each(value: Any) -> list[T]:
        if not isinstance(value, list):
            raise Unreadable("a list is expected")
        return [read(shape, one) for one in value]

    return read_each


def _filter(
    external_id: str | None,
    country: str | None,
    since: datetime | None,
    until: datetime | None,
    page_size: int | None,
) -> dict[str, object]:
    return {
        "externalId": external_id,
        "country": country,
        "from": None if since is None else _iso(since, "since"),
        "to": None if until is None else _iso(until, "until"),
        "limit": page_size,
    }


def _iso(moment: datetime, name: str) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{name} must have a zone, such as datetime.now(UTC)")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _exact(amount: Amount) -> Amount:
    """The amount, if it is exact. Raises TypeError for a float, ValueError for no number."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise TypeError(
            f"an amount is an int or a Decimal, not {type(amount).__name__}: a float cannot hold "
            "most amounts exactly"
        )
    if not Decimal(amount).is_finite():
        raise ValueError(f"an amount is a number, not {amount}")
    return amount


def _safe(identifier: str) -> str:
    """An identifier as a part of a path. Raises ValueError for what would be another path."""
    if not _SAFE_ID.match(identifier):
        raise ValueError(f"{identifier!r} is no identifier of KPay's")
    return identifier


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
