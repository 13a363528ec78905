"""KPay: merchants collect mobile money in many countries and move it across borders."""

__version__ = "0.1.0"
