"""The documented form of everything that a merchant may store or compare, and values held to it.

Written from the contract, not from the program: the program's own patterns are one of the things
that are tested with it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_TIME = r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{3}Z"
_SUFFIX = "[0-9A-Z]{6,}"

FORMS: dict[str, str] = {
    "payment": r"pay_[0-9a-z]{26}",
    "withdrawal": r"wdr_[0-9a-z]{26}",
    "refund": r"rfd_[0-9a-z]{26}",
    "event": r"evt_[0-9a-z]{26}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "payment reference": rf"KPAY-\d{{8}}-{_SUFFIX}",
    "withdrawal reference": rf"KPAY-WD-\d{{8}}-{_SUFFIX}",
    "refund reference": rf"KPAY-RF-\d{{8}}-{_SUFFIX}",
    "transfer out": rf"TRF-OUT-{_SUFFIX}",
    "transfer in": rf"TRF-IN-{_SUFFIX}",
    "moment": _TIME,
    "request": r"req_[0-9a-f]{16,}",
    "token": r"[\w-]+\.[\w-]+\.[\w-]+",
    "API key": r"kpay_(test|live)_[0-9a-z]+",
    "secret key": r"sk_(test|live)_[0-9a-z]+",
    "page": r"https?://[^/]+/gateway/gw_[a-z2-7]{52}",
    "signature": r"[0-9a-f]{64}",
    "standard signature": r"v1,[0-9A-Za-z+/]{43}=",
}


def form_of(value: object) -> str | None:
    """Which form a value has, or None for one that is what it is."""
    if not isinstance(value, str):
        return None
    for name, pattern in FORMS.items():
        if re.fullmatch(pattern, value):
            return name
    return None


def type_of(value: object) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"


def alike(shown: Any, real: Any, *, figures: bool, where: str = "") -> list[str]:
    """How what is answered differs from what is shown.

    Fields and types must be the same, and text that has a form must have the same form. `figures`
    asks for equal numbers and text besides. Unless it does, a null may be shown where something is,
    or the reverse, and each row of a list that is shown is held to the nearest answered one.
    """
    if type_of(shown) != type_of(real):
        if not figures and "null" in (type_of(shown), type_of(real)):
            return []
        return [f"{where}: {type_of(shown)} is shown, {type_of(real)} is answered: {real!r}"]
    if isinstance(shown, dict):
        return _alike_objects(shown, real, figures=figures, where=where)
    if isinstance(shown, list):
        if figures and len(shown) != len(real):
            return [f"{where}: {len(shown)} are shown, {len(real)} are answered"]
        if shown and not real:
            return [f"{where}: nothing is answered"]
        return [
            problem
            for number, one in enumerate(shown)
            for problem in min(
                (
                    alike(one, other, figures=figures, where=f"{where}[{number}]")
                    for other in (real[number : number + 1] if figures else real)
                ),
                key=len,
            )
        ]
    if form_of(shown) != form_of(real):
        return [f"{where}: {shown!r} is shown, {real!r} is answered: another form"]
    if figures and form_of(shown) is None and not _equal(shown, real):
        return [f"{where}: {shown!r} is shown, {real!r} is answered"]
    return []


def _alike_objects(
    shown: dict[str, Any], real: dict[str, Any], *, figures: bool, where: str
) -> list[str]:
    problems = [f"{where}.{name} is shown and not answered" for name in shown if name not in real]
    problems += [f"{where}.{name} is answered and not shown" for name in real if name not in shown]
    for name in shown:
        if name in real:
            inside = f"{where}.{name}"
            problems += alike(shown[name], real[name], figures=figures, where=inside)
    return problems


def _equal(shown: object, real: object) -> bool:
    if type_of(shown) == "number":
        return Decimal(str(shown)) == Decimal(str(real))
    return shown == real
