"""The fenced blocks of our documents, and what a test does with each.

- `bash`, `js`, `python`: run, from top to bottom, one process for the shell of a whole document.
- `json` after one of those: what it must have printed. Figures and texts are compared as they are;
  identifiers, references, dates and tokens by their form.
- `sh`: an operator's commands. They change a machine, so they are not run here, but every `kpay …`
  in them is read by the program's own parser and every `make …` must be a target.
- `text`: a picture or what a program said once; there is nothing to run.
- Anything else, and any of the above that cannot be run, has `<!-- not run: why -->` above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.+?) -->\n+)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

RUN = ("bash", "js", "python")


@dataclass(frozen=True)
class Block:
    """One block: what it is, what is in it, its line, and why it is not run if it is not."""

    document: Path
    line: int
    kind: str
    text: str
    why: str | None

    @property
    def place(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """The blocks of a document, in order."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, found.start("kind")) + 1,
            found["kind"],
            found["text"],
            found["why"],
        )
        for found in _BLOCK.finditer(text)
    ]
