"""`kpay person`: what the operator does about who signs in."""

from __future__ import annotations

import os
import pty
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.people import PASSWORD
from tests.system.program import COMMAND_SECONDS, Program

AMINA = ("--email", "Amina@Example.com", "--name", "Amina Obi")


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """A home of its own: who else signs in elsewhere would be listed too."""
    with tempfile.TemporaryDirectory(prefix="kpay-people-", ignore_cleanup_errors=True) as home:
        yield Program(Path(home), {"KPAY_LOG_LEVEL": "warning"})


@pytest.fixture(scope="module", autouse=True)
def database_is_up(program: Program) -> Iterator[None]:
    """Kept up by a worker, so that no command has to start it."""
    with program.working():
        yield


def test_a_person_is_made_listed_reset_disabled_and_enabled(program: Program) -> None:
    made = program.json("person", "create", "--company", "People", *AMINA)
    assert made["person"]["email"] == "amina@example.com"
    assert "/password/kppwd_" in made["link"]

    reset = program.run("person", "reset", "AMINA@example.com")
    assert "/password/kppwd_" in reset.stdout
    assert reset.stdout.strip() != made["link"]
    assert program.run("person", "sign-out", "amina@example.com").stdout == "Sessions ended: 0.\n"
    assert program.run("person", "disable", "amina@example.com").returncode == 0
    [person] = program.json("person", "list")
    assert person["companies"] == [{"name": "People", "role": "OWNER"}]
    assert (person["hasPassword"], person["hasSecondFactor"]) == (False, False)
    assert person["disabledAt"] is not None
    refused = program.run("person", "reset", "amina@example.com")
    assert (refused.returncode, refused.stderr) == (
        2,
        "amina@example.com is disabled: enable it first.\n",
    )
    assert program.run("person", "enable", "amina@example.com").returncode == 0


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(program: Program) -> None:
    words = ("person", "operator", "--email", "olga@example.com", "--name", "Olga", "--role")

    for answers, code, sentence in (
        ((PASSWORD, PASSWORD + "!"), 2, "The two passwords are not the same."),
        ((PASSWORD, PASSWORD), 0, "signs in as olga@example.com"),
    ):
        shown, ended = _typed(program, (*words, "support"), answers)
        assert (ended, sentence in shown) == (code, True), shown
        assert PASSWORD not in shown
        assert "/password/" not in shown

    listed = program.run("person", "list").stdout
    assert "olga@example.com" in listed
    assert "support" in listed


def _typed(program: Program, words: Sequence[str], answers: Sequence[str]) -> tuple[str, int]:
    """What a terminal shows of a command, answered line by line, and how it ended."""
    terminal, other_side = pty.openpty()
    process = subprocess.Popen(
        program._command(*words),
        env=program.environment,
        stdin=other_side,
        stdout=other_side,
        stderr=other_side,
        start_new_session=True,
    )
    os.close(other_side)
    shown, waiting = "", list(answers)
    # Linux says by an error that nobody has the other side open any more.
    with suppress(OSError):
        while part := os.read(terminal, 4_096).decode(errors="replace"):
            shown += part
            if waiting and shown.endswith(": "):
                os.write(terminal, f"{waiting.pop(0)}\n".encode())
    os.close(terminal)
    return shown, process.wait(COMMAND_SECONDS)
