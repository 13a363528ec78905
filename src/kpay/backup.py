"""`kpay backup` and `kpay restore`: everything that a home holds, copied while it is in use.

A backup has the shape of a home: the data, the database's password, the secret that keys are hashed
with. Beside them `backup.json` says what they are and is written last, and the folder appears under
its name when all of it was read again and agrees. So a backup is whole, or it is not there.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kpay import __version__
from kpay.access.secret import SECRET_FILE
from kpay.database.embedded import EmbeddedServer
from kpay.database.embedded.base_backup import check, put_in_place, take
from kpay.database.embedded.places import Places, is_empty
from kpay.database.embedded.private import sync_folder, write_private
from kpay.database.migrate import migrations
from kpay.database.pool import connect
from kpay.database.ready import ready_database
from kpay.settings import Settings

Say = Callable[[str], None]

MANIFEST = "backup.json"

# What a home holds beside the data, by its place under it. The last is the demonstration's keys.
_PASSWORD = "postgres/password"
_FILES = (_PASSWORD, SECRET_FILE, "demonstration.json")

# References that were given after the backup began must not be given again (decision 7): this is
# more than a busy day's.
_SKIPPED_REFERENCES = 100_000_000

_OWN_SERVER = (
    "KPAY_DATABASE_URL is set, so the database is a server of your own, and its own programs are "
    "what {does} it: docs/backup.md says how. (The secret, KPAY_SECRET or {secret}, belongs to it.)"
)


class BackupError(Exception):
    """Nothing was made or put back; the message says why and what to do."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is: made by which program at which schema, and its files' SHA-256.

    Everything that was answered before `begun` is in it. With `secret_given` the secret came from
    KPAY_SECRET and is not in it. The data has a list of its own, PostgreSQL's `backup_manifest`.
    """

    kpay: str
    schema: int
    begun: datetime
    ended: datetime
    secret_given: bool
    files: dict[str, str]


def back_up(settings: Settings, folder: Path, say: Say) -> Manifest:
    """Copy the home into a new or empty folder while it is in use. Returns what was made."""
    if settings.database_url is not None:
        raise BackupError(_own_server(settings, "copies"))
    places = Places(settings.home.resolve())
    if not settings.home.is_dir() or is_empty(places.data):
        raise BackupError(f"There is no database in {settings.home}; nothing was made.")
    target = _target(places, folder)
    with EmbeddedServer.attach(settings.home, progress=say) as server:
        schema = asyncio.run(_schema(server.url))
        with _unfinished(target) as new:
            begun = datetime.now(UTC)
            data = Places(new).data
            data.parent.mkdir(mode=0o700)
            take(server.url, data, say)
            given = settings.secret is not None
            files = _keep_files(places.home, new, without_secret=given)
            check(data, say)
            manifest = Manifest(
                kpay=__version__,
                schema=schema,
                begun=begun,
                ended=datetime.now(UTC),
                secret_given=given,
                files=files,
            )
            content = msgspec.json.format(msgspec.json.encode(manifest))
            write_private(new / MANIFEST, content)
    return manifest


def restore(settings: Settings, folder: Path, say: Say) -> Manifest:
    """Make a backup the database of a home that has none, and start it. Returns what it was.

    What is damaged or of a newer program is refused, and so is a home that is in use.
    """
    if settings.database_url is not None:
        raise BackupError(_own_server(settings, "restores"))
    folder = folder.resolve()
    manifest = _read_manifest(folder)
    kept = {name: _kept(folder, name, listed) for name, listed in manifest.files.items()}
    put_in_place(settings.home, Places(folder), kept, say)
    # The database recovers, and shows that this program can use it.
    with ready_database(settings, say=say) as ready:
        asyncio.run(_skip_references(ready.migration_url or ""))
    return manifest


def _own_server(settings: Settings, does: str) -> str:
    return _OWN_SERVER.format(does=does, secret=settings.home / SECRET_FILE)


def _target(places: Places, folder: Path) -> Path:
    """Where the backup goes, if it can go there: it appears by a rename from beside it."""
    target = folder.resolve()
    if not target.parent.is_dir():
        raise BackupError(f"There is no folder {target.parent}; make it, or name another one.")
    if target.exists() and not target.is_dir():
        raise BackupError(f"{target} is a file; name a new or empty folder.")
    if not is_empty(target):
        raise BackupError(f"{target} is not empty; name a new or empty folder.")
    if os.path.ismount(target):
        raise BackupError(f"A disk is mounted on {target}; name a new folder on it.")
    if places.postgres in (target, *target.parents):
        raise BackupError(f"{target} is inside the database itself; name a folder elsewhere.")
    return target


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A folder beside the target, which takes its name at the end or is gone."""
    new = target.with_name(f"{target.name}.unfinished")
    try:
        with suppress(FileExistsError):
            new.mkdir(mode=0o700)
        with _alone(new):
            try:
                _clear(new)
                yield new
                for place, _, _ in os.walk(new):
                    sync_folder(Path(place))
                new.rename(target)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
        sync_folder(target.parent)
    except OSError as problem:
        raise BackupError(f"{target} cannot be written ({problem.strerror}).") from problem


@contextmanager
def _alone(new: Path) -> Iterator[None]:
    """Tell what a killed process left, which is ours now, from what another is writing."""
    lock = os.open(new, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The one that had it may have given it its name in between.
        if not new.exists() or os.fstat(lock).st_ino != new.stat().st_ino:
            raise BlockingIOError
        yield
    except BlockingIOError:
        raise BackupError(f"Another backup is being written to {new}; wait for it.") from None
    finally:
        os.close(lock)


def _clear(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _keep_files(home: Path, new: Path, *, without_secret: bool) -> dict[str, str]:
    """Copy the home's files that are not the data; returns their sums by their place."""
    sums = {}
    for name in _FILES:
        content = None if without_secret and name == SECRET_FILE else _content(home / name)
        if content is not None:
            write_private(new / name, content)
            sums[name] = _sum(content)
    return sums


def _read_manifest(folder: Path) -> Manifest:
    """What a backup says that it is. Raises BackupError where this program cannot restore it."""
    content = _content(folder / MANIFEST)
    if content is None:
        raise BackupError(f"{folder} holds no backup: there is no {MANIFEST} in it.")
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as problem:
        raise BackupError(
            f"{folder / MANIFEST} is damaged ({problem}); nothing was made."
        ) from None
    newest = migrations()[-1].number
    if manifest.schema > newest:
        raise BackupError(
            f"{folder} was made by kpay {manifest.kpay} with the schema at version "
            f"{manifest.schema} and this program knows only {newest}: install that kpay."
        )
    unknown = sorted(set(manifest.files).difference(_FILES))
    if unknown or _PASSWORD not in manifest.files:
        raise BackupError(f"{folder / MANIFEST} is damaged: it lists other files.")
    return manifest


def _kept(folder: Path, name: str, listed: str) -> bytes:
    content = _content(folder / name)
    if content is None or _sum(content) != listed:
        raise BackupError(f"{folder / name} is damaged or gone.")
    return content


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise BackupError(f"{path} cannot be read ({problem.strerror}).") from problem


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def _schema(url: str) -> int:
    connection = await connect(url)
    try:
        number: int = await connection.fetchval("select max(number) from schema_migrations")
    finally:
        await connection.close()
    return number


async def _skip_references(url: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(
            "select setval('reference_numbers', nextval('reference_numbers') + $1)",
            _SKIPPED_REFERENCES,
        )
    finally:
        await connection.close()
