"""Operators as people know them, and the colour that each is known by."""

from __future__ import annotations

# What an operator calls its mobile money, by the catalogue's word for the operator.
_WALLETS = {
    "MTN": "MTN MoMo",
    "Moov": "Moov Money",
    "Orange": "Orange Money",
    "Airtel": "Airtel Money",
    "Free": "Free Money",
    "AirtelTigo": "AirtelTigo Money",
    "Telecel": "Telecel Cash",
    "Zamtel": "Zamtel Money",
}


def wallet_name(operator: str) -> str:
    """MTN MoMo for MTN; an operator whose wallet goes by its own name is that."""
    return _WALLETS.get(operator, operator)


def brand(operator: str) -> str:
    """The style's class of an operator: the first word, in small letters."""
    return operator.split()[0].replace("-", "").lower()
