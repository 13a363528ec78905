"""The real program while something around it fails: the database gone, a full disk, a worker that
stands still, the order to end in the middle of work.

It answers 503 and says when to try again, keeps what it accepted, and goes on by itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest

from kpay.database.embedded import EmbeddedServer
from tests.soundness import assert_sound
from tests.system.program import STOP_SECONDS, Program, Server, key_headers, wait_for

_SETTINGS = {"KPAY_SANDBOX_DELAY": "0", "KPAY_LOG_LEVEL": "error"}
_BACK_SECONDS = 60


@dataclass(frozen=True)
class Shop:
    """A merchant of a running server."""

    server: Server
    keys: Mapping[str, str]

    @classmethod
    def open(cls, program: Program, server: Server, name: str) -> Shop:
        made = program.json("app", "create", "--company", name, "--name", "one")
        return cls(server, key_headers(made["test"]))

    def pay(self, external_id: str, amount: int = 10_000) -> tuple[int, Mapping[str, str], Any]:
        body = {
            "amount": amount,
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
            "externalId": external_id,
        }
        return self.server.answer("POST", "/api/v1/payments/init", body, self.keys)

    def withdraw(self, external_id: str) -> tuple[int, Mapping[str, str], Any]:
        body = {
            "amount": 1_000,
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
            "externalId": external_id,
        }
        return self.server.answer("POST", "/api/v1/payments/withdraw", body, self.keys)

    def get(self, path: str) -> Any:
        status, answer = self.server.request("GET", f"/api/v1/payments{path}", None, self.keys)
        assert status == 200, answer
        return answer

    def fund(self) -> None:
        """95,000 XAF in Cameroon."""
        status, _, payment = self.pay("fund", 100_000)
        assert status == 201, payment
        wait_for(lambda: self.get(f"/{payment['id']}")["status"] == "COMPLETED", STOP_SECONDS)

    def wait_until_ended(self, list_: str) -> list[dict[str, Any]]:
        """The rows of a list, once all of them are completed."""

        def ended() -> bool:
            return all(row["status"] == "COMPLETED" for row in self.get(list_)["data"])

        wait_for(ended, _BACK_SECONDS)
        rows: list[dict[str, Any]] = self.get(list_)["data"]
        return rows


def assert_unavailable(answer: tuple[int, Mapping[str, str], Any]) -> None:
    status, headers, body = answer
    assert (status, body["code"]) == (503, "database_unavailable"), body
    assert int(headers["retry-after"]) > 0


# The database goes, and comes back.


def test_an_outside_database_that_is_stopped_is_told_and_waited_for(program: Program) -> None:
    """Given by KPAY_DATABASE_URL; nobody of ours starts it again."""
    with tempfile.TemporaryDirectory(prefix="kpay-outside-", ignore_cleanup_errors=True) as home:
        outside = EmbeddedServer.attach(Path(home, "database"))
        try:
            own = Program(Path(home, "program"), {**_SETTINGS, "KPAY_DATABASE_URL": outside.url})
            with own.serving() as server:
                shop = Shop.open(own, server, "Outside")
                shop.fund()

                outside.release()
                assert_unavailable(shop.pay("away"))
                assert_unavailable(shop.withdraw("away"))
                assert server.request("GET", "/readyz")[0] == 503
                assert server.request("GET", "/healthz") == (200, "alive\n")

                outside = EmbeddedServer.attach(Path(home, "database"))
                _goes_on_by_itself(shop)
        finally:
            outside.release()


def test_a_worker_that_is_started_before_its_database_waits_for_it() -> None:
    with tempfile.TemporaryDirectory(prefix="kpay-outside-", ignore_cleanup_errors=True) as home:
        with EmbeddedServer.attach(Path(home, "database")) as outside:
            url = outside.url
        log = Path(home, "log")
        own = Program(Path(home, "program"), {**_SETTINGS, "KPAY_DATABASE_URL": url}, log)

        refused = own.run("app", "list")
        with own.started("worker") as worker:
            wait_for(lambda: log.exists() and "tried for" in log.read_text(), STOP_SECONDS)
            with EmbeddedServer.attach(Path(home, "database")):
                wait_for(lambda: "Driving" in log.read_text(), _BACK_SECONDS)
                worker.terminate()
                assert worker.wait(STOP_SECONDS) == 0

        assert refused.returncode == 2
        assert refused.stderr.startswith("The database cannot be reached: ")
        assert "tried" not in refused.stderr


def test_the_embedded_database_that_is_stopped_is_told_until_it_can_be_started_again(
    program: Program,
) -> None:
    with program.serving() as server:
        shop = Shop.open(program, server, "Embedded")
        shop.fund()

        with _start_lock(program):
            _stop_postgres(program)
            assert_unavailable(shop.pay("away"))
            assert_unavailable(shop.withdraw("away"))
            assert server.request("GET", "/readyz")[0] == 503

        _goes_on_by_itself(shop)


def _goes_on_by_itself(shop: Shop) -> None:
    """What could not be recorded is accepted now, and carried out, by the same processes."""
    assert shop.server.process.poll() is None
    for send in (shop.pay, shop.withdraw):

        def accepted(send: Any = send) -> bool:
            answer = send("away")
            if answer[0] == 503:
                assert_unavailable(answer)
                return False
            assert answer[0] == 201, answer
            return True

        wait_for(accepted, _BACK_SECONDS)
    (payout,) = shop.wait_until_ended("/withdrawals")
    assert payout["externalId"] == "away"
    wait_for(lambda: shop.get("/balance")[0]["balance"] == 95_000 + 9_500 - 1_000, _BACK_SECONDS)


@contextmanager
def _start_lock(program: Program) -> Iterator[None]:
    """As long as this lasts nobody can start the embedded database: somebody else is about to."""
    with (program.home / "postgres" / "start.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stop_postgres(program: Program) -> None:
    """As an administrator would: connections are ended, data is saved."""
    pid = int((program.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    postmaster.send_signal(signal.SIGINT)
    wait_for(lambda: not (postmaster.is_running() and _works(postmaster)), STOP_SECONDS)


def _works(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


# A full disk.

# PostgreSQL's own files, what it keeps in reserve, and the room that it wants for a start.
_DISK = "size=400m"


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with tempfile.TemporaryDirectory(prefix="kpay-disk-", ignore_cleanup_errors=True) as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", _DISK, "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_and_leaves_nothing_half_done_and_room_is_enough_to_go_on(
    disk: Path,
) -> None:
    own = Program(disk / "home", _SETTINGS)
    with own.serving() as server:
        shop = Shop.open(own, server, "Full")
        shop.fund()
        ballast = disk / "ballast"
        accepted, refused = _pay_until_it_is_full(shop, ballast)

        ballast.unlink()
        again = {name: _insist(shop, name) for name in refused}
        rows = {row["externalId"]: row for row in _all(shop)}
        assert rows.keys() == {"fund", *accepted, *refused}
        for name, identifier in {**accepted, **again}.items():
            assert rows[name]["id"] == identifier

        net = 95_000 + 9_500 * (len(accepted) + len(refused))
        wait_for(lambda: shop.get("/balance")[0]["balance"] == net, 2 * _BACK_SECONDS)
        done = own.run("verify", "--json")
        assert done.returncode == 0, done.stdout
        assert server.stop() == 0


async def test_a_database_that_ended_for_want_of_room_is_started_again_when_there_is_some(
    disk: Path,
) -> None:
    """PostgreSQL that cannot write its log ends, and cannot be started on a full disk."""
    own = Program(disk / "home", _SETTINGS)
    with own.serving() as server:
        shop = Shop.open(own, server, "Ended")
        shop.fund()
        ballast = disk / "ballast"
        with EmbeddedServer.attach(own.home) as database:
            _fill(ballast)
            await _use_up_the_log(database.url)

        wait_for(lambda: server.request("GET", "/readyz")[0] == 503, STOP_SECONDS)
        for _ in range(_REFUSALS):
            assert_unavailable(shop.pay("away"))
            assert_unavailable(shop.withdraw("away"))

        ballast.unlink()
        _goes_on_by_itself(shop)
        done = own.run("verify", "--json")
        assert done.returncode == 0, done.stdout


async def _use_up_the_log(url: str) -> None:
    """Begin new files of the write-ahead log until there is no room for the next."""
    connection = await asyncpg.connect(url)
    # Whatever PostgreSQL says as it ends: that it does, or nothing more at all.
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await asyncio.wait_for(_begin_new_files(connection), _BACK_SECONDS)
    connection.terminate()


async def _begin_new_files(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    while True:
        await connection.execute("select pg_logical_emit_message(true, 'room', '')")
        await connection.execute("select pg_switch_wal()")


_REFUSALS = 5


def _pay_until_it_is_full(shop: Shop, ballast: Path) -> tuple[dict[str, str], list[str]]:
    """Fill the disk, and ask for payments until several were not taken.

    Returns those that were, by externalId, and the externalIds of those that were not.
    """
    accepted: dict[str, str] = {}
    refused: list[str] = []

    def pay() -> bool:
        name = f"P-{len(accepted) + len(refused)}"
        _fill(ballast)
        answer = shop.pay(name)
        if answer[0] == 201:
            accepted[name] = answer[2]["id"]
        else:
            assert_unavailable(answer)
            refused.append(name)
        return len(refused) == _REFUSALS

    wait_for(pay, 2 * _BACK_SECONDS)
    return accepted, refused


def _fill(ballast: Path) -> None:
    """Leave no room at all."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    continue
            except OSError:
                continue


def _insist(shop: Shop, name: str) -> str:
    """The id of a payment that is sent until it is known to be on record."""
    found: list[str] = []

    def known() -> bool:
        status, _, answer = shop.pay(name)
        if status in (201, 409):
            found.append(answer["id"] if status == 201 else answer["existingId"])
        return bool(found)

    wait_for(known, _BACK_SECONDS)
    return found[0]


def _all(shop: Shop) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    query = "?limit=100"
    while True:
        page = shop.get(query)
        rows += page["data"]
        if page["nextCursor"] is None:
            return rows
        query = f"?limit=100&cursor={page['nextCursor']}"


# A worker that stands still.


async def test_a_payout_is_paid_once_though_its_worker_stood_still_beyond_its_claim(
    database_url: str, tmp_path: Path
) -> None:
    """Another worker takes over; the first wakes up with an answer in hand that is late."""
    own = Program(tmp_path, {**_SETTINGS, "KPAY_DATABASE_URL": database_url})
    database = await asyncpg.connect(database_url)
    with own.serving("api") as server, own.working() as first:
        shop = Shop.open(own, server, "Frozen")
        shop.fund()
        held = database.transaction()
        await held.start()
        # A payout's end needs this account and its beginning does not.
        await database.execute("select from accounts where code = 'fees:XAF' for update")
        payout = shop.withdraw("W-1")[2]
        outside = await asyncpg.connect(database_url)
        stuck = await _until_somebody_waits_for_a_lock(outside)

        first.send_signal(signal.SIGSTOP)
        try:
            # The operator has answered it, and it cannot write that down.
            await outside.execute("select pg_terminate_backend($1)", stuck)
            await held.rollback()
            # The minute of its claim is over.
            await outside.execute("update instructions set due_at = now() where due_at is not null")
            with own.working() as second:
                detail = f"/withdraw/{payout['id']}"
                wait_for(lambda: shop.get(detail)["status"] == "COMPLETED", STOP_SECONDS)
                assert [row["outcome"] for row in shop.get(detail)["attempts"]] == [None, "paid"]

                first.send_signal(signal.SIGCONT)
                wait_for(lambda: shop.get(detail)["attempts"][0]["outcome"] == "paid", STOP_SECONDS)
                assert [row["action"] for row in shop.get(detail)["attempts"]] == [
                    "submit",
                    "check",
                ]
        finally:
            first.send_signal(signal.SIGCONT)
        kinds = await outside.fetch("select kind from entries where kind::text like 'payout%'")
        assert sorted(row["kind"] for row in kinds) == ["payout_completed", "payout_requested"]
        assert shop.get("/balance")[0]["balance"] == 94_000
    assert (first.returncode, second.returncode) == (0, 0)
    await outside.close()
    await database.close()
    await assert_sound(database_url)


async def _until_somebody_waits_for_a_lock(
    connection: asyncpg.Connection[asyncpg.Record],
) -> int:
    """The number of the database's process that waits."""
    async with asyncio.timeout(STOP_SECONDS):
        while True:
            pid: int | None = await connection.fetchval(
                "select pid from pg_stat_activity where datname = current_database()"
                " and wait_event_type = 'Lock' and application_name = 'kpay'"
            )
            if pid is not None:
                return pid


# The order to end.

_WAITING = 20


async def test_requests_that_were_accepted_when_it_is_told_to_end_have_their_answers(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"KPAY_DATABASE_URL": database_url, "KPAY_QUEUE_LIMIT": f"{_WAITING}"}
    own = Program(tmp_path, {**_SETTINGS, **settings})
    database = await asyncpg.connect(database_url)
    outside = await asyncpg.connect(database_url)
    # What the worker writes takes places too, so it is a process of its own.
    with (
        own.serving("api") as server,
        own.working(),
        ThreadPoolExecutor(_WAITING + 1) as pool,
    ):
        shop = Shop.open(own, server, "Drain")
        shop.fund()
        async with database.transaction():
            await database.execute("select from accounts where code = 'wallet:CMR' for update")
            sent = [pool.submit(shop.withdraw, "W-0")]
            await _until_somebody_waits_for_a_lock(outside)
            # One is being written; as many as may wait do so behind it.
            sent += [pool.submit(shop.withdraw, f"W-{number + 1}") for number in range(_WAITING)]
            probes = itertools.count()

            def all_wait() -> bool:
                """A probe that is let in takes a place for a moment, perhaps one of these."""
                for number, each in enumerate(sent):
                    if each.done() and each.result()[0] == 503:
                        sent[number] = pool.submit(shop.withdraw, f"W-{number}")
                full = shop.pay(f"probe-{next(probes)}")[2].get("code") == "busy"
                return full and not any(each.done() for each in sent)

            wait_for(all_wait, 20)

            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: not _listens(server), STOP_SECONDS)
            assert not any(each.done() for each in sent)

        answers = [await asyncio.wrap_future(each) for each in sent]
        assert server.process.wait(STOP_SECONDS) == 0
    assert [answer[0] for answer in answers] == [201] * (_WAITING + 1), answers
    rows = await outside.fetch("select external_id from payouts")
    assert {row["external_id"] for row in rows} == {f"W-{n}" for n in range(_WAITING + 1)}
    await database.close()
    await outside.close()
    await assert_sound(database_url)


def _listens(server: Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


async def test_a_worker_that_is_told_to_end_writes_down_what_it_was_answered(
    database_url: str, tmp_path: Path
) -> None:
    own = Program(tmp_path, {**_SETTINGS, "KPAY_DATABASE_URL": database_url})
    database = await asyncpg.connect(database_url)
    outside = await asyncpg.connect(database_url)
    with own.serving("api") as server, own.working() as worker:
        shop = Shop.open(own, server, "Told")
        shop.fund()
        async with database.transaction():
            await database.execute("select from accounts where code = 'fees:XAF' for update")
            payout = shop.withdraw("W-1")[2]
            await _until_somebody_waits_for_a_lock(outside)
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(STOP_SECONDS) == 0

        detail = shop.get(f"/withdraw/{payout['id']}")
    assert detail["status"] == "COMPLETED"
    assert [row["outcome"] for row in detail["attempts"]] == ["paid"]
    await database.close()
    await outside.close()
    await assert_sound(database_url)
