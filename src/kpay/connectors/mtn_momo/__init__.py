"""MTN's MoMo Open API, spoken to directly: a contract for each country."""

from kpay.connectors.mtn_momo.opening import open_mtn_momo

__all__ = ["open_mtn_momo"]
