"""Backup and restore: whole or absent, and nothing is overwritten, whatever goes wrong.

One home is made and backed up once; each test works on a copy of that backup, or on a new folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import msgspec
import pytest

from kpay.access.secret import load_secret
from kpay.app import House
from kpay.backup import BackupError, Manifest, back_up, restore
from kpay.database.embedded import EmbeddedServer, EmbeddedServerError
from kpay.database.migrate import migrations
from kpay.database.ready import ready_database
from kpay.settings import Settings

_SECONDS = 60


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which another run's start closes to the server's user."""
    with tempfile.TemporaryDirectory(prefix="kpay-backup-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    """A home with a migrated database, a secret and an application."""
    settings = Settings(home=folder / "home")
    with ready_database(settings) as ready:
        asyncio.run(_join(ready))
    return settings


@pytest.fixture(scope="module")
def made(settings: Settings, folder: Path) -> Path:
    """A backup of it, which tests only read."""
    back_up(settings, folder / "made", _hush)
    return folder / "made"


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy of the backup that the test may damage."""
    return Path(shutil.copytree(made, tmp_path / "mine"))


@pytest.fixture
def elsewhere() -> Iterator[Settings]:
    """A home that is not there yet."""
    with tempfile.TemporaryDirectory(prefix="kpay-restore-", ignore_cleanup_errors=True) as name:
        yield Settings(home=Path(name) / "home")


def test_a_backup_has_everything_of_the_home_and_nobody_else_may_read_it(
    settings: Settings, made: Path
) -> None:
    assert {path.name for path in made.iterdir()} == {"backup.json", "postgres", "secret"}
    assert (made / "secret").read_bytes() == (settings.home / "secret").read_bytes()
    assert made.stat().st_mode & 0o777 == 0o700
    for name in ("secret", "backup.json", "postgres/password", "postgres/data/PG_VERSION"):
        assert (made / name).stat().st_mode & 0o777 == 0o600, name
    assert _manifest(made).schema == migrations()[-1].number


def test_what_is_restored_has_the_rows_and_the_secret_and_starts_by_itself(
    settings: Settings, made: Path, elsewhere: Settings
) -> None:
    stages: list[str] = []
    restore(elsewhere, made, stages.append)

    assert "checking the copy" in stages
    assert (elsewhere.home / "secret").read_bytes() == (settings.home / "secret").read_bytes()
    assert (elsewhere.home / "secret").stat().st_mode & 0o777 == 0o600
    with ready_database(elsewhere) as ready:
        assert asyncio.run(_applications(ready)) == ["shop"]


def test_a_reference_that_was_given_after_the_backup_is_not_given_again(
    settings: Settings, made: Path, elsewhere: Settings
) -> None:
    """A merchant holds those of operations that the backup does not know."""
    with EmbeddedServer.attach(settings.home) as server:
        given = [_number(server.url) for _ in range(100)]

    restore(elsewhere, made, _hush)

    with EmbeddedServer.attach(elsewhere.home) as server:
        assert _number(server.url) > max(given)


def test_a_folder_of_its_own_that_is_empty_may_be_there(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    back_up(settings, tmp_path / "empty", _hush)
    assert _manifest(tmp_path / "empty").files
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_folder_with_something_in_it_is_refused_and_left_alone(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("keep me")
    (tmp_path / "file").write_text("keep me too")

    for name, why in (("full", "is not empty"), ("file", "is a file"), ("no/where", "no folder")):
        with pytest.raises(BackupError, match=why):
            back_up(settings, tmp_path / name, _hush)
    with pytest.raises(BackupError, match="inside the database"):
        back_up(settings, settings.home / "postgres" / "copy", _hush)

    assert (tmp_path / "full" / "letter").read_text() == "keep me"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]


def test_a_home_without_a_database_is_not_given_one_by_backing_it_up(
    elsewhere: Settings, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="no database"):
        back_up(elsewhere, tmp_path / "copy", _hush)
    assert not elsewhere.home.exists()


@pytest.mark.parametrize("stage", ["copying the database", "checking the copy"])
def test_a_backup_that_is_interrupted_is_absent(
    settings: Settings, tmp_path: Path, stage: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        back_up(settings, tmp_path / "copy", _interrupt_at(stage))
    # The process of pg_basebackup that fetches the log may have written its last file meanwhile.
    assert not (tmp_path / "copy").exists()


def test_what_a_killed_backup_left_is_cleared_by_the_next(
    settings: Settings, tmp_path: Path
) -> None:
    left = tmp_path / "copy.unfinished" / "postgres"
    left.mkdir(parents=True)
    (left.parent / "secret").write_text("half")

    back_up(settings, tmp_path / "copy", _hush)

    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_two_backups_into_one_folder_do_not_meet(settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "copy.unfinished"
    other.mkdir()
    (other / "half").write_text("keep me")
    lock = os.open(other, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="Another backup"):
            back_up(settings, tmp_path / "copy", _hush)
    finally:
        os.close(lock)
    assert (other / "half").read_text() == "keep me"


def test_a_database_with_a_damaged_page_is_not_passed_off_as_a_backup(
    made: Path, elsewhere: Settings, tmp_path: Path
) -> None:
    restore(elsewhere, made, _hush)
    with EmbeddedServer.attach(elsewhere.home) as server:
        table = str(_ask(server.url, "select pg_relation_filepath('applications')"))
    _flip(elsewhere.home / "postgres" / "data" / table, at=4_000)

    with pytest.raises(EmbeddedServerError, match="checksum verification failed"):
        back_up(elsewhere, tmp_path / "copy", _hush)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    ["postgres/data/global/pg_control", "postgres/data/pg_wal/0*", "secret", "postgres/password"],
)
def test_a_damaged_backup_is_refused_and_makes_nothing(
    mine: Path, elsewhere: Settings, place: str
) -> None:
    # Of the log, only what was written during the backup counts, and that begins the first file.
    _flip(min(mine.glob(place)), at=40)
    with pytest.raises((BackupError, EmbeddedServerError), match=r"damaged|pg_verifybackup"):
        restore(elsewhere, mine, _hush)
    assert not _has_database(elsewhere)
    assert not (elsewhere.home / "secret").exists()


def test_a_file_that_is_gone_from_a_backup_is_missed(mine: Path, elsewhere: Settings) -> None:
    (mine / "postgres" / "data" / "PG_VERSION").unlink()
    with pytest.raises(EmbeddedServerError):
        restore(elsewhere, mine, _hush)
    assert not _has_database(elsewhere)

    (mine / "secret").unlink()
    with pytest.raises(BackupError, match="secret is damaged or gone"):
        restore(elsewhere, mine, _hush)

    (mine / "backup.json").unlink()
    with pytest.raises(BackupError, match="holds no backup"):
        restore(elsewhere, mine, _hush)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 9_999}, "with the schema at version 9999"),
        ({"files": {}}, "damaged"),
        ({"files": {"postgres/password": "", "../../etc/passwd": ""}}, "damaged"),
        ({"begun": "yesterday"}, "damaged"),
    ],
)
def test_a_manifest_that_this_program_cannot_follow_is_refused(
    mine: Path, elsewhere: Settings, change: dict[str, object], why: str
) -> None:
    path = mine / "backup.json"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **change}))
    with pytest.raises(BackupError, match=why):
        restore(elsewhere, mine, _hush)
    assert not elsewhere.home.exists()


def test_a_home_with_a_database_is_refused_and_stays_as_it_is(
    settings: Settings, made: Path
) -> None:
    with pytest.raises(EmbeddedServerError, match="There is a database in"):
        restore(settings, made, _hush)
    with ready_database(settings) as ready:
        assert asyncio.run(_applications(ready)) == ["shop"]
        with pytest.raises(EmbeddedServerError, match="A program is using the database"):
            restore(settings, made, _hush)


def test_a_home_with_another_secret_is_refused(made: Path, elsewhere: Settings) -> None:
    kept = load_secret(elsewhere.home, None)
    with pytest.raises(EmbeddedServerError, match="secret is another one than the backup's"):
        restore(elsewhere, made, _hush)
    assert not _has_database(elsewhere)
    assert load_secret(elsewhere.home, None) == kept


@pytest.mark.parametrize("stage", ["copying the database", "checking the copy", "writing it"])
def test_a_restore_that_is_interrupted_makes_nothing_and_can_be_done_again(
    made: Path, elsewhere: Settings, stage: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        restore(elsewhere, made, _interrupt_at(stage))
    assert not _has_database(elsewhere)

    restore(elsewhere, made, _hush)

    assert _has_database(elsewhere)


def test_too_little_disk_space_is_told_before_anything_is_copied(
    made: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=110 * 1024 * 1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EmbeddedServerError, match="no space left"):
        restore(elsewhere, made, _hush)
    assert not _has_database(elsewhere)


def test_a_secret_that_is_given_stays_out_of_the_backup(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    given = replace(settings, secret=load_secret(settings.home, None))
    manifest = back_up(given, tmp_path / "copy", _hush)

    assert manifest.secret_given
    assert not (tmp_path / "copy" / "secret").exists()
    restore(elsewhere, tmp_path / "copy", _hush)
    assert not (elsewhere.home / "secret").exists()


@pytest.mark.parametrize("command", [back_up, restore])
def test_a_server_of_the_operator_s_own_is_left_to_its_own_programs(
    settings: Settings, tmp_path: Path, command: Callable[..., Manifest]
) -> None:
    own = replace(settings, database_url="postgresql://ledger@database.example/kpay")
    with pytest.raises(BackupError, match=r"docs/backup\.md"):
        command(own, tmp_path / "copy", _hush)
    assert list(tmp_path.iterdir()) == []


def _hush(_words: str) -> None:
    pass


def _interrupt_at(stage: str) -> Callable[[str], None]:
    """What Ctrl-C does when that stage is reached."""

    def say(words: str) -> None:
        if words.startswith(stage):
            raise KeyboardInterrupt

    return say


def _manifest(backup: Path) -> Manifest:
    return msgspec.json.decode((backup / "backup.json").read_bytes(), type=Manifest)


def _has_database(settings: Settings) -> bool:
    with suppress(FileNotFoundError):
        return any((settings.home / "postgres" / "data").iterdir())
    return False


def _flip(path: Path, at: int) -> None:
    """Change one bit, as a bad disk does."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


async def _join(ready: Settings) -> None:
    house = House(ready)
    await house.open()
    try:
        await house.office.create_application("Acme", "shop")
    finally:
        await house.close()


async def _applications(ready: Settings) -> list[str]:
    """By a house, which refuses to open with another secret than the database's."""
    house = House(ready)
    await house.open()
    try:
        return [row["name"] for row in await house.office.applications()]
    finally:
        await house.close()


def _number(url: str) -> int:
    return int(str(_ask(url, "select nextval('reference_numbers')")))


def _ask(url: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url, timeout=_SECONDS)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())
