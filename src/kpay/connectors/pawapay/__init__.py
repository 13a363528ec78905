"""pawaPay's Merchant API, version 2: one contract for operators in many countries."""

from kpay.connectors.pawapay.opening import open_pawapay

__all__ = ["open_pawapay"]
