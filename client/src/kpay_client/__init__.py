"""A typed client of KPay: `KPay` for threads, `AsyncKPay` for asyncio.

Money is `Decimal` or `int`, never float. Requests are tried again where that is safe, and errors
are named by what to do about them. `webhooks.verify` and `verify_return` say whether what reaches a
merchant comes from the server.
"""

from kpay_client import answers, errors, webhooks
from kpay_client._call import DRAWN_PREFIX, Amount
from kpay_client._core import Patience
from kpay_client.client import VERSION, AsyncKPay, KPay
from kpay_client.errors import (
    Conflict,
    Forbidden,
    InsufficientFunds,
    InvalidRequest,
    KPayError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnknownOutcome,
)
from kpay_client.returns import Return, verify_return
from kpay_client.webhooks import NotGenuine

__version__ = VERSION

__all__ = [
    "DRAWN_PREFIX",
    "Amount",
    "AsyncKPay",
    "Conflict",
    "Forbidden",
    "InsufficientFunds",
    "InvalidRequest",
    "KPay",
    "KPayError",
    "NotFound",
    "NotGenuine",
    "Patience",
    "RateLimited",
    "Return",
    "Unauthorized",
    "Unavailable",
    "UnknownOutcome",
    "answers",
    "errors",
    "verify_return",
    "webhooks",
]
