"""The client's README: its examples, from the first to the last, against the real program."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from kpay.access.flow import NewApplication
from kpay_client import KPay
from tests.system.program import STOP_SECONDS, Server, wait_for

_README = Path(__file__).parents[2] / "client" / "README.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WEBHOOK_SECRET = "whsec_" + "a" * 52
_GATEWAY_SECRET = "gwsec_" + "a" * 52


def test_the_examples_from_the_first_to_the_last(
    kpay_server: Server,
    application: NewApplication,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pair = application.test
    monkeypatch.setenv("KPAY_URL", kpay_server.url)
    monkeypatch.setenv("KPAY_API_KEY", pair.api_key)
    monkeypatch.setenv("KPAY_SECRET_KEY", pair.secret_key)
    monkeypatch.setenv("KPAY_WEBHOOK_SECRET", _WEBHOOK_SECRET)
    monkeypatch.setenv("KPAY_GATEWAY_SECRET", _GATEWAY_SECRET)
    with KPay(pair.api_key, pair.secret_key, base_url=kpay_server.url) as earlier:
        _have_money(earlier)

    namespace: dict[str, Any] = {}
    said = []
    for number, block in enumerate(_BLOCK.findall(_README.read_text())):
        exec(compile(block, f"{_README.name}, example {number + 1}", "exec"), namespace)  # noqa: S102
        said.append(capsys.readouterr().out.splitlines())
    namespace["client"].close()

    payout, wallets, events, problem, _, _ = said
    assert payout == [application.application.name, "PENDING", "4750 4822.68 XOF"]
    assert wallets[0].startswith("TRF-OUT-")
    assert wallets[0].endswith(" 1")
    assert [line.split()[0] for line in wallets[1:3]] == ["CMR", "GAB"]
    assert len(wallets) == 4
    assert events[0] == "1.0153"
    assert events[-1].startswith("payment.completed pay_")
    assert len(problem) == 1
    assert problem[0].startswith("collect first: Insufficient balance")
    _try_webhooks(namespace, capsys)
    _try_returns(namespace)


def _have_money(client: KPay) -> None:
    paid = client.payments.init(amount=100000, provider="MTN_MOMO_CMR", phone_number="237653456789")
    wait_for(lambda: client.payments.get(paid.id).has_ended, STOP_SECONDS)


def _try_webhooks(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"event": "payout.completed", "paymentId": "wdr_1", "amount": 4822.68}'
    signature = hmac.new(_WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()

    assert namespace["told"](body, {"X-KPAY-Signature": signature}) == 200
    assert capsys.readouterr().out == "wdr_1 None 4822.68\n"
    assert namespace["told"](body + b" ", {"X-KPAY-Signature": signature}) == 400


def _try_returns(namespace: dict[str, Any]) -> None:
    stamp = str(time.time_ns() // 1_000_000)
    parts = {"status": "COMPLETED", "reference": "KPAY-1", "externalId": "ORDER-1", "ts": stamp}
    signed = "|".join(parts.values()).encode()
    signature = hmac.new(_GATEWAY_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    url = f"https://shop.example/done?{urlencode(parts)}&sig={signature}"

    assert namespace["returned"](url) == "Order ORDER-1: COMPLETED"
    assert namespace["returned"](url + "0") == "Please look at your orders."
