"""A page inside: with the column of places beside it, in the visitor's language."""

from __future__ import annotations

from kpay.dashboard.drawing import HEADERS, draw
from kpay.dashboard.menu import menu
from kpay.dashboard.page import Visit
from kpay.web.pages import Answer


def drawn(visit: Visit, template: str, status: int = 200, **given: object) -> Answer:
    """An answer with a page that extends `page.html`."""
    body = draw(template, visit.speech, visit=visit, menu=menu(visit), **given)
    return Answer(status, body, HEADERS)
