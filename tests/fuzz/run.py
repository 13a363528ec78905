"""One run of the fuzzer: the real server, and then `kpay verify` on what is left."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.fuzzer import Fuzzer, Told
from tests.system.program import Program, Server, key_headers

# A merchant with money in several countries and both kinds of numbers, as the fuzzer finds it.
_PAYERS = (
    ("MTN_MOMO_CMR", "237653456789"),
    ("MTN_MOMO_CIV", "2250503456789"),
    ("MPESA_KEN", "254703456789"),
)
_COLLECTED = 500_000


def fuzzed(program: Program, cases: int, seed: int) -> Told:
    """What was sent and answered. Raises what was found; the books are sound when this returns."""
    program = replace(program, extra={**program.extra, "KPAY_SANDBOX_DELAY": "0"})
    made = program.json("app", "create", "--company", "Fuzz", "--name", f"seed {seed}")
    keys = key_headers(made["test"])
    with program.serving() as server:
        token = server.request("POST", "/api/v1/payments/token", None, keys)[1]["accessToken"]
        for provider, phone in _PAYERS:
            _collect(server, keys, provider, phone)
        credentials = {**keys, "Authorization": f"Bearer {token}"}
        told = Fuzzer(server.url, credentials, made["application"]["id"], seed).run(cases)
    done = program.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    return told


def _collect(server: Server, keys: dict[str, str], provider: str, phone: str) -> None:
    payment = {
        "amount": _COLLECTED,
        "provider": provider,
        "phoneNumber": phone,
        "externalId": f"to begin with {provider}",
    }
    status, answer = server.request("POST", "/api/v1/payments/init", payment, keys)
    assert status == 201, answer
