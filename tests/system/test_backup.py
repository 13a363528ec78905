"""A backup taken from a serving program under load, and restored to another home."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.program import STOP_SECONDS, Program, Server, key_headers, wait_for

_BEFORE = 40
_DURING = 40
_CALLERS = 4


@dataclass
class Load:
    """Callers that send payments and payouts until they are told to stop, and what was accepted."""

    server: Server
    keys: dict[str, str]
    accepted: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._call, args=(number,)) for number in range(_CALLERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join(STOP_SECONDS)

    def _call(self, caller: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            route = "init" if number % 2 else "withdraw"
            body = _body(1_000 if route == "init" else 200, f"{caller}-{number}")
            status, answer = self.server.request(
                "POST", f"/api/v1/payments/{route}", body, self.keys
            )
            if status == 201:
                self.accepted.append(f"{'withdraw/' if route == 'withdraw' else ''}{answer['id']}")
            else:
                self.problems.append(f"{status} {answer}")


def test_what_was_accepted_before_a_backup_began_is_in_what_it_restores(
    program: Program, tmp_path: Path
) -> None:
    made = program.json("app", "create", "--company", "Backup", "--name", "load")
    keys = key_headers(made["test"])
    with program.serving() as server:
        _collect(server, keys)
        load = Load(server, keys)
        with load.going_on():
            wait_for(lambda: len(load.accepted) >= _BEFORE, STOP_SECONDS)
            before = list(load.accepted)
            backup = program.run("backup", str(tmp_path / "backup"))
            during = len(load.accepted) - len(before)
            wait_for(lambda: len(load.accepted) >= len(before) + during + _DURING, STOP_SECONDS)
    assert backup.returncode == 0, backup.stderr
    assert "copying the database: 100 %" in backup.stderr
    assert during > 0, "the server was not serving while the backup was made"
    assert not load.problems

    with tempfile.TemporaryDirectory(prefix="kpay-system-", ignore_cleanup_errors=True) as folder:
        restored = Program(Path(folder) / "home", program.extra)
        done = restored.run("restore", str(tmp_path / "backup"))
        assert done.returncode == 0, done.stderr
        assert restored.json("verify")["broken"] == 0

        with restored.serving() as server:
            for identifier in before:
                status, _ = server.request("GET", f"/api/v1/payments/{identifier}", None, keys)
                assert status == 200, identifier
            path = f"/api/v1/payments/{before[-1]}"
            wait_for(
                lambda: server.request("GET", path, None, keys)[1]["status"] == "COMPLETED",
                STOP_SECONDS,
            )
        again = restored.run("restore", str(tmp_path / "backup"))
        assert again.returncode == 2
        assert "There is a database in" in again.stderr
        assert restored.json("verify")["broken"] == 0


def _body(amount: int, external_id: str) -> dict[str, object]:
    return {
        "amount": amount,
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456789",
        "externalId": external_id,
    }


def _collect(server: Server, keys: dict[str, str]) -> None:
    """Enough in the wallet for every payout of the load."""
    body = _body(400_000, "first")
    status, payment = server.request("POST", "/api/v1/payments/init", body, keys)
    assert status == 201, payment
    path = f"/api/v1/payments/{payment['id']}"
    wait_for(
        lambda: server.request("GET", path, None, keys)[1]["status"] == "COMPLETED", STOP_SECONDS
    )


def test_a_backup_that_is_terminated_is_whole_or_absent(program: Program, tmp_path: Path) -> None:
    program.json("app", "list")
    command = program._command("backup", str(tmp_path / "backup"))
    with subprocess.Popen(
        command, env=program.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"copying the database" in line:
                process.send_signal(signal.SIGTERM)
                break
        # It may have come to its end just before the signal did.
        code = process.wait(STOP_SECONDS)

    assert code in (0, 130)
    assert (tmp_path / "backup" / "backup.json").exists() == (code == 0)
    assert (tmp_path / "backup").exists() == (code == 0)


def test_a_server_of_the_operator_s_own_is_told_what_to_use_instead(
    program: Program, tmp_path: Path
) -> None:
    own = Program(program.home, {"KPAY_DATABASE_URL": "postgresql://ledger@database.example/kpay"})
    for command in ("backup", "restore"):
        done = own.run(command, str(tmp_path / "backup"))
        assert done.returncode == 2
        assert "docs/backup.md" in done.stderr
        assert "Traceback" not in done.stderr
