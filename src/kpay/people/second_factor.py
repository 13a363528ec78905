"""The second factor: time-based codes of an authenticator app (RFC 6238), and recovery codes. Pure.

SHA-1, six digits and thirty seconds, which is what every app can do. The secret is derived, not
kept: see `access.model.Vault.second_factor_secret`.
"""

from __future__ import annotations

import hmac
import io
import re
from datetime import datetime

import pyotp
import segno

ISSUER = "KPay"
_STEP_SECONDS = 30
# A code of the step before or after is right too: a person's telephone has a clock of its own.
_SKEW_STEPS = 1
_CODE = re.compile(r"[0-9]{6}")

RECOVERY_CODES = 10
RECOVERY_CODE_BYTES = 10
# Crockford's base 32 in lower case: what is copied from paper is not misread.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_MISREAD = str.maketrans("oil", "011")


def app_address(secret: str, email: str) -> str:
    """The otpauth:// address that an authenticator app reads."""
    return pyotp.TOTP(secret, interval=_STEP_SECONDS).provisioning_uri(
        name=email, issuer_name=ISSUER
    )


def drawing(address: str) -> str:
    """The address as a QR code: an <svg> element, black on white, with no request to anywhere."""
    out = io.BytesIO()
    segno.make(address, error="m").save(
        out, kind="svg", xmldecl=False, light="#fff", scale=4, title=None, omitsize=False
    )
    return out.getvalue().decode()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is, within the skew; None when it is none's."""
    text = "".join(code.split())
    if not _CODE.fullmatch(text):
        return None
    totp = pyotp.TOTP(secret, interval=_STEP_SECONDS)
    current = int(now.timestamp()) // _STEP_SECONDS
    found = None
    # All of them, whichever it is: how long it takes says nothing.
    for step in range(current - _SKEW_STEPS, current + _SKEW_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), text):
            found = step
    return found


def recovery_code(random: bytes) -> str:
    """A code of ten letters and digits, fifty bits, made from ten fresh random bytes."""
    letters = "".join(_LETTERS[byte & 31] for byte in random[:RECOVERY_CODE_BYTES])
    return f"{letters[:5]}-{letters[5:]}"


def clean_recovery_code(text: str) -> str | None:
    """A recovery code as it was given out, however it was typed; None when it can be none."""
    letters = re.sub(r"[\s-]", "", text).lower().translate(_MISREAD)
    if len(letters) != RECOVERY_CODE_BYTES or not set(letters) <= set(_LETTERS):
        return None
    return f"{letters[:5]}-{letters[5:]}"
