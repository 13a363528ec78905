"""What people type, read as they meant it: amounts with separators, numbers with spaces."""

from __future__ import annotations

import re
import unicodedata

# Groups of three by one kind of mark, or plain digits; then up to two decimals after the other.
_AMOUNT = re.compile(r"(\d{1,3}(?:([.,'’])\d{3})(?:\2\d{3})*|\d+)(?:[.,](\d{1,2}))?", re.ASCII)
_SPACES = re.compile(r"\s+")


def amount_text(text: str) -> str:
    """An amount as JSON writes it: `50 000`, `50,000` and `50.000` are 50000, `1 234,5` is 1234.5.

    Money has two decimals at most, so a mark before three digits parts thousands in any language,
    and one before one or two digits begins the decimals. What is no amount is left as it is: the
    rules refuse it.
    """
    bare = _SPACES.sub("", text)
    found = _AMOUNT.fullmatch(bare)
    if found is None:
        return bare or text
    whole, _, decimals = found.groups()
    digits = re.sub(r"\D", "", whole).lstrip("0") or "0"
    return f"{digits}.{decimals}" if decimals else digits


def line(text: str, most: int) -> str:
    """One line as it can be kept: without control characters, up to so many letters."""
    plain = unicodedata.normalize("NFC", text)
    kept = "".join(letter if letter.isprintable() else " " for letter in plain)
    return _SPACES.sub(" ", kept).strip()[:most]


def phone_words(digits: str) -> str:
    """+237 653 456 789, +225 05 03 45 67 89: as such numbers are written and read out at home.

    Every calling code that is served has three digits. What follows goes by twos where it is eight
    or ten digits long, and by threes otherwise.
    """
    code, national = digits[:3], digits[3:]
    size = 2 if len(national) in (8, 10) else 3
    groups = [national[start : start + size] for start in range(0, len(national), size)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        # A last digit alone is easily missed: the last two groups share.
        groups[-2:] = [groups[-2][:2], groups[-2][2:] + groups[-1]]
    return "+" + "\u00a0".join([code, *groups])
