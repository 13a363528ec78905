"""The forms of what a merchant stores and compares, as answers have them and the document tells.

A type here is text with its form written beside it: the OpenAPI document shows the form, the
fuzzer holds every answer to it, and docs/moving.md lists them. Nothing is checked when an answer is
written; whoever makes the text (`core.ids`, `core.clock`) makes it in its form.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from kpay.core.fields import Number

# Crockford's base 32, as `core.ids` spells it: small in identifiers, capital in references.
_ID = "_[0-7][0-9a-hjkmnp-tv-z]{25}$"
_SUFFIX = "[0-9A-HJKMNP-TV-Z]{6,}$"
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

PaymentId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=f"^pay{_ID}",
        description="The payment's identifier.",
        examples=["pay_01jyegwm00e8g9wv3kcaw7b2sd"],
    ),
]
WithdrawalId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=f"^wdr{_ID}",
        description="The withdrawal's identifier.",
        examples=["wdr_01jyegwm00f4dtc3y0mxq5r8hn"],
    ),
]
RefundId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=f"^rfd{_ID}",
        description="The refund's identifier.",
        examples=["rfd_01jyegyx8gf9q2n7v4t5m0c3kd"],
    ),
]
EventId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=f"^evt{_ID}",
        description="The event's identifier.",
        examples=["evt_01jyegwq2pf69s1b9wjn4hk3zc"],
    ),
]
OperationId: TypeAlias = Annotated[
    str,
    Meta(
        pattern="^[a-z]{3}" + _ID,
        description="The identifier of the payment, withdrawal or refund that it is about.",
        examples=["pay_01jyegwm00e8g9wv3kcaw7b2sd"],
    ),
]
Uuid: TypeAlias = Annotated[
    str,
    Meta(
        pattern=_UUID,
        description="A UUID.",
        examples=["e7c3b4f5-8d9e-4a1b-9c2d-3e4f5a6b7c8d"],
        extra_json_schema={"format": "uuid"},
    ),
]
ApplicationId: TypeAlias = Annotated[Uuid, Meta(description="The application's identifier.")]
TransferId: TypeAlias = Annotated[
    Uuid,
    Meta(
        description="The transfer's identifier, which is its source transaction's.",
        examples=["a1b2c3d4-5e6f-7a8b-9c0d-1e2f3a4b5c6d"],
    ),
]
ProviderReference: TypeAlias = Annotated[
    Uuid,
    Meta(
        description="Under which the operator was told; quote it to the operator.",
        examples=["5f0e2c64-93b1-4b6d-a6ce-3c5d2f8e9b10"],
    ),
]

PaymentReference: TypeAlias = Annotated[
    str,
    Meta(
        pattern=rf"^KPAY-\d{{8}}-{_SUFFIX}",
        description="For people: KPAY, the UTC day, and letters and digits that are its own.",
        examples=["KPAY-20260623-ABC123"],
    ),
]
WithdrawalReference: TypeAlias = Annotated[
    str,
    Meta(
        pattern=rf"^KPAY-WD-\d{{8}}-{_SUFFIX}",
        description="For people: KPAY-WD, the UTC day, and letters and digits that are its own.",
        examples=["KPAY-WD-20260623-ABC789"],
    ),
]
RefundReference: TypeAlias = Annotated[
    str,
    Meta(
        pattern=rf"^KPAY-RF-\d{{8}}-{_SUFFIX}",
        description="For people: KPAY-RF, the UTC day, and letters and digits that are its own.",
        examples=["KPAY-RF-20260623-7GH2KM"],
    ),
]
TransferReference: TypeAlias = Annotated[
    str,
    Meta(
        pattern=f"^TRF-(OUT|IN)-{_SUFFIX}",
        description="For people: both sides of a transfer have one suffix.",
        examples=["TRF-OUT-ABC123"],
    ),
]

Moment: TypeAlias = Annotated[
    str,
    Meta(
        pattern=_MOMENT,
        description="When, in UTC with milliseconds.",
        examples=["2026-06-23T10:00:00.000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
CreatedAt: TypeAlias = Annotated[Moment, Meta(description="When it was accepted.")]
CompletedAt: TypeAlias = Annotated[
    Moment | None, Meta(description="When it was completed; null unless it is COMPLETED.")
]
FailedAt: TypeAlias = Annotated[
    Moment | None, Meta(description="When it failed; null unless it is FAILED.")
]
FailureReason: TypeAlias = Annotated[
    str | None,
    Meta(
        description="Why it failed, as a code of the operator's; null unless it is FAILED.",
        examples=["PAYER_LIMIT_REACHED"],
    ),
]

# Answers leave these open: a country or an operator that is added must not break a client.
Country: TypeAlias = Annotated[
    str,
    Meta(pattern="^[A-Z]{3}$", description="The country, ISO 3166-1 alpha-3.", examples=["CMR"]),
]
Currency: TypeAlias = Annotated[
    str,
    Meta(pattern="^[A-Z]{3}$", description="The currency, ISO 4217.", examples=["XAF"]),
]
Provider: TypeAlias = Annotated[
    str, Meta(description="The operator in its country.", examples=["MTN_MOMO_CMR"])
]
Phone: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^\d+$",
        description="The telephone number in digits, with the country's calling code.",
        examples=["237653456789"],
    ),
]
OwnId: TypeAlias = Annotated[str, Meta(description="Your own identifier.", examples=["ORDER-1"])]
Description: TypeAlias = Annotated[
    str | None, Meta(description="Your own description, or null.", examples=["Order 1"])
]
Metadata: TypeAlias = Annotated[
    dict[str, Any] | None,
    Meta(description="Your own object as it was sent, or null.", examples=[{"cart": "7c1e"}]),
]
IsTest: TypeAlias = Annotated[bool, Meta(description="Whether it is the sandbox's: no real money.")]
Message: TypeAlias = Annotated[
    str, Meta(description="A sentence for a person about where it stands; do not decide on it.")
]

Mode: TypeAlias = Annotated[
    Literal["USSD", "GATEWAY"],
    Meta(description="GATEWAY where it is chosen on the hosted page, USSD where it was named."),
]
GatewayUrl: TypeAlias = Annotated[
    str,
    Meta(
        pattern="^https?://.+/gateway/gw_[a-z2-7]{52}$",
        description="The hosted page: whom you send there chooses on it. Only with `mode` GATEWAY.",
        examples=["https://pay.example.com/gateway/gw_" + "a5v2" * 13],
    ),
]
ExpiresAt: TypeAlias = Annotated[
    Moment, Meta(description="Until when it can be chosen. Only with `mode` GATEWAY.")
]

Amount: TypeAlias = Annotated[
    Number, Meta(description="In `currency`, with at most two decimals.", examples=[10000])
]
NetAmount: TypeAlias = Annotated[
    Number, Meta(description="`amount` less `feeAmount`.", examples=[9500])
]
FeeAmount: TypeAlias = Annotated[
    Number, Meta(description="What the operation costs, in `currency`.", examples=[500])
]
Rate: TypeAlias = Annotated[
    Number,
    Meta(
        description="Units of the other currency for one of this, to four decimals; 1 in the same.",
        examples=[1.0153],
    ),
]
