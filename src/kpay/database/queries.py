"""SQL lives in `.sql` files beside the code that calls it; this reads them.

A file is a list of statements, each under two comment lines: `-- name: lock_accounts` and one line
that says what it does. `psql -f` can run any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Queries(Mapping[str, str]):
    """The statements of one file, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        self._statements = {
            name: body.strip().rstrip(";")
            for name, body in zip(parts[1::2], parts[2::2], strict=True)
        }

    def __getitem__(self, name: str) -> str:
        return self._statements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


def beside(module_file: str, name: str = "queries.sql") -> Queries:
    """The queries in the file beside a module: `SQL = beside(__file__)`."""
    return Queries(Path(module_file).with_name(name))
