"""A few hundred made-up requests to the real server, the same in every run; `make fuzz` sends more.

What is logged meanwhile, at its most talkative, holds no secret and no telephone number.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kpay.catalogue.data import catalogue
from tests.fuzz.run import fuzzed
from tests.route_table import route_table
from tests.system.program import Program

CASES = 300
SEED = 2026


def test_made_up_requests_are_answered_as_documented_and_never_with_a_5xx(
    program: Program, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    talkative = replace(program, extra={**program.extra, "KPAY_LOG_LEVEL": "debug"}, log=log)

    told = fuzzed(talkative, CASES, SEED)

    # Every operation was called, and what lies behind the first checks was reached.
    assert CASES <= told.cases < 2 * CASES
    assert len(told.operations) == len(route_table())
    assert {200, 201, 400, 404} <= set(told.statuses)
    logged = log.read_text()
    assert '"event": "refused"' in logged
    secrets = {(program.home / "secret").read_text(), *told.secrets}
    phones = {number for _, number in catalogue().test_numbers}
    assert {text for text in secrets | phones if text in logged} == set()
