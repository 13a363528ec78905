"""Every call there is, as plain data: nothing here sends anything.

A function for each method of the clients checks its arguments and builds a `Call`; both clients
offer the same functions, so their signatures and these docstrings are what a reader sees there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kpay_client._call import (
    Amount,
    Call,
    Guard,
    Page,
    Write,
    agrees,
    creation,
    each,
    exact,
    get,
    given,
    listing,
    narrowed,
    one,
    own_or_drawn,
    safe,
)
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

_PAYMENTS = "/api/v1/payments"
_WALLETS = "/api/wallets"


# Who am I, and what is there


def me() -> Call[Me]:
    """Whom the keys belong to."""
    return get(f"{_PAYMENTS}/me", Me)


def token() -> Call[AccessToken]:
    """A token for the wallets. Many may be in force at once, so asking twice harms nothing."""
    return Call("POST", f"{_PAYMENTS}/token", one(AccessToken), body={})


def balance() -> Call[list[Wallet]]:
    """What each wallet holds."""
    return Call("GET", f"{_PAYMENTS}/balance", each(Wallet))


def overview() -> Call[Overview]:
    """What each wallet holds, with whose they are."""
    return Call("GET", f"{_WALLETS}/overview", one(Overview), Guard.TOKEN)


def exchange_rate(source: str, target: str) -> Call[ExchangeRate]:
    """Units of the currency `target` for one of `source`, as a conversion now would use it."""
    return Call(
        "GET",
        f"{_PAYMENTS}/exchange-rate",
        one(ExchangeRate),
        query={"from": source, "to": target},
    )


def predict_provider(phone_number: str) -> Call[Prediction]:
    """The operator that most likely serves a number."""
    return Call(
        "POST",
        f"{_PAYMENTS}/predict-provider",
        one(Prediction),
        body={"phoneNumber": phone_number},
    )


def availability() -> Call[list[CountryAvailability]]:
    """Which operators are open, by country."""
    return Call("GET", f"{_PAYMENTS}/availability", each(CountryAvailability))


def platform_info() -> Call[PlatformInfo]:
    """The usual fees and bounds."""
    return Call("GET", "/api/public/platform-info", one(PlatformInfo), Guard.PUBLIC)


def list_events(*, page_size: int | None = None) -> Call[Page[Event]]:
    """What happened to payments and withdrawals, newest first."""
    return listing(f"{_PAYMENTS}/events", Event, Guard.KEYS, {"limit": page_size})


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
    used, drawn = own_or_drawn(external_id)
    body = given(
        amount=exact(amount),
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
    write = creation(used, drawn, get_payment, lambda found: agrees(body, found.raw))
    return Call("POST", f"{_PAYMENTS}/init", one(Payment), body=body, write=write)


def get_payment(payment_id: str) -> Call[Payment]:
    """One payment, with all that is known of it."""
    return get(f"{_PAYMENTS}/{safe(payment_id)}", Payment)


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
    query = narrowed(external_id, country, since, until, page_size)
    return listing(
        _PAYMENTS, Payment, Guard.KEYS, {**query, "status": status, "provider": provider}
    )


def refund_payment(
    payment_id: str, *, reason: str | None = None, external_id: str | None = None
) -> Call[Refund]:
    """Give a payment back to its payer, in full.

    Without `external_id` one is drawn. Tried again where that is safe: at most one refund is made.
    """
    used, drawn = own_or_drawn(external_id)
    write = creation(used, drawn, get_refund, lambda found: found.original_payment_id == payment_id)
    return Call(
        "POST",
        f"{_PAYMENTS}/{safe(payment_id)}/refund",
        one(Refund),
        body=given(reason=reason, externalId=used),
        write=write,
    )


def get_refund(refund_id: str) -> Call[Refund]:
    """One refund."""
    return get(f"{_PAYMENTS}/refunds/{safe(refund_id)}", Refund)


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
    if_delayed: str | None = None,
    queue_minutes: int | None = None,
) -> Call[Withdrawal]:
    """Pay a phone in any country from any wallet; `amount` is gross, in the wallet's currency.

    While its operator is DELAYED it is taken and waits there; with `if_delayed` REFUSE it is
    refused. After `queue_minutes` it is cancelled wherever that still can be done, and fails with
    DEADLINE_PASSED.

    Without `external_id` one is drawn, which the answer and every error tell. Tried again where
    that is safe: at most one withdrawal is made.
    """
    used, drawn = own_or_drawn(external_id)
    body = given(
        amount=exact(amount),
        provider=provider,
        phoneNumber=phone_number,
        sourceCountry=source_country,
        externalId=used,
        returnUrl=return_url,
        cancelUrl=cancel_url,
        description=description,
        metadata=metadata,
        ifDelayed=if_delayed,
        queueMinutes=queue_minutes,
    )
    write = creation(used, drawn, get_withdrawal, lambda found: agrees(body, found.raw))
    return Call("POST", f"{_PAYMENTS}/withdraw", one(Withdrawal), body=body, write=write)


def get_withdrawal(withdrawal_id: str) -> Call[Withdrawal]:
    """One withdrawal, with all that is known of it."""
    return get(f"{_PAYMENTS}/withdraw/{safe(withdrawal_id)}", Withdrawal)


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
    query = narrowed(external_id, country, since, until, page_size)
    return listing(
        f"{_PAYMENTS}/withdrawals",
        Withdrawal,
        Guard.KEYS,
        {**query, "status": status, "provider": provider},
    )


def cancel_withdrawal(withdrawal_id: str) -> Call[Withdrawal]:
    """Call back a withdrawal that was not sent yet, or have its operator asked to cancel it.

    Asked for only, it is still PROCESSING: it ends FAILED if that came in time, else COMPLETED.
    """
    path = f"{_PAYMENTS}/withdraw/{safe(withdrawal_id)}"
    write = Write(
        "not_cancellable",
        get_withdrawal,
        # Cancelled is what was asked for, whoever was first.
        lambda found, _began: found.status == "CANCELLED",
        known_id=withdrawal_id,
    )
    return Call("POST", f"{path}/cancel", one(Withdrawal), write=write)


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
    used, drawn = own_or_drawn(external_id)
    body = given(
        applicationId=application_id,
        sourceCountry=source_country,
        destinationCountry=destination_country,
        amount=exact(amount),
        description=description,
        externalId=used,
    )

    def is_same(found: Transfer) -> bool:
        source, destination = found.source_transaction, found.destination_transaction
        shown = {
            "amount": source.amount,
            "sourceCountry": source.country,
            "destinationCountry": destination.country,
            "description": found.description,
            "externalId": found.external_id,
        }
        return agrees(body, shown)

    return Call(
        "POST",
        f"{_WALLETS}/transfer",
        one(Transfer),
        Guard.TOKEN,
        body=body,
        write=creation(used, drawn, get_transfer, is_same),
        own_application=application_id is None,
    )


def get_transfer(transfer_id: str) -> Call[Transfer]:
    """One transfer."""
    return get(f"{_WALLETS}/transfer/{safe(transfer_id)}", Transfer, Guard.TOKEN)


def list_transfers(
    *,
    external_id: str | None = None,
    country: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[Transfer]]:
    """The transfers, newest first; `country` is of either side."""
    query = narrowed(external_id, country, since, until, page_size)
    return listing(f"{_WALLETS}/transfers", Transfer, Guard.TOKEN, query)
