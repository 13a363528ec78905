"""The operator's commands: what they print for a person, for a program, and when they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.program import (
    ANSWER_SECONDS,
    STOP_SECONDS,
    Program,
    Server,
    key_headers,
    wait_for,
)


def test_app_create_prints_every_secret_once_as_json(program: Program) -> None:
    made = program.json("app", "create", "--company", "Acme", "--name", "json")

    assert set(made) == {
        "company",
        "application",
        "test",
        "live",
        "webhookSecret",
        "gatewaySecret",
    }
    assert made["company"]["name"] == "Acme"
    assert made["application"]["name"] == "json"
    assert made["test"]["apiKey"].startswith("kpay_test_")
    assert made["test"]["secretKey"].startswith("sk_test_")
    assert made["live"] is None


def test_live_keys_come_with_approval(program: Program) -> None:
    made = program.json("app", "create", "--company", "Approved", "--name", "before")
    application = made["application"]["id"]
    refused = program.run("key", "regenerate", application, "live")
    assert refused.returncode == 2
    assert "not approved" in refused.stderr

    assert program.run("company", "approve", "Approved").returncode == 0

    pair = program.json("key", "regenerate", application, "live")
    assert pair["apiKey"].startswith("kpay_live_")
    later = program.json("app", "create", "--company", "Approved", "--name", "after")
    assert later["live"]["secretKey"].startswith("sk_live_")

    assert program.run("company", "withdraw", "Approved").returncode != 0
    withdrawn = program.run("company", "withdraw", "Approved", "--reason", "Complaints")
    assert withdrawn.stdout == "Approved is approved for live keys no longer.\n"
    assert program.run("key", "regenerate", application, "live").returncode == 2


def test_a_key_regenerated_by_command_ends_at_once_for_a_running_server(program: Program) -> None:
    made = program.json("app", "create", "--company", "Keys", "--name", "one")
    with program.serving() as server:
        old = key_headers(made["test"])
        assert server.request("GET", "/api/v1/payments/me", None, old)[0] == 200

        new = program.json("key", "regenerate", made["application"]["id"], "test")

        assert server.request("GET", "/api/v1/payments/me", None, old)[0] == 401
        assert server.request("GET", "/api/v1/payments/me", None, key_headers(new))[0] == 200


def test_terms_changed_by_command_hold_for_the_next_request(program: Program) -> None:
    made = program.json("app", "create", "--company", "Terms", "--name", "one")
    application = made["application"]["id"]
    keys = key_headers(made["test"])
    words = ["--payment-fee-bps", "100", "--providers", "ORANGE_CMR"]
    assert program.run("app", "configure", application, *words).returncode == 0
    assert program.run("app", "limit", application, "DEPOSIT", "XAF", "500", "900").returncode == 0
    with program.serving() as server:
        fine = _init(server, keys, "ORANGE_CMR", 900)
        assert fine[0] == 201
        _, detail = server.request("GET", f"/api/v1/payments/{fine[1]['id']}", None, keys)
        assert detail["feeAmount"] == 9
        assert _init(server, keys, "ORANGE_CMR", 901)[1]["code"] == "amount_out_of_bounds"
        assert _init(server, keys, "MTN_MOMO_CMR", 900)[1]["code"] == "provider_not_allowed"
        usual = program.run("app", "usual-limit", application, "DEPOSIT", "XAF")
        assert usual.returncode == 0
        assert _init(server, keys, "ORANGE_CMR", 901)[0] == 201
    too_much = program.run("app", "configure", application, "--payment-fee-bps", "10000")
    assert too_much.returncode == 2
    assert "A fee must be between 0 and 9999 basis points." in too_much.stderr


def test_sandbox_finish_ends_what_stays_open(program: Program) -> None:
    made = program.json("app", "create", "--company", "Open", "--name", "one")
    keys = key_headers(made["test"])
    with program.serving() as server:
        _, payment = _init(server, keys, "MTN_MOMO_CMR", 1000, "237653456129")
        path = f"/api/v1/payments/{payment['id']}"

        def status() -> str:
            return str(server.request("GET", path, None, keys)[1]["status"])

        wait_for(lambda: status() == "PROCESSING", STOP_SECONDS)
        done = program.run(
            "sandbox",
            "finish",
            payment["id"],
            "COMPLETED",
            "--application",
            made["application"]["id"],
        )
        assert done.returncode == 0, done.stderr
        wait_for(lambda: status() == "COMPLETED", STOP_SECONDS)


def test_verify_counts_checks_and_finds_nothing_wrong(program: Program) -> None:
    done = program.run("verify")
    assert done.returncode == 0, done.stdout
    assert "Every promise holds." in done.stdout

    told = program.json("verify")
    assert told["broken"] == 0
    assert {check["promise"] for check in told["checks"]} >= {1, 2, 3, 4, 5, 7, 10, 11}


def test_an_application_is_given_a_limit_of_its_own_and_the_usual_one_again(
    program: Program,
) -> None:
    made = program.json("app", "create", "--company", "Limits", "--name", "one")
    keys, application = key_headers(made["test"]), made["application"]["id"]
    usual = Program(program.home, {**program.extra, "KPAY_RATE_LIMIT": "50"})

    with usual.serving() as server:

        def limit() -> str | None:
            _, headers, _ = server.answer("GET", "/api/v1/payments/me", None, keys)
            return headers.get("x-ratelimit-limit")

        assert limit() == "50"
        for given, told in (("70", "70"), ("usual", "50")):
            words = ("app", "configure", application, "--rate-limit", given)
            assert program.run(*words).returncode == 0
            # The server hears of it by a signal.
            wait_for(lambda told=told: limit() == told, ANSWER_SECONDS)

    done = program.run("app", "configure", application, "--rate-limit", "-1")
    assert done.returncode == 2
    assert "--rate-limit must be between 0 and 1,000,000,000, or usual." in done.stderr


def test_a_statement_is_written_as_the_api_gives_it(program: Program, tmp_path: Path) -> None:
    made = program.json("app", "create", "--company", "Statements", "--name", "one")
    application, keys = made["application"]["id"], key_headers(made["test"])
    with program.serving() as server:
        assert _init(server, keys, "MTN_MOMO_CMR", 1_000)[0] == 201
        wait_for(
            lambda: server.request("GET", "/api/v1/payments/balance", None, keys)[1], STOP_SECONDS
        )
        token = server.request("POST", "/api/v1/payments/token", None, keys)[1]["accessToken"]
        path = "/api/wallets/CMR/statement/export?to=2100-01-01"
        api = server.answer("GET", path, None, {"Authorization": f"Bearer {token}"})[2]

    words = ["wallet", "statement", application, "CMR", "--environment", "test"]
    words += ["--to", "2100-01-01"]
    printed = program.run(*words)
    assert printed.stdout.splitlines() == api.splitlines()
    file = tmp_path / "statement.csv"
    assert program.run(*words, "--csv", str(file)).returncode == 0
    assert file.read_bytes().decode() == api
    # Nothing is left of one that cannot be.
    refused = program.run(*words, "--from", "2100-02-01", "--csv", str(tmp_path / "none.csv"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "from must not be after to" in refused.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["statement.csv"]


def test_verify_is_held_against_an_earlier_report(program: Program, tmp_path: Path) -> None:
    report = tmp_path / "earlier.json"
    report.write_text(json.dumps(program.json("verify")))
    assert program.run("verify", "--against", str(report)).returncode == 0

    report.write_text('{"journals": [{"entries": 1}]}')
    done = program.run("verify", "--against", str(report))
    assert done.returncode == 2
    assert "no answer of kpay verify --json" in done.stderr


def test_a_database_of_the_operator_s_own_is_used_instead(
    program: Program, database_url: str, tmp_path: Path
) -> None:
    own = Program(tmp_path, {"KPAY_DATABASE_URL": database_url, "KPAY_SANDBOX_DELAY": "0"})

    made = own.json("app", "create", "--company", "Own", "--name", "one")
    with own.serving() as server:
        keys = key_headers(made["test"])
        assert server.request("GET", "/api/v1/payments/me", None, keys)[1]["environment"] == "TEST"

    assert not (tmp_path / "postgres").exists()
    assert [row["company"] for row in own.json("app", "list")] == ["Own"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["api"],
        ["worker"],
        ["verify"],
        ["backup"],
        ["restore"],
        ["demo"],
        ["app"],
        ["app", "create"],
        ["app", "usual-limit"],
        ["company", "approve"],
        ["company", "withdraw"],
        ["key", "regenerate"],
        ["token-key", "rotate"],
        ["sandbox", "finish"],
        ["webhook"],
        ["webhook", "replay"],
        ["webhook", "rotate"],
        ["wallet", "statement"],
    ],
    ids=" ".join,
)
def test_help_explains_every_command(program: Program, words: list[str]) -> None:
    done = program.run(*words, "--help")
    assert done.returncode == 0
    assert "Usage: kpay" in done.stdout


def _init(
    server: Server, keys: dict[str, str], provider: str, amount: int, phone: str = "237653456789"
) -> tuple[int, Any]:
    body = {
        "amount": amount,
        "provider": provider,
        "phoneNumber": phone,
        "externalId": f"{provider}-{amount}",
    }
    return server.request("POST", "/api/v1/payments/init", body, keys)
