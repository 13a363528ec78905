"""The dashboard's style: what is meant for a narrow window ends where it should."""

from __future__ import annotations

import re
from pathlib import Path

STYLE = Path(__file__).parents[2] / "src" / "kpay" / "dashboard" / "static" / "style.css"


def test_every_rule_of_the_style_is_closed_before_the_next_part_begins() -> None:
    """A browser takes all that follows an unclosed one for a part of it, and says nothing."""
    style = STYLE.read_text()
    depth = 0
    for token in re.findall(r"/\*.*?\*/|[{}]", style, re.DOTALL):
        if token.startswith("/*"):
            assert depth == 0, f"a rule is still open at {token}"
        else:
            depth += 1 if token == "{" else -1
        assert depth >= 0
    assert depth == 0
