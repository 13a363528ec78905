"""Why a webhook was not taken, in words for a merchant: its own server, and nothing of ours.

They are kept in English, as the API answers them. Each is one of the sentences of a closed list, so
that a page can say it in its reader's language: `read_reason` finds the sentence again.
"""

from __future__ import annotations

import re

from kpay.core.words import to_say

ANSWERED = to_say("It answered %(status)s.")
LATE = to_say("No answer within %(seconds)s seconds.")
NO_ADDRESS = to_say("The name has no address.")
BAD_CERTIFICATE = to_say("Its certificate was not accepted.")
NO_TLS = to_say("No TLS connection could be made.")
PRIVATE = to_say("It leads to an address of a private network.")
REFUSED = to_say("The connection was refused.")
BROKEN_OFF = to_say("The connection was broken off.")
NO_HTTP = to_say("The answer was no HTTP: %(what)s.")
UNREADABLE = to_say("What it is about could not be read.")
REMOVED = to_say("Its URL was removed.")

REASONS = (
    ANSWERED,
    LATE,
    NO_ADDRESS,
    BAD_CERTIFICATE,
    NO_TLS,
    PRIVATE,
    REFUSED,
    BROKEN_OFF,
    NO_HTTP,
    UNREADABLE,
    REMOVED,
)

_PART = re.compile(r"%\\\((\w+)\\\)s")


def read_reason(told: str) -> tuple[str, dict[str, str]] | None:
    """The sentence of `REASONS` that was told, and its parts; None for what is none of them."""
    for sentence, pattern in _PATTERNS:
        found = pattern.fullmatch(told)
        if found is not None:
            return sentence, found.groupdict()
    return None


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(_PART.sub(r"(?P<\1>\\S+)", re.escape(sentence)))


_PATTERNS = [(sentence, _pattern(sentence)) for sentence in REASONS]
