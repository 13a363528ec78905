"""The terms on which rails work at present, told by the rails themselves."""

from kpay.connectors.conditions.flow import Conditions

__all__ = ["Conditions"]
