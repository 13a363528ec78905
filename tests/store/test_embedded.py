"""The embedded server: it starts, is shared, survives crashes, and says clearly why it cannot.

Every server that a test starts is ended by the `home` fixture, whatever the test did to it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest

from kpay.database.embedded import EmbeddedServer, EmbeddedServerError, programs
from kpay.database.embedded.log import Log, failure
from kpay.database.embedded.passage import AclEntry, acl_with_passage
from kpay.database.embedded.places import Places, prepare_home, short_folder
from kpay.database.embedded.private import private_folder
from kpay.database.embedded.process import alive, running
from kpay.database.embedded.user import ServerUser

# Another Python finds what this one finds.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
HELPER = """
import sys
from pathlib import Path
from kpay.database.embedded import EmbeddedServer, EmbeddedServerError
try:
    server = EmbeddedServer.attach(Path(sys.argv[1]))
except EmbeddedServerError as error:
    sys.exit(str(error))
print(server.url, flush=True)
sys.stdin.readline()
server.release()
"""

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")

Attach = Callable[..., EmbeddedServer]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder that is not below pytest's own.

    Every start of pytest closes that one to other users, and with it to the user of the servers
    which another run has there.
    """
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def home(folder: Path) -> Iterator[Path]:
    """A folder that does not exist yet."""
    yield folder / "home"
    end_server(folder / "home")


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "home"


@pytest.fixture
def made(shared_home: Path) -> Iterator[Path]:
    """A folder with a database in it that is stopped; the tests which use it leave it usable."""
    try:
        EmbeddedServer.attach(shared_home).release()
        yield shared_home
    finally:
        end_server(shared_home)


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Attach to a server, and release every share that the test leaves."""
    servers: list[EmbeddedServer] = []

    def attach(home: Path, progress: Callable[[str], None] | None = None) -> EmbeddedServer:
        servers.append(EmbeddedServer.attach(home, progress))
        return servers[-1]

    yield attach
    for server in servers:
        server.release()


class Helper:
    """Another process that is attached to the server."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HELPER, str(home)],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate("\n", timeout=30)


@pytest.fixture
def helper() -> Iterator[Callable[[Path], Helper]]:
    helpers: list[Helper] = []

    def start(home: Path) -> Helper:
        helpers.append(Helper(home))
        return helpers[-1]

    yield start
    for started in helpers:
        started.process.kill()
        started.process.communicate()


@contextmanager
def contents(path: Path, wrong: bytes) -> Iterator[None]:
    """Put something else into a file for a while."""
    right = path.read_bytes()
    path.write_bytes(wrong)
    try:
        yield
    finally:
        path.write_bytes(right)


def end_server(home: Path) -> None:
    places = Places(home.resolve())
    if home.is_dir() and (server := running(places)) and server.pid:
        os.kill(server.pid, signal.SIGQUIT)
        wait_for_death(server.pid)
    shutil.rmtree(short_folder(places), ignore_errors=True)


def wait_for_death(pid: int) -> None:
    give_up = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < give_up, f"process {pid} did not end"
        time.sleep(0.005)


def server_pid(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().splitlines()[0])


def ask(url: str, *statements: str) -> object:
    """Run the statements; returns the first value that the last one gives."""

    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


def test_first_attach_makes_a_database_that_answers(home: Path, attach: Attach) -> None:
    stages: list[str] = []
    server = attach(home, stages.append)

    assert stages[-2:] == ["initialising the database", "starting the database"]
    assert ask(server.url, "select current_user || '@' || current_database()") == "kpay@kpay"
    shown = "select string_agg(current_setting(name), ' ') from unnest($${%s}$$::text[]) name"
    names = "server_encoding,data_checksums,TimeZone,fsync,listen_addresses"
    assert ask(server.url, shown % names) == "UTF8 on UTC on "
    assert (home / "postgres/password").stat().st_mode & 0o777 == 0o600
    assert (home / "postgres/data").stat().st_mode & 0o777 == 0o700


def test_a_wrong_password_is_refused(made: Path, attach: Attach) -> None:
    server = attach(made)
    password = server.url.split(":")[2].split("@")[0]

    for wrong in (server.url.replace(password, "guess"), server.url.replace(f":{password}", "")):
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(wrong, "select 1")


def test_the_lock_files_are_not_held_open_by_the_server(made: Path, attach: Attach) -> None:
    with EmbeddedServer.attach(made), (made / "postgres/start.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_server_is_shared_and_stops_after_the_last_release(
    home: Path, attach: Attach, helper: Callable[[Path], Helper]
) -> None:
    first, second = helper(home), helper(home)  # Both find an empty folder and race for the start.
    assert first.url() == second.url()
    pid = server_pid(home)

    ours = attach(home)
    first.end()
    second.end()
    assert server_pid(home) == pid
    assert ask(ours.url, "select 1") == 1

    ours.release()
    assert not alive(pid)
    ours.release()


def test_the_server_survives_a_kill_of_our_process_and_is_found_again(
    made: Path, attach: Attach, helper: Callable[[Path], Helper]
) -> None:
    other = helper(made)
    ask(other.url(), "create table kept_by_kill as select 7 as n", "select 1")
    pid = server_pid(made)
    other.process.kill()
    other.process.wait()

    stages: list[str] = []
    server = attach(made, stages.append)
    assert (server_pid(made), stages) == (pid, [])
    assert ask(server.url, "select n from kept_by_kill") == 7

    server.release()
    assert not alive(pid), "the killed process must not count as a user"


def test_a_killed_server_is_started_again_with_its_data(made: Path, attach: Attach) -> None:
    url = attach(made).url

    async def kill_under_a_connection() -> EmbeddedServer:
        # The connection keeps a process of the old server, and with it its shared memory, alive
        # until that process notices.
        connection = await asyncpg.connect(url)
        await connection.execute("create table t as select 7 as n")
        pid = server_pid(made)
        os.kill(pid, signal.SIGKILL)
        wait_for_death(pid)
        server = attach(made)
        connection.terminate()
        return server

    server = asyncio.run(kill_under_a_connection())
    assert ask(server.url, "select n from t") == 7


def test_a_number_that_now_belongs_to_another_process_is_seen_through(
    made: Path, attach: Attach
) -> None:
    server = attach(made)
    left = (made / "postgres/data/postmaster.pid").read_text().splitlines()
    run = Path(left[4])
    lock_left = (run / ".s.PGSQL.5432.lock").read_text().splitlines()
    server.release()

    owner = (made / "postgres/data").stat()
    other = owner.st_uid if os.geteuid() == 0 else None
    # Only a process of the same user makes PostgreSQL itself believe that it still runs.
    with subprocess.Popen(["sleep", "60"], user=other) as stranger:
        try:
            for file, lines in (
                (made / "postgres/data/postmaster.pid", left),
                (run / ".s.PGSQL.5432.lock", lock_left),
            ):
                file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
                os.chown(file, owner.st_uid, owner.st_gid)
            assert ask(attach(made).url, "select 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_server_whose_socket_was_cleaned_away_is_started_again(
    made: Path, attach: Attach
) -> None:
    attach(made)
    pid = server_pid(made)
    (made / "postgres/run/.s.PGSQL.5432").unlink()

    assert ask(attach(made).url, "select 1") == 1
    assert server_pid(made) != pid


def test_an_interrupted_initialisation_is_done_again(home: Path, attach: Attach) -> None:
    (home / "postgres/data.new/data/base").mkdir(parents=True)
    (home / "postgres/data.new/data/PG_VERSION").write_text("18\n")

    assert ask(attach(home).url, "select 1") == 1
    assert not (home / "postgres/data.new").exists()


@pytest.mark.parametrize("name", ["long" * 30, "with, comma"])
def test_a_folder_name_that_no_socket_can_have_works(folder: Path, name: str) -> None:
    home = folder / name
    try:
        with EmbeddedServer.attach(home) as server:
            assert ask(server.url, "select 1") == 1
            assert short_folder(Places(home.resolve())).exists()
    finally:
        end_server(home)
    assert not short_folder(Places(home.resolve())).exists()


def test_a_folder_that_somebody_else_put_in_the_way_of_the_socket_is_refused(
    tmp_path: Path,
) -> None:
    user = ServerUser(os.geteuid(), os.getegid())
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "own")

    private_folder(tmp_path / "own", user)
    for planted in ("open", "link"):
        with pytest.raises(EmbeddedServerError, match="remove it and try again"):
            private_folder(tmp_path / planted, user)


def test_a_home_that_is_a_file_is_refused(home: Path, attach: Attach) -> None:
    home.write_text("")
    with pytest.raises(EmbeddedServerError, match="is a file; set KPAY_HOME to a folder"):
        attach(home)


def test_a_home_inside_a_file_is_refused(home: Path) -> None:
    home.write_text("")
    with pytest.raises(EmbeddedServerError, match="Not a directory"):
        EmbeddedServer.attach(home / "below")


def test_data_of_another_postgresql_version_is_refused(made: Path, attach: Attach) -> None:
    wrong = contents(made / "postgres/data/PG_VERSION", b"17\n")
    with (
        wrong,
        pytest.raises(EmbeddedServerError, match=r"by PostgreSQL 17 .* PostgreSQL 18"),
    ):
        attach(made)


def test_a_folder_that_holds_no_database_is_left_alone(home: Path, attach: Attach) -> None:
    (home / "postgres/data").mkdir(parents=True)
    (home / "postgres/data/letter.txt").write_text("keep me")
    with pytest.raises(EmbeddedServerError, match=r"is gone from|something else than a database"):
        attach(home)
    (home / "postgres/password").write_text("secret")
    with pytest.raises(EmbeddedServerError, match="something else than a database"):
        attach(home)
    assert (home / "postgres/data/letter.txt").read_text() == "keep me"


def test_a_lost_password_is_named(made: Path, attach: Attach) -> None:
    wrong = contents(made / "postgres/password", b"")
    with wrong, pytest.raises(EmbeddedServerError, match="postgres/password; restore that file"):
        attach(made)


def test_too_little_disk_space_is_refused(
    home: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=99 * 1024 * 1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EmbeddedServerError, match=r"no space left .* free at least 100 MB"):
        attach(home)


def test_a_full_disk_in_the_log_is_told_as_such(home: Path) -> None:
    places = prepare_home(home)
    with Log(places) as log:
        os.write(log.fileno(), b"FATAL:  could not write file: No space left on device\nHINT:  x\n")
        error = failure(places, "started", log)
    assert "There is no space left" in str(error)


def test_any_other_failure_gives_the_last_complaint_and_the_log(made: Path, attach: Attach) -> None:
    wrong = contents(made / "postgres/data/global/pg_control", b"\0" * 8192)
    with (
        wrong,
        pytest.raises(EmbeddedServerError, match=r"started: .+ \(see .*server\.log"),
    ):
        attach(made)


def test_a_start_that_another_process_never_ends_is_named(
    home: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpay.database.embedded.server.LOCK_SECONDS", 0.0)
    (home / "postgres").mkdir(parents=True)
    stages: list[str] = []
    with (home / "postgres/start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedServerError, match="end that process and try again"):
            attach(home, stages.append)
    assert stages == ["waiting for another process to start or stop the database"]


def test_a_missing_package_points_to_a_server_of_ones_own(
    home: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedServerError, match="set KPAY_DATABASE_URL"):
        attach(home)


def test_programs_that_the_server_user_cannot_run_are_copied_once(
    made: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = programs._major_version
    package = programs._package_root()
    monkeypatch.setattr(
        programs,
        "_major_version",
        lambda root, user: None if root == package else version(root, user),
    )
    stages: list[str] = []
    server = attach(made, stages.append)
    assert stages[0] == "copying the PostgreSQL programs"
    assert str(made) in psutil.Process(server_pid(made)).cmdline()[0]
    assert ask(server.url, "create extension pg_stat_statements", "select 1") == 1

    server.release()
    stages.clear()
    attach(made, stages.append)
    assert stages == ["starting the database"]


def test_the_passage_of_one_user_wakes_up_no_right_that_the_mask_held_down() -> None:
    owner, user, group, named_group, mask, other = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
    plain = [AclEntry(owner, 7), AclEntry(group, 0), AclEntry(other, 0)]
    assert acl_with_passage(plain, 999) == [
        AclEntry(owner, 7),
        AclEntry(user, 1, 999),
        AclEntry(group, 0),
        AclEntry(mask, 1),
        AclEntry(other, 0),
    ]
    masked = [
        AclEntry(owner, 7),
        AclEntry(user, 7, 5),
        AclEntry(user, 6, 999),
        AclEntry(group, 5),
        AclEntry(named_group, 1, 8),
        AclEntry(mask, 4),
        AclEntry(other, 0),
    ]
    assert acl_with_passage(masked, 999) == [
        AclEntry(owner, 7),
        AclEntry(user, 4, 5),
        AclEntry(user, 5, 999),
        AclEntry(group, 4),
        AclEntry(named_group, 0, 8),
        AclEntry(mask, 5),
        AclEntry(other, 0),
    ]


def as_user(uid: int, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, user=uid, extra_groups=[], cwd="/", check=False, capture_output=True, text=True
    )


@needs_root
def test_only_the_server_user_may_pass_through_the_folders_above_the_data(
    made: Path, attach: Attach
) -> None:
    attach(made)
    server_uid = (made / "postgres/data").stat().st_uid

    assert server_uid != 0
    assert as_user(server_uid, "test", "-x", str(made)).returncode == 0
    assert as_user(server_uid, "test", "-r", str(made)).returncode != 0
    assert as_user(NOBODY, "test", "-x", str(made)).returncode != 0


@needs_root
def test_without_access_lists_everybody_may_pass_but_nobody_may_read(
    home: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    home.mkdir(mode=0o700)
    monkeypatch.setattr(os, "setxattr", unsupported)
    assert ask(attach(home).url, "select 1") == 1
    assert home.stat().st_mode & 0o777 == 0o701


@needs_root
def test_the_home_of_an_ordinary_user_is_served_as_that_user(home: Path, attach: Attach) -> None:
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    attach(home)
    for name in ("data", "run", "password", "server.log", "start.lock", "users.lock"):
        assert (home / "postgres" / name).stat().st_uid == NOBODY


@needs_root
def test_the_home_of_another_user_is_refused(home: Path) -> None:
    # The user is changed after the imports, for Python may be in a folder of root's own.
    change = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    script = HELPER.replace("try:", f"{change}\ntry:", 1)

    def complaint(folder: str) -> str:
        command = [sys.executable, "-c", script, folder]
        return subprocess.run(
            command, env=ENVIRONMENT, check=False, capture_output=True, text=True
        ).stderr

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        assert "belongs to another user (number 0); run as that user" in complaint(folder)
        assert "set KPAY_HOME to a folder of your own" in complaint(f"{folder}/new")
