"""How the dashboard speaks: gettext catalogues, and Babel for what each language writes its way.

The texts stand in the templates in English; `locales/fr.po` has them in French. Babel reads the
catalogue as it is when the program starts, so there is nothing to compile.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path

import msgspec
from babel import Locale
from babel.core import get_global
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_decimal_symbol
from babel.support import NullTranslations, Translations

from kpay.core.money import Money
from kpay.web.languages import ENGLISH, FRENCH

_LOCALES = Path(__file__).with_name("locales")
FIXED = "\u00a0"
# British for its order of day and month, which is that of English-speaking Africa.
_LOCALE = {ENGLISH: "en_GB", FRENCH: "fr"}


class Speech(msgspec.Struct, frozen=True):
    """One language: its texts, and how it writes amounts, dates and countries."""

    code: str
    locale: Locale
    texts: NullTranslations

    @property
    def other(self) -> str:
        """The code of the one that is offered beside it."""
        return FRENCH if self.code == ENGLISH else ENGLISH

    def say(self, text: str, **parts: object) -> str:
        """A text of this program in this language: `say("Good day, %(name)s", name="Awa")`."""
        told: str = self.texts.gettext(text)
        return told % parts if parts else told

    def number(self, value: Decimal | int) -> str:
        """5,000 or 5 000; two decimals where there are any; −5 with a minus sign, no hyphen."""
        whole = value == int(value)
        told = format_decimal(value, "#,##0" if whole else "#,##0.00", locale=self.locale)
        return told.replace("-", "\u2212")

    def money(self, amount: Money) -> str:
        """5,000 XAF: by its code, as XAF and XOF have one and the same name."""
        return f"{self.number(amount.number)}{FIXED}{amount.currency}"

    def rate(self, value: Decimal) -> str:
        """Every decimal that is not a trailing zero, up to eight."""
        return format_decimal(value, "#,##0.########", locale=self.locale)

    def exact(self, value: Decimal) -> str:
        """Every digit that there is: what was agreed at a rate can be worked out again from it."""
        whole, _, rest = f"{value:f}".partition(".")
        digits = rest.rstrip("0")
        point = get_decimal_symbol(self.locale) if digits else ""
        return f"{self.number(int(whole))}{point}{digits}"

    def rates(self, source: str) -> str:
        """Where a rate came from: whoever publishes it by name, or the operator's own file."""
        return self.say("file of rates") if source == "file" else source

    def percent(self, basis_points: int) -> str:
        """5 %, 2.5 %: up to two decimals."""
        number = format_decimal(Decimal(basis_points) / 100, "0.##", locale=self.locale)
        return f"{number}{FIXED}%"

    def moment(self, moment: datetime) -> str:
        """23 Jun 2026, 10:04 UTC."""
        return f"{format_datetime(moment, 'd MMM y, HH:mm', locale=self.locale)}{FIXED}UTC"

    def instant(self, moment: datetime) -> str:
        """23 Jun 2026, 10:04:07 UTC."""
        text = format_datetime(moment, "d MMM y, HH:mm:ss", locale=self.locale)
        return f"{text}{FIXED}UTC"

    def day(self, day: date) -> str:
        """23 June 2026."""
        return format_date(day, "long", locale=self.locale)

    def short_day(self, day: date) -> str:
        """23 Jun."""
        return format_date(day, "d MMM", locale=self.locale)

    def country(self, code: str) -> str:
        """A country's name, from its code of three letters."""
        name: str = self.locale.territories.get(_two_letters(code), code)
        return name


def _two_letters(country: str) -> str:
    found = get_global("territory_aliases").get(country)
    return found[0] if found else country[:2]


@cache
def speech(code: str) -> Speech:
    """One of LANGUAGES."""
    locale = Locale.parse(_LOCALE[code])
    path = _LOCALES / f"{code}.po"
    if not path.exists():
        # The language that the texts are written in needs no catalogue.
        return Speech(code, locale, NullTranslations())
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Speech(code, locale, Translations(compiled))
