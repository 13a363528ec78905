"""Every block of every document is run, compared or read; the few that are not say why."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpay.cli import app
from tests.docs.blocks import DOCUMENTS, ROOT, RUN, Block, blocks

EVERY = [block for document in DOCUMENTS for block in blocks(document)]
# Tested by running it as a whole, in tests/system/test_readme.py.
README = ROOT / "README.md"


def place(block: Block) -> str:
    return block.place


def test_every_fence_that_opens_is_a_block() -> None:
    for document in DOCUMENTS:
        fences = re.findall("^```", document.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(document)), document


@pytest.mark.parametrize("block", EVERY, ids=place)
def test_every_block_is_of_a_kind_that_is_checked_or_says_why_it_is_not(block: Block) -> None:
    if block.why is None:
        assert block.kind in (*RUN, "json", "sh", "text"), "mark it: <!-- not run: why -->"
    else:
        assert len(block.why) > 15, "why it is not run"


def test_few_blocks_are_not_run() -> None:
    assert len([block for block in EVERY if block.why is not None]) <= 12


@pytest.mark.parametrize(
    "block", [one for one in EVERY if one.kind == "sh" and one.why is None], ids=place
)
def test_an_operator_s_commands_are_the_program_s_own(block: Block) -> None:
    for words in commands(block.text):
        if words[0] == "make":
            assert words[1] in targets(), f"make {words[1]}"
        elif words[0] == "kpay":
            given = [VARIABLES.get(word, word) for word in words[1:]]
            app.parse_args(given, exit_on_error=False, print_error=False)


def test_a_command_that_the_program_does_not_know_would_be_noticed() -> None:
    for wrong in ("kpay backups /x", "kpay verify --agains x", "kpay serve --port many"):
        with pytest.raises(Exception, match=r".+"):
            app.parse_args(shlex.split(wrong)[1:], exit_on_error=False, print_error=False)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command, without the variables in front of it."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            del words[0]
        if words:
            words[0] = Path(words[0]).name
            yield words


# What an operator's shell has in its environment.
VARIABLES = {"$KPAY_APPLICATION_ID": "e7c3b4f5-8d9e-4a1b-9c2d-3e4f5a6b7c8d"}


def targets() -> set[str]:
    return set(re.findall("^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
