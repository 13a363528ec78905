"""How the page speaks: French or English, and how each writes an amount and a date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from kpay.core.money import Money
from kpay.web.languages import ENGLISH, FRENCH, picked_language

_FOLDER = Path(__file__).with_name("texts")

# What people call them; every other currency goes by its code.
_NAMES = {"XAF": "FCFA", "XOF": "FCFA"}
_THIN, _FIXED = "\u202f", "\u00a0"
_MONTHS = {
    ENGLISH: (
        "January February March April May June July August September October November December"
    ),
    FRENCH: (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
    ),
}


class Language(msgspec.Struct, frozen=True):
    """One language with all that the page says in it."""

    code: str
    texts: Mapping[str, Mapping[str, str]]

    @property
    def other(self) -> str:
        return FRENCH if self.code == ENGLISH else ENGLISH

    def say(self, key: str, **parts: object) -> str:
        """`say("payment.title", merchant="Acme")`."""
        section, _, name = key.partition(".")
        return self.texts[section][name].format(**parts)

    def knows(self, key: str) -> bool:
        section, _, name = key.partition(".")
        return name in self.texts[section]

    def number(self, value: Decimal | int) -> str:
        """5,000 or 5 000; with decimals only where there are some."""
        text = f"{value:,}" if value == int(value) else f"{value:,.2f}"
        if self.code == ENGLISH:
            return text
        return text.replace(",", _THIN).replace(".", ",")

    def exact(self, value: Decimal) -> str:
        """1.0150 as 1.015 or 1,015: every decimal that is not a trailing zero."""
        text = f"{value.normalize():,f}"
        return text if self.code == ENGLISH else text.replace(",", _THIN).replace(".", ",")

    def money(self, amount: Money, *, by_code: bool = False) -> str:
        """5,000 FCFA, KES 1,500; in French 5 000 FCFA, 1 500 KES. `by_code` tells XAF from XOF."""
        number = self.number(amount.number)
        name = amount.currency if by_code else _NAMES.get(amount.currency, amount.currency)
        if self.code == ENGLISH and name == amount.currency:
            return f"{name}{_FIXED}{number}"
        return f"{number}{_FIXED}{name}"

    def moment(self, moment: datetime) -> str:
        """23 June 2026, 10:04 UTC; in French 23 juin 2026 à 10:04 UTC."""
        there = moment.astimezone(UTC)
        month = _MONTHS[self.code].split()[there.month - 1]
        first = there.day == 1 and self.code == FRENCH
        day = "1er" if first else str(there.day)
        between = ", " if self.code == ENGLISH else " à "
        return f"{day} {month} {there.year}{between}{there:%H:%M} UTC"


@cache
def language(code: str) -> Language:
    """One of LANGUAGES."""
    with (_FOLDER / f"{code}.toml").open("rb") as file:
        texts: dict[str, Any] = tomllib.load(file)
    return Language(code, texts)


def wanted_language(chosen: str | None, accept: str) -> Language:
    """The language that was chosen on the page, else what the browser likes best."""
    return language(picked_language(chosen, accept))
