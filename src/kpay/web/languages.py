"""The languages that people read here, and which of them a request is answered in."""

from __future__ import annotations

ENGLISH = "en"
FRENCH = "fr"
LANGUAGES = (ENGLISH, FRENCH)


def picked_language(chosen: str | None, accept: str) -> str:
    """The one that was chosen, else the one of ours that the browser likes best.

    `accept` is the Accept-Language header (RFC 9110, 12.5.4). Who likes neither reads French, which
    most of the countries served do.
    """
    if chosen in LANGUAGES:
        return chosen
    liked = sorted(_weighed(accept), key=lambda pair: -pair[1])
    for name, weight in liked:
        code = name.partition("-")[0].lower()
        if weight > 0 and code in LANGUAGES:
            return code
    return FRENCH


def _weighed(accept: str) -> list[tuple[str, float]]:
    """Each language of the header with its weight; what cannot be read counts for nothing."""
    found = []
    for part in accept.split(",")[:20]:
        name, _, parameter = part.strip().partition(";")
        weight = parameter.strip().removeprefix("q=") if parameter else "1"
        try:
            found.append((name.strip(), float(weight)))
        except ValueError:
            found.append((name.strip(), 0.0))
    return found
