"""Draws the page: templates, one style, one script, and the headers that let nothing else in.

Style and script are in the page itself: one request on a slow line, and nothing is fetched from
anywhere. The Content-Security-Policy names them by their hashes. A page is compressed, to a third:
who could learn its token from its length would have to know the token to ask for it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kpay.hosted.language import Language
from kpay.hosted.view import View
from kpay.web.pages import source_hash

_FOLDER = Path(__file__).with_name("page")


def _source(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


# Comments are for who reads the file; every payer would pay for them.
_STYLE = _source("style.css")
_SCRIPT = re.sub(r"^\s*//.*\n|^\s+", "", _source("page.js"), flags=re.MULTILINE)


_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {source_hash(_STYLE)}",
        f"script-src {source_hash(_SCRIPT)}",
        "connect-src 'self'",
        "form-action 'self'",
        # The page has an empty picture of its own, so that no browser asks for /favicon.ico.
        "img-src data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"accept-language, accept-encoding"),
)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def draw(view: View, language: Language, *, at: str, query: str) -> bytes:
    """The page of an operation. `at` is its address from where it is shown.

    `query` keeps the language that was chosen.
    """

    def told(key: str) -> str:
        """A sentence of this kind of operation, with what is known of it."""
        return language.say(
            f"{view.kind}.{key}",
            merchant=view.merchant,
            amount=view.receives or view.amount,
            operator=view.operator,
            phone=view.phone,
            example=view.example,
        )

    return _render("page.html", language, t=told, view=view, at=at, query=query, script=_SCRIPT)


def draw_notice(notice: str, language: Language, *, at: str, query: str) -> bytes:
    """A page about no operation: `missing` or `trouble`."""
    return _render("notice.html", language, notice=notice, at=at, query=query, script="")


def _render(name: str, language: Language, **given: object) -> bytes:
    template = _templates().get_template(name)
    return template.render(lang=language, say=language.say, style=_STYLE, **given).encode()
