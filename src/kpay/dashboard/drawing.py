"""Draws the dashboard's pages, and serves the one style and the one script that they use.

Both are fetched once and kept for good: their addresses hold their hashes. Nothing is asked of any
other host, and the Content-Security-Policy lets nothing else in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kpay.dashboard.speech import Speech
from kpay.web.pages import Answer

_HERE = Path(__file__).parent
_KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    # A form is sent with its origin, which is looked at; other sites are told nothing.
    (b"referrer-policy", b"same-origin"),
    (b"vary", b"accept-language, accept-encoding, cookie"),
)


@cache
def _static() -> Mapping[str, tuple[bytes, bytes]]:
    """Every file by its address under `assets/`: what kind it is, and what it holds."""
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        body = path.read_bytes()
        digest = hashlib.sha256(body).hexdigest()[:12]
        found[f"{path.stem}.{digest}{path.suffix}"] = (_KINDS[path.suffix], body)
    return found


@cache
def asset(name: str) -> str:
    """`style.css` by its name under `assets/`."""
    stem, _, suffix = name.partition(".")
    return next(
        each for each in _static() if each.startswith(f"{stem}.") and each.endswith(f".{suffix}")
    )


def serve_asset(name: str) -> Answer | None:
    """A file as it is served, None where there is none of that name."""
    found = _static().get(name)
    if found is None:
        return None
    kind, body = found
    return Answer(
        200,
        body,
        ((b"content-type", kind), (b"cache-control", b"public, max-age=31536000, immutable")),
    )


@cache
def _templates(language: str, speech: Speech) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        speech.texts.gettext, speech.texts.ngettext, newstyle=True
    )
    made.globals.update(asset=asset, speech=speech, language=language)
    return made


def draw(template: str, speech: Speech, **given: object) -> bytes:
    """A page in a language, whole."""
    return _templates(speech.code, speech).get_template(template).render(**given).encode()
