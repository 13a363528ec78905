"""What must never be in a log line, taken out of every line, whoever wrote it.

Our own lines name no secret and no telephone number. What others say can hold one: the message of a
rail's exception, the row that a constraint refused. This is the last floor under all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

_GONE = "[redacted]"

# Ours, by their own prefixes; tokens, by the two letters that every one begins with; what stands
# after a scheme or a password's name, whatever it is.
_SECRETS = re.compile(
    r"(?:sk_(?:test|live)|kpay_(?:test|live)|whsec|gwsec|gw|kp(?:ses|inv|pwd|dev))_[\w-]+"
    r"|eyJ[\w-]{8,}\.[\w-]*\.?[\w-]*"
    r"|(?<=Bearer )\S+"
    r"|(?<=://)[^\s/@]+:[^\s/@]+(?=@)"
)
# A number as rails spell it: nine to fifteen digits, no part of an identifier or a sum. In a
# representation it may follow an escaped line feed, whose last character is a letter.
_PHONE = re.compile(
    r"(?:(?<![A-Za-z0-9-])(?<!\d\.)|(?<=\\[nrt]))"
    r"(\d{3})\d{4,10}(\d{2})"
    r"(?![A-Za-z0-9-]|\.\d)"
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the same event without secrets, and with numbers cut in the middle."""
    for name, value in event.items():
        event[name] = _clean(value)
    return event


def redacted(text: str) -> str:
    """One text without them: 237653456789 becomes 237***89."""
    return _PHONE.sub(r"\1***\2", _SECRETS.sub(_GONE, text))


def _clean(value: Any) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            # A number may be one as well; it stays a number where it is none.
            text = str(value)
            return value if redacted(text) == text else redacted(text)
        case str():
            # Enumerations are text too, and stay what they are where nothing is taken out.
            text = redacted(value)
            return value if text == value else text
        case Mapping():
            return {redacted(str(name)): _clean(part) for name, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(part) for part in value]
        case _:
            return redacted(repr(value))
