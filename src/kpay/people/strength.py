"""Which passwords are good enough: long, and not what everybody tries first. Pure.

As NIST SP 800-63B (5.1.1.2) has it: a length and a list of what is refused, no rules about letters
and signs, which people meet with one capital in front and one digit behind.
"""

from __future__ import annotations

import re
import string
import unicodedata

from kpay.core.refusals import Code, Refusal

LEAST_LENGTH = 12
MOST_LENGTH = 200

# A part of a name or an address that is shorter is in many a good password by chance.
_LEAST_PART = 4
# A password that repeats so short a part is as good as that part.
_MOST_REPEATED = 4

# What people put around a word when it is too short or has no digit, and how much of it.
_ADDED = string.digits + string.punctuation + " "
_MOST_ADDED = 8

# What begins the lists of passwords that leaked, of twelve characters and more, in English and
# French, without the digits and signs that people add to them.
_WORDS = """
    passwordpassword passwordpass mypassword thepassword yourpassword password motdepasse
    monmotdepasse lemotdepasse qwertyuiop qwertyuiopasdf qwertyqwerty azertyuiop azertyazerty
    asdfghjkl zxcvbnm administrator administrateur admin adminadmin letmein letmeinletmein iloveyou
    iloveyouforever jetaime jetaimejetaime welcome welcomewelcome bienvenue bonjour bonjourbonjour
    changeme changemenow changemoi pleasechangeme trustnoone sunshine princess football superman
    baseball dragon monkey secret secretsecret topsecret liverpool chelsea marseille barcelona
    cameroun cameroon senegal cotedivoire gabon congo mobilemoney orangemoney mtnmomo kpay kpaykpay
"""
_COMMONEST = frozenset(_WORDS.split())
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
)


def normal(password: str) -> str:
    """A password as it is hashed: the same however a keyboard composes its accents."""
    return unicodedata.normalize("NFKC", password)


def check_strength(password: str, *, email: str, name: str) -> None:
    """Refuses: weak_password, and says why."""
    text = normal(password)
    reason = _weakness(text, email, name)
    if reason is not None:
        raise Refusal(Code.WEAK_PASSWORD, f"Choose another password: {reason}.")


def _weakness(text: str, email: str, name: str) -> str | None:
    plain = text.casefold()
    if len(text) < LEAST_LENGTH:
        return f"it must have at least {LEAST_LENGTH} characters"
    if len(text) > MOST_LENGTH or not _can_be_written(text):
        return f"it must have at most {MOST_LENGTH} characters, all of them printable"
    if any(part in plain for part in _parts(email, name)):
        return "it must not contain your name or your email"
    if _repeats(plain):
        return "it must not be one short part again and again"
    if _is_common(plain):
        return "it is one of those that are tried first"
    return None


def _can_be_written(text: str) -> bool:
    # Half of a surrogate pair is printable to nobody, and cannot be encoded.
    return text.isprintable()


def _parts(email: str, name: str) -> set[str]:
    """What is known of a person: the address, the parts before its @, the parts of the name."""
    local = email.casefold().partition("@")[0]
    words = {email.casefold(), local, *re.split(r"[^a-z0-9]+", local)}
    words |= set(re.split(r"\W+", normal(name).casefold()))
    words.add("".join(normal(name).casefold().split()))
    return {word for word in words if len(word) >= _LEAST_PART}


def _repeats(plain: str) -> bool:
    return any(
        plain == (plain[:size] * len(plain))[: len(plain)] for size in range(1, _MOST_REPEATED + 1)
    )


def _is_common(plain: str) -> bool:
    core = plain.strip(_ADDED)
    if len(plain) - len(core) > _MOST_ADDED:
        # So much of it is something else that the word does not make it known.
        core = plain
    # What everybody does to a common word when a digit or a sign is asked for.
    spelt = core.translate(str.maketrans("@430157$", "aaeoists"))
    return (
        core in _COMMONEST
        or spelt in _COMMONEST
        or any(plain in run or plain in run[::-1] for run in _RUNS)
    )
