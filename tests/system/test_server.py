"""The server as processes: it starts, drains, survives a kill, and says why it cannot start."""

from __future__ import annotations

import signal
import socket
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.system.program import STOP_SECONDS, Program, alive, key_headers, wait_for


def test_serve_answers_and_ends_with_zero_on_sigterm(program: Program) -> None:
    with program.serving() as server:
        assert server.request("GET", "/healthz") == (200, "alive\n")
        assert server.request("GET", "/api/public/platform-info")[0] == 200

        assert server.stop() == 0


def test_addresses_that_it_gives_out_have_the_port_that_it_serves(program: Program) -> None:
    with program.serving() as server:
        status, document = server.request("GET", "/api/docs/public-json")
        assert status == 200
        assert document["servers"] == [{"url": f"http://localhost:{server.port}"}]


def test_interrupt_ends_it_with_zero_too(program: Program) -> None:
    with program.serving() as server:
        assert server.stop(signal.SIGINT) == 0


def test_a_payment_is_driven_to_its_end_by_serve_alone(program: Program) -> None:
    made = program.json("app", "create", "--company", "Serve", "--name", "one")
    keys = key_headers(made["test"])
    with program.serving("serve", "--workers", "2") as server:
        status, payment = server.request("POST", "/api/v1/payments/init", _payment("P-1"), keys)
        assert status == 201

        def completed() -> bool:
            _, found = server.request("GET", f"/api/v1/payments/{payment['id']}", None, keys)
            return bool(found["status"] == "COMPLETED")

        wait_for(completed, STOP_SECONDS)
        _, wallets = server.request("GET", "/api/v1/payments/balance", None, keys)
    assert [(row["country"], row["balance"]) for row in wallets] == [("CMR", 9500)]


def test_api_accepts_and_worker_drives_in_processes_of_their_own(program: Program) -> None:
    made = program.json("app", "create", "--company", "Apart", "--name", "one")
    keys = key_headers(made["test"])
    with program.serving("api") as server:
        _, payment = server.request("POST", "/api/v1/payments/init", _payment("P-1"), keys)
        path = f"/api/v1/payments/{payment['id']}"
        assert server.request("GET", path, None, keys)[1]["status"] == "PENDING"

        with program.working():
            wait_for(
                lambda: server.request("GET", path, None, keys)[1]["status"] == "COMPLETED",
                STOP_SECONDS,
            )


def test_after_a_kill_it_starts_again_and_nothing_accepted_is_lost(program: Program) -> None:
    made = program.json("app", "create", "--company", "Killed", "--name", "one")
    keys = key_headers(made["test"])
    with program.serving("api") as server:
        _, payment = server.request("POST", "/api/v1/payments/init", _payment("P-1"), keys)
        children = psutil.Process(server.process.pid).children(recursive=True)
        server.stop(signal.SIGKILL)
        # The processes of a server that was killed end by themselves, or they would hold its port.
        wait_for(lambda: not any(alive(child) for child in children), STOP_SECONDS)

    with program.serving() as server:
        path = f"/api/v1/payments/{payment['id']}"
        wait_for(
            lambda: server.request("GET", path, None, keys)[1]["status"] == "COMPLETED",
            STOP_SECONDS,
        )


def test_a_server_that_is_killed_as_soon_as_it_answers_leaves_no_process_behind(
    program: Program,
) -> None:
    """One of its processes answers while the others are still about to."""
    for _ in range(5):
        with program.serving("serve", "--workers", "2") as server:
            children = psutil.Process(server.process.pid).children(recursive=True)
            server.stop(signal.SIGKILL)
            wait_for(lambda left=children: not any(map(alive, left)), STOP_SECONDS)


def test_a_server_that_is_told_to_end_as_soon_as_it_answers_has_nobody_to_kill(
    program: Program, tmp_path: Path
) -> None:
    """A process that is still about to start hears it too, and is not waited for in vain."""
    log = tmp_path / "server.log"
    talkative = replace(program, extra={**program.extra, "KPAY_LOG_LEVEL": "debug"}, log=log)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        with talkative.serving("serve", "--workers", "2") as server:
            assert server.stop(number) == 0
    told = log.read_text()
    assert told.count("Stopped worker-2") == 3
    assert "Killing worker" not in told


def test_a_database_that_is_killed_is_started_again_and_the_server_goes_on(
    program: Program,
) -> None:
    made = program.json("app", "create", "--company", "Database", "--name", "one")
    keys = key_headers(made["test"])
    with program.serving() as server:
        assert server.request("POST", "/api/v1/payments/init", _payment("P-1"), keys)[0] == 201
        database = (program.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
        psutil.Process(int(database)).kill()

        def accepted() -> bool:
            status, answer = server.request("POST", "/api/v1/payments/init", _payment("P-2"), keys)
            assert status in (201, 409, 503), answer
            return status != 503

        wait_for(accepted, STOP_SECONDS)
        # One that was claimed in that very moment is taken up when its claim has run out; whatever
        # is accepted from now on is driven at once.
        _, last = server.request("POST", "/api/v1/payments/init", _payment("P-3"), keys)
        path = f"/api/v1/payments/{last['id']}"
        wait_for(
            lambda: server.request("GET", path, None, keys)[1].get("status") == "COMPLETED",
            STOP_SECONDS,
        )
        _, listed = server.request("GET", "/api/v1/payments", None, keys)
    assert sorted(row["externalId"] for row in listed["data"]) == ["P-1", "P-2", "P-3"]
    assert {row["status"] for row in listed["data"]} <= {"PENDING", "PROCESSING", "COMPLETED"}


def test_metrics_are_those_of_every_process_of_the_server(program: Program) -> None:
    with program.serving("serve", "--workers", "2") as server:
        for _ in range(20):
            server.request("GET", "/api/public/platform-info")
        _, text = server.request("GET", "/metrics")
    counted = [line for line in text.splitlines() if "platform-info" in line and "_count" in line]
    assert len(counted) == 1
    assert counted[0].endswith(" 20.0")


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_in_use_is_told_in_one_sentence(program: Program, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = program.run(command, "--port", str(taken.getsockname()[1]))

    assert done.returncode == 2
    assert "another program may use it" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_is_a_file_is_told_in_one_sentence(program: Program, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("not a folder")

    done = Program(home, {}).run("verify")

    assert done.returncode == 2
    assert str(home) in done.stderr
    assert "Traceback" not in done.stderr


def test_every_wrong_setting_is_named_at_once(program: Program) -> None:
    wrong = {"KPAY_SANDBOX_DELAY": "soon", "KPAY_LOG_LEVEL": "loud", "KPAY_FX_SOURCES": "ecb"}

    done = Program(program.home, wrong).run("verify")

    assert done.returncode == 2
    assert "KPAY_SANDBOX_DELAY" in done.stderr
    assert "KPAY_LOG_LEVEL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rail_that_cannot_work_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    for command in ("serve", "worker"):
        done = Program(tmp_path / "home", {"KPAY_RAILS": "pawapay"}).run(command)

        assert done.returncode == 2
        assert done.stderr.startswith("KPAY_PAWAPAY_TOKEN: must be set, or ")
        assert done.stderr.count("\n") == 1
        # Nothing was begun.
        assert not (tmp_path / "home").exists()


def test_the_rails_in_service_are_listed(program: Program) -> None:
    before, after = program.json("rail", "list"), program.json("rail", "list")

    assert [(rail["environment"], rail["rail"]) for rail in before] == [("TEST", "sandbox")]
    # What other tests have left open here is open, and nothing works on it.
    assert before == after
    assert isinstance(before[0]["open"], int)


def test_another_secret_than_the_databases_is_refused(program: Program) -> None:
    program.json("app", "list")

    done = Program(program.home, {"KPAY_SECRET": "x" * 40}).run("app", "list")

    assert done.returncode == 2
    assert "another secret" in done.stderr


def _payment(external_id: str) -> dict[str, object]:
    return {
        "amount": 10000,
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456789",
        "externalId": external_id,
    }
