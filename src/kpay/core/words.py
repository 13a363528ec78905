"""Words that stand beside a rule in English, and that people read in their own language."""

from __future__ import annotations


def to_say(words: str) -> str:
    """Mark words that commands print as they are and the dashboard says in a reader's language.

    `scripts/texts` gathers whatever is marked, so that the words stand here once.
    """
    return words
