"""The dashboard's style, read as text: what a browser would pass over without a word."""

from __future__ import annotations

import re
from importlib.resources import files


def test_every_block_of_the_style_is_closed_before_the_next_width_begins() -> None:
    """A brace that a merge lost would put all that follows it under a phone's width."""
    text = files("kpay.dashboard").joinpath("static/style.css").read_text()
    depth = 0
    for line in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines():
        assert depth == 0 or not line.startswith("@media"), line
        depth += line.count("{") - line.count("}")
        assert depth >= 0, line
    assert depth == 0
