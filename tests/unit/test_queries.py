"""SQL files: every statement is named and described, and used; every name that is used exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kpay
from kpay.database.queries import Queries, beside

SOURCE = Path(kpay.__file__).parent
FILES = [path for path in sorted(SOURCE.rglob("*.sql")) if path.parent.name != "migrations"]
FOLDERS = [path.parent for path in FILES if path.name == "queries.sql"]
_USED = re.compile(r'SQL\["(\w+)"\]')
_ANY_USE = re.compile(r"\bSQL\[")
# A module may hand its statements to a class that several nouns share, which asks for them by name.
_HANDED_OVER = re.compile(r"\bSQL\b[,)]")
_USED_OF_OTHERS = re.compile(r'_queries\["(\w+)"\]')
# One line that says what the statement does, and then the statement.
_DESCRIBED = re.compile(r"-- (?:\d+\. )?[A-Z][^\n]+[.]\n(?!\s*--)\S")


def named(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def modules(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))


def used_in(folder: Path) -> set[str]:
    """The names that are asked of a folder's own queries.sql, by its modules or on their behalf."""
    text = modules(folder)
    shared = _USED_OF_OTHERS.findall(modules(SOURCE)) if _HANDED_OVER.search(text) else []
    return {*_USED.findall(text), *shared}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_statement_of_a_file_has_a_name_and_one_line_that_says_what_it_does(
    path: Path,
) -> None:
    text = path.read_text(encoding="utf-8")
    queries = Queries(path)

    assert queries
    # Nothing stands before the first name, so nothing is lost; and no name hides another.
    assert text.startswith("-- name: ")
    assert len(queries) == text.count("-- name: ")
    for name, statement in queries.items():
        assert _DESCRIBED.match(statement), f"{name} is not described in one line"
        assert ";" not in re.sub(r"'[^']*'|--[^\n]*", "", statement), f"{name} is more than one"


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_every_statement_is_used_and_every_name_that_is_used_exists(folder: Path) -> None:
    assert used_in(folder) == set(Queries(folder / "queries.sql"))


def test_a_name_is_always_written_out_where_it_is_used() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(_ANY_USE.findall(text)) == len(_USED.findall(text)), path
        assert bool(_USED.search(text)) <= ((path.parent / "queries.sql").is_file()), path


def test_a_file_is_read_into_its_statements(tmp_path: Path) -> None:
    (tmp_path / "queries.sql").write_text(
        "-- name: one\n-- The first.\nselect 1;\n\n-- name: two\n-- The second.\nselect 2\n",
        encoding="utf-8",
    )

    queries = beside(str(tmp_path / "store.py"))

    assert dict(queries) == {"one": "-- The first.\nselect 1", "two": "-- The second.\nselect 2"}


def test_a_name_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    path = tmp_path / "queries.sql"
    path.write_text("-- name: one\n-- The first.\nselect 1;\n", encoding="utf-8")

    with pytest.raises(KeyError, match="two"):
        Queries(path)["two"]
