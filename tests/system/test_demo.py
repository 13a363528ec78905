"""`make run`: the scenarios are played over HTTP, shown, checked, and it goes on serving."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.system.program import STOP_SECONDS, Program, Server, alive, free_port, wait_for


def test_once_plays_the_three_scenarios_shows_the_wallets_and_ends_with_zero(
    program: Program,
) -> None:
    for _ in range(2):
        done = program.run("demo", "--once", "--port", str(free_port()))

        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("Scenario 1", "Scenario 2", "Scenario 3", "POST /api/wallets/transfer"):
            assert words in done.stdout
        assert '"payoutAmount": 48226.75' in done.stdout
        assert "Before" in done.stdout
        assert "Every figure is as the page says." in done.stdout
        assert "sk_test_" not in done.stdout


def test_a_figure_that_is_off_ends_with_one(program: Program, tmp_path: Path) -> None:
    """The demonstration's application pays another fee, so every net is off."""
    # Its application is made by the first time that it is played here.
    assert program.run("demo", "--once", "--port", str(free_port())).returncode == 0
    keys = json.loads((program.home / "demonstration.json").read_text())
    application = keys["application"]["id"]
    program.run("app", "configure", application, "--payout-fee-bps", "400")
    try:
        done = program.run("demo", "--once", "--port", str(free_port()))
    finally:
        program.run("app", "configure", application, "--payout-fee-bps", "500")

    assert done.returncode == 1
    assert "Off: the fee to ORANGE_GAB is 400, expected 500" in done.stdout


def test_it_goes_on_serving_until_it_is_told_to_end(program: Program) -> None:
    with program.serving("demo") as server:
        wait_for(lambda: _playing_is_over(server), STOP_SECONDS)
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children

        assert server.stop() == 0

        assert not [child for child in children if alive(child)]


def test_the_dashboard_is_told_by_the_name_that_its_links_are_made_of(
    program: Program, tmp_path: Path
) -> None:
    heard = replace(program, log=tmp_path / "heard.log")
    with heard.serving("demo") as server:
        wait_for(lambda: b"X-Secret-Key" in (tmp_path / "heard.log").read_bytes(), STOP_SECONDS)
        assert f"http://localhost:{server.port}/dashboard" in (tmp_path / "heard.log").read_text()


def _playing_is_over(server: Server) -> bool:
    """The last request of the scenarios has been counted."""
    _, text = server.request("GET", "/metrics")
    line = 'kpay_request_seconds_count{method="GET",route="/api/wallets/overview",status="200"} 2.0'
    return line in text
