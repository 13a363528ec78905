"""What is temporary lies in memory during a run; the next clears away what a killed one left."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.folders import temporary_in_memory


@pytest.fixture(autouse=True)
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's temporary files would lie otherwise."""
    folder = tmp_path / "usual"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


def made() -> Path:
    return Path(tempfile.mkdtemp()).parent


def test_everything_temporary_lies_there_meanwhile_and_is_gone_afterwards(
    memory: Path, usual: Path
) -> None:
    with temporary_in_memory(memory, 0) as folder:
        assert folder is not None
        assert folder.parent == memory
        assert made() == folder

    assert list(memory.iterdir()) == []
    assert made() == usual


def test_without_room_or_without_memory_all_stays_in_its_usual_place(
    memory: Path, usual: Path
) -> None:
    for place, room in ((memory, 1 << 62), (memory / "none", 0)):
        with temporary_in_memory(place, room) as folder:
            assert folder is None
            assert made() == usual
    assert list(memory.iterdir()) == []


def test_what_a_killed_run_has_left_is_cleared_away_and_a_running_one_is_not_disturbed(
    memory: Path,
) -> None:
    left = memory / "kpay-tests-killed"
    (left / "data").mkdir(parents=True)
    (left / "lock").touch()
    (memory / "another-program").mkdir()

    with temporary_in_memory(memory, 0) as first, temporary_in_memory(memory, 0) as second:
        assert set(memory.iterdir()) == {first, second, memory / "another-program"}
