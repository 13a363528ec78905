"""Rates end to end but for the internet: a loopback server plays the services, time is by hand.

Two `Rates` on one database are two processes. No test waits for time to pass.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.money import Money, convert
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.database.pool import Database
from kpay.rates.flow import Rates
from kpay.rates.sources import LARGEST_ANSWER
from kpay.rates.store import RateStore
from kpay.settings import Settings

NOON = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
LIVE, TEST = Environment.PRODUCTION, Environment.TEST
EUR_RATES = {
    "XAF": 655.957,
    "XOF": 655.957,
    "KES": 150.42,
    "CDF": 2614.8,
    "UGX": 4187.35,
    "RWF": 1698.6,
    "GHS": 12.846,
    "ZMW": 22.385,
    "SLE": 27.914,
}
# Recognisable rates of XAF in KES, so that a test sees whose answer was used.
FIRST, SECOND, MOVED = Decimal("0.22"), Decimal("0.23"), Decimal("0.24")


def open_er_api(kes_for_xaf: Decimal, **rates: float) -> str:
    kes = float(Decimal("655.957") * kes_for_xaf)
    answer = {
        "result": "success",
        "time_last_update_unix": 1_782_172_801,
        "base_code": "EUR",
        "rates": {**EUR_RATES, "KES": kes, **rates},
    }
    return json.dumps(answer)


def frankfurter(kes_for_xaf: Decimal) -> str:
    rates = {**EUR_RATES, "KES": float(Decimal("655.957") * kes_for_xaf)}
    return json.dumps(
        [
            {"date": "2026-06-23", "base": "EUR", "quote": quote, "rate": rate}
            for quote, rate in rates.items()
        ]
    )


@dataclass
class Outside:
    """The services: what each answers, how often each was asked, and a gate to hold them up."""

    addresses: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    queries: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def serve(self, name: str) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.Response:
            self.hits[name] += 1
            self.queries.append(dict(request.query))
            self.asked.set()
            await self.gate.wait()
            status = self.status.get(name, 200)
            headers = {"Location": "https://elsewhere.test/"} if status == 302 else None
            return web.Response(text=self.answers[name], status=status, headers=headers)

        return handler


@pytest_asyncio.fixture
async def outside() -> AsyncIterator[Outside]:
    services = Outside(
        answers={
            "open-er-api": open_er_api(FIRST),
            "frankfurter": frankfurter(SECOND),
            "openexchangerates": json.dumps(
                {"timestamp": 1_782_172_801, "base": "USD", "rates": EUR_RATES}
            ),
        }
    )
    services.gate.set()
    app = web.Application()
    app.router.add_get("/v6/latest/EUR", services.serve("open-er-api"))
    app.router.add_get("/v2/rates", services.serve("frankfurter"))
    app.router.add_get("/api/latest.json", services.serve("openexchangerates"))
    async with TestServer(app) as server:
        root = str(server.make_url("/")).rstrip("/")
        services.addresses = dict.fromkeys(services.answers, root)
        yield services
        services.gate.set()


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=4) as pool:
        yield pool


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


Processes = Callable[..., Rates]


@pytest_asyncio.fixture
async def process(
    database: Database, outside: Outside, clock: ManualClock
) -> AsyncIterator[Processes]:
    """Starts processes: each call is one, with settings of its own."""
    started: list[Rates] = []

    def start(*, timeout: float = 5, patience: timedelta | None = None, **settings: Any) -> Rates:
        rates = Rates(
            settings.pop("database", database),
            Settings(Path("/nowhere"), **settings),
            clock,
            addresses=outside.addresses,
            timeout=timeout,
            patience=timedelta(seconds=5) if patience is None else patience,
        )
        started.append(rates)
        return rates

    yield start
    for rates in started:
        await rates.close()


@pytest.fixture
def pinned(tmp_path: Path) -> Callable[..., str]:
    """Writes a file of rates and gives its name as a source."""
    path = tmp_path / "rates.json"

    def write(**parts: Any) -> str:
        body = {"base": "EUR", "asOf": "2020-01-01T00:00:00Z", "rates": EUR_RATES, **parts}
        path.write_text(json.dumps(body), encoding="utf-8")
        return f"file:{path}"

    return write


async def refused(rates: Rates, source: str = "XAF", target: str = "KES") -> Code:
    with pytest.raises(Refusal) as refusal:
        await rates.quote(LIVE, source, target)
    return refusal.value.code


# --- The cache ------------------------------------------------------------------------------------


async def test_a_rate_is_asked_for_once_an_hour(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    rates = process()
    quote = await rates.quote(LIVE, "XAF", "KES")
    assert (quote.rate, quote.source, quote.margin_bps) == (FIRST, "open-er-api", 0)
    assert quote.as_of == datetime(2026, 6, 23, 0, 0, 1, tzinfo=UTC)
    assert quote.expires_at == NOON + timedelta(hours=1)
    outside.answers["open-er-api"] = open_er_api(MOVED)
    clock.advance(seconds=3_599)
    assert await rates.quote(LIVE, "XAF", "KES") == quote
    assert outside.hits == {"open-er-api": 1}
    clock.advance(seconds=1)
    assert (await rates.quote(LIVE, "XAF", "KES")).rate == MOVED
    assert outside.hits == {"open-er-api": 2}


async def test_while_it_is_fresh_a_rate_needs_neither_the_network_nor_the_database(
    process: Processes, database_url: str, database: Database, clock: ManualClock
) -> None:
    pool = Database(database_url, size=1)
    await pool.open()
    rates = process(database=pool)
    await rates.quote(LIVE, "XAF", "KES")
    await pool.close()
    clock.advance(minutes=59)
    assert (await rates.quote(LIVE, "KES", "XAF")).rate == Decimal("4.54545454545454545")


async def test_all_processes_share_one_fetch(process: Processes, outside: Outside) -> None:
    processes = [process() for _ in range(3)]
    quotes = await asyncio.gather(
        *(rates.quote(LIVE, "XAF", "KES") for rates in processes for _ in range(5))
    )
    assert {quote.rate for quote in quotes} == {FIRST}
    assert outside.hits == {"open-er-api": 1}


async def test_the_worker_refreshes_ahead_of_expiry_and_every_process_profits(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    serving, worker = process(), process()
    await serving.quote(LIVE, "XAF", "KES")
    await serving.quote(TEST, "XAF", "KES")
    clock.advance(minutes=53)
    assert await worker.refresh() == 0
    outside.answers["open-er-api"] = open_er_api(MOVED)
    clock.advance(minutes=1)
    assert await worker.refresh() == 2
    assert await worker.refresh() == 0
    clock.advance(minutes=6)
    assert (await serving.quote(LIVE, "XAF", "KES")).rate == MOVED
    assert outside.hits == {"open-er-api": 2}


async def test_a_refresh_fetches_what_was_never_fetched_and_once_for_both_environments(
    process: Processes, outside: Outside
) -> None:
    assert await process(fx_sources=("open-er-api",)).refresh() == 1
    assert outside.hits == {"open-er-api": 1}


async def test_a_refresh_survives_the_failure_of_every_source(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    outside.status = {"open-er-api": 500, "frankfurter": 500}
    worker = process()
    assert await worker.refresh() == 1, "the sandbox's file"
    clock.advance(seconds=29)
    assert await worker.refresh() == 0
    assert outside.hits == {"open-er-api": 1, "frankfurter": 1}
    clock.advance(seconds=1)
    outside.status.clear()
    assert await worker.refresh() == 1


async def test_every_snapshot_is_kept_to_the_digit(
    process: Processes, database: Database, clock: ManualClock, pinned: Callable[..., str]
) -> None:
    digits = "1.01498421052631578947"
    rates = process(fx_sources=(pinned(pairs={"XAF/XOF": digits}),))
    for _ in range(2):
        await rates.quote(LIVE, "XAF", "XOF")
        clock.advance(hours=1)
    rows = await database.fetch(
        "select fetched_at, rates ->> 'XAF' as xaf, pairs ->> 'XAF/XOF' as pair "
        "from rate_snapshots order by id"
    )
    assert [tuple(row) for row in rows] == [
        (NOON, "655.957", digits),
        (NOON + timedelta(hours=1), "655.957", digits),
    ]


# --- The rules of a quote -------------------------------------------------------------------------


async def test_a_currency_is_worth_one_of_itself_with_no_source_asked(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    outside.status["open-er-api"] = 500
    quote = await process(fx_margins={"*": 100}).quote(LIVE, "XAF", "XAF")
    assert (quote.rate, quote.source, quote.margin_bps) == (Decimal(1), "fixed", 0)
    assert quote.as_of == NOON
    assert not outside.hits


@pytest.mark.parametrize(("source", "target"), [("EUR", "XAF"), ("XAF", "EUR"), ("EUR", "EUR")])
async def test_a_currency_that_no_wallet_holds_is_refused(
    process: Processes, source: str, target: str
) -> None:
    assert await refused(process(), source, target) is Code.UNSUPPORTED_CURRENCY


async def test_the_margin_of_the_pair_is_in_the_rate_and_in_the_record(process: Processes) -> None:
    rates = process(fx_margins={"XAF/KES": 50, "*": 100})
    quote = await rates.quote(LIVE, "XAF", "KES")
    assert (quote.rate, quote.margin_bps) == (Decimal("0.2189"), 50)
    quote = await rates.quote(LIVE, "XAF", "XOF")
    assert (quote.rate, quote.margin_bps) == (Decimal("0.99"), 100)


async def test_the_sandbox_has_the_page_s_rate_without_a_network(
    process: Processes, outside: Outside
) -> None:
    quote = await process().quote(TEST, "XAF", "XOF")
    assert quote.source == "file"
    assert convert(Money(100_000_00, "XAF"), quote.rate, "XOF") == Money(101_530_00, "XOF")
    assert not outside.hits


async def test_a_pinned_file_is_served_as_written_in_both_environments_however_old_it_says_it_is(
    process: Processes, pinned: Callable[..., str]
) -> None:
    rates = process(fx_sources=(pinned(pairs={"XAF/XOF": "1.01498421052631578947"}),))
    for environment in Environment:
        quote = await rates.quote(environment, "XAF", "XOF")
        assert str(quote.rate) == "1.01498421052631578947"
        assert quote.as_of == datetime(2020, 1, 1, tzinfo=UTC)
        assert convert(Money(47_500_00, "XAF"), quote.rate, "XOF") == Money(48_211_75, "XOF")
    assert (await rates.quote(LIVE, "XOF", "XAF")).rate == Decimal("0.985237001353404512")


async def test_asking_for_a_quote_inside_a_transaction_is_refused_even_when_it_is_in_memory(
    process: Processes, database: Database
) -> None:
    rates = process()
    await rates.quote(LIVE, "XAF", "KES")
    async with database.transaction():
        with pytest.raises(RuntimeError):
            await rates.quote(LIVE, "XAF", "KES")


# --- Falling through ------------------------------------------------------------------------------

MISSING = json.loads(open_er_api(FIRST))
del MISSING["rates"]["SLE"]


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ("", 503, "it answered 503"),
        ("", 302, "it answered 302"),
        ("<html>", 200, "it is not JSON"),
        ('{"result":"error","error-type":"quota-reached"}', 200, "it reports 'quota-reached'"),
        (open_er_api(FIRST, XAF=0), 200, "XAF is not above zero"),
        (open_er_api(FIRST, XAF=-655.957), 200, "XAF is not above zero"),
        (open_er_api(FIRST, XAF=float("nan")), 200, "XAF is NaN"),
        (json.dumps(MISSING), 200, "it has no rate for SLE"),
        (" " * LARGEST_ANSWER + open_er_api(FIRST), 200, "its answer is larger than 262144 bytes"),
    ],
)
async def test_a_source_that_fails_or_talks_nonsense_is_passed_over_and_the_reason_is_logged(
    process: Processes, outside: Outside, answer: str, status: int, reason: str
) -> None:
    outside.answers["open-er-api"], outside.status["open-er-api"] = answer, status
    with capture_logs() as logs:
        quote = await process().quote(LIVE, "XAF", "KES")
    assert (quote.rate, quote.source) == (SECOND, "frankfurter")
    passed_over = [log for log in logs if log["event"] == "rate source passed over"]
    assert [(log["source"], log["reason"]) for log in passed_over] == [("open-er-api", reason)]


async def test_a_source_that_does_not_answer_in_time_is_passed_over(
    process: Processes, outside: Outside, pinned: Callable[..., str]
) -> None:
    outside.gate.clear()
    rates = process(timeout=0.05, fx_sources=("open-er-api", pinned()))
    with capture_logs() as logs:
        assert (await rates.quote(LIVE, "XAF", "KES")).source == "file"
    assert logs[0]["reason"] == "it did not answer within 0.05 seconds"


async def test_a_source_that_cannot_be_reached_is_passed_over(
    process: Processes, outside: Outside
) -> None:
    outside.addresses["open-er-api"] = "http://127.0.0.1:1"
    with capture_logs() as logs:
        assert (await process().quote(LIVE, "XAF", "KES")).source == "frankfurter"
    assert "Cannot connect to host 127.0.0.1:1" in logs[0]["reason"]


async def test_a_file_that_cannot_be_read_is_passed_over(process: Processes) -> None:
    rates = process(fx_sources=("file:/nowhere/rates.json", "frankfurter"))
    with capture_logs() as logs:
        assert (await rates.quote(LIVE, "XAF", "KES")).source == "frankfurter"
    assert "it cannot be read: " in logs[0]["reason"]


async def test_a_jump_against_the_last_known_rate_is_passed_over(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    rates = process()
    await rates.quote(LIVE, "XAF", "KES")
    outside.answers["open-er-api"] = open_er_api(FIRST * 2)
    clock.advance(hours=1)
    with capture_logs() as logs:
        assert (await rates.quote(LIVE, "XAF", "KES")).source == "frankfurter"
    assert "XAF/KES jumped from 0.22 to 0.44" in logs[0]["reason"]


async def test_after_a_week_the_last_known_rate_is_no_measure_any_more(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    rates = process()
    await rates.quote(LIVE, "XAF", "KES")
    outside.answers = dict.fromkeys(outside.answers, open_er_api(FIRST * 2))
    clock.advance(days=7, seconds=-1)
    assert await refused(rates) is Code.NO_RATE
    clock.advance(seconds=31)
    assert (await rates.quote(LIVE, "XAF", "KES")).rate == FIRST * 2


async def test_a_file_may_leave_currencies_out_when_no_source_has_them_all(
    process: Processes, outside: Outside, pinned: Callable[..., str]
) -> None:
    partial = pinned(rates={"XAF": 655.957, "XOF": 655.957}, pairs={"XAF/XOF": "1.0153"})
    rates = process(fx_sources=(partial,))
    assert (await rates.quote(LIVE, "XAF", "XOF")).rate == Decimal("1.0153")
    assert await refused(rates, "XAF", "KES") is Code.NO_RATE
    rates = process(fx_sources=(partial, "frankfurter"))
    assert (await rates.quote(LIVE, "XAF", "XOF")).source == "frankfurter"


async def test_a_file_with_currencies_left_out_does_not_displace_a_whole_snapshot(
    process: Processes, outside: Outside, clock: ManualClock, pinned: Callable[..., str]
) -> None:
    rates = process(fx_sources=("open-er-api", pinned(rates={"XAF": 655.957, "XOF": 655.957})))
    await rates.quote(LIVE, "XAF", "KES")
    outside.status["open-er-api"] = 500
    clock.advance(hours=5)
    assert (await rates.quote(LIVE, "XAF", "KES")).source == "open-er-api"
    clock.advance(hours=1)
    assert (await rates.quote(LIVE, "XAF", "XOF")).source == "file"


async def test_the_app_id_reaches_its_service_and_neither_the_database_nor_the_log(
    process: Processes, outside: Outside, database: Database
) -> None:
    names = ("openexchangerates", "frankfurter")
    rates = process(fx_sources=names, fx_app_id="very-secret-id")
    outside.status["openexchangerates"] = 401
    with capture_logs() as logs:
        await rates.quote(LIVE, "XAF", "KES")
    assert outside.queries[0] == {"app_id": "very-secret-id"}
    stored = await database.fetch("select s::text from rate_snapshots s")
    stored = [*stored, *await database.fetch("select r::text from rate_refreshes r")]
    assert len(stored) == 2
    assert "very-secret-id" not in str(logs) + str(stored)


# --- When no source can be had --------------------------------------------------------------------


async def test_the_last_rates_are_used_with_a_warning_until_they_are_too_old_and_never_after(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    rates = process()
    fresh = await rates.quote(LIVE, "XAF", "KES")
    outside.status = {"open-er-api": 500, "frankfurter": 500}
    clock.advance(hours=6, seconds=-10)
    with capture_logs() as logs:
        stale = await rates.quote(LIVE, "XAF", "KES")
    assert (stale.rate, stale.as_of) == (fresh.rate, fresh.as_of)
    assert stale.expires_at == NOON + timedelta(hours=6)
    assert logs[-1]["event"] == "no newer rates, the last ones are used"
    assert logs[-1]["log_level"] == "warning"
    clock.advance(seconds=10)
    assert await refused(rates) is Code.NO_RATE
    assert ANSWERS[Code.NO_RATE].status == 503
    outside.status.clear()
    clock.advance(seconds=20)
    assert (await rates.quote(LIVE, "XAF", "KES")).rate == FIRST


async def test_sources_that_fail_are_asked_every_thirty_seconds_whatever_the_demand(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    processes = [process(), process()]
    outside.status = {"open-er-api": 500, "frankfurter": 500}
    for _ in range(3):
        for rates in processes * 3:
            assert await refused(rates) is Code.NO_RATE
            await rates.refresh()
        clock.advance(seconds=30)
    assert outside.hits == {"open-er-api": 3, "frankfurter": 3}


async def test_too_old_is_counted_from_our_fetch_and_may_be_less_than_the_hour(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    rates = process(fx_max_age=timedelta(minutes=10))
    quote = await rates.quote(LIVE, "XAF", "KES")
    assert quote.expires_at == NOON + timedelta(minutes=10)
    outside.status = {"open-er-api": 500, "frankfurter": 500}
    clock.advance(minutes=10)
    assert await refused(rates) is Code.NO_RATE


async def test_with_no_time_to_live_every_quote_asks(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    rates = process(fx_ttl=timedelta(0))
    for _ in range(3):
        assert (await rates.quote(LIVE, "XAF", "KES")).expires_at == clock.now()
        clock.advance(seconds=1)
    assert outside.hits == {"open-er-api": 3}


async def test_rates_from_a_clock_that_is_far_ahead_are_not_believed(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    clock.advance(days=365)
    await process().quote(LIVE, "XAF", "KES")
    clock.advance(days=-365)
    await process().quote(LIVE, "XAF", "KES")
    assert outside.hits == {"open-er-api": 2}


# --- One process at a time ------------------------------------------------------------------------


async def test_while_another_process_asks_the_last_rates_are_used_without_waiting(
    process: Processes, outside: Outside, clock: ManualClock
) -> None:
    asking, other = process(), process()
    await asking.quote(LIVE, "XAF", "KES")
    outside.answers["open-er-api"] = open_er_api(MOVED)
    clock.advance(hours=1)
    outside.gate.clear()
    outside.asked.clear()
    slow = asyncio.create_task(asking.quote(LIVE, "XAF", "KES"))
    await outside.asked.wait()
    assert (await other.quote(LIVE, "XAF", "KES")).rate == FIRST
    assert (await asking.quote(LIVE, "XAF", "KES")).rate == FIRST
    outside.gate.set()
    assert (await slow).rate == MOVED
    assert (await other.quote(LIVE, "XAF", "KES")).rate == MOVED
    assert outside.hits == {"open-er-api": 2}


async def test_with_nothing_to_use_a_process_waits_for_the_one_that_asks(
    process: Processes, outside: Outside, database: Database
) -> None:
    outside.gate.clear()
    first = asyncio.create_task(process().quote(LIVE, "XAF", "KES"))
    await outside.asked.wait()
    second = asyncio.create_task(process().quote(LIVE, "XAF", "KES"))
    outside.gate.set()
    assert (await first).rate == (await second).rate == FIRST
    assert outside.hits == {"open-er-api": 1}


async def test_with_nothing_to_use_a_process_that_waited_in_vain_asks_by_itself(
    process: Processes, outside: Outside, database: Database, clock: ManualClock
) -> None:
    await _claim_and_die(database, clock)
    rates = process(patience=timedelta(0))
    assert (await rates.quote(LIVE, "XAF", "KES")).rate == FIRST


async def test_the_claim_of_a_process_that_died_ends_by_itself(
    process: Processes, outside: Outside, database: Database, clock: ManualClock
) -> None:
    await _claim_and_die(database, clock)
    worker = process()
    assert await worker.refresh() == 1, "the sandbox's file"
    assert not outside.hits
    clock.advance(seconds=20)
    assert await worker.refresh() == 1
    assert outside.hits == {"open-er-api": 1}


async def _claim_and_die(database: Database, clock: ManualClock) -> None:
    until = clock.now() + timedelta(seconds=20)
    taken = await RateStore(database).claim(
        "open-er-api,frankfurter", uuid4(), until=until, now=clock.now()
    )
    assert taken


@pytest.mark.parametrize("status", [200, 500])
async def test_what_another_process_did_between_our_look_and_our_claim_is_not_done_again(
    process: Processes, outside: Outside, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    outside.status = dict.fromkeys(outside.answers, status)
    slow, quick = process(fx_sources=("open-er-api",)), process(fx_sources=("open-er-api",))
    claim = slow._store.claim

    async def overtaken(*arguments: Any, **named: Any) -> bool:
        await quick.refresh()
        return await claim(*arguments, **named)

    monkeypatch.setattr(slow._store, "claim", overtaken)
    assert await slow.refresh() == 0
    assert outside.hits == {"open-er-api": 1}


async def test_a_request_that_is_given_up_gives_its_claim_back(
    process: Processes, outside: Outside
) -> None:
    outside.gate.clear()
    given_up = asyncio.create_task(process().quote(LIVE, "XAF", "KES"))
    await outside.asked.wait()
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    outside.gate.set()
    assert await process(fx_sources=("open-er-api", "frankfurter")).refresh() == 1


# --- Another configuration ------------------------------------------------------------------------


async def test_a_restart_with_other_sources_never_serves_what_the_former_ones_said(
    process: Processes, outside: Outside
) -> None:
    await process(fx_sources=("open-er-api",)).quote(LIVE, "XAF", "KES")
    outside.status["frankfurter"] = 500
    assert await refused(process(fx_sources=("frankfurter",))) is Code.NO_RATE


async def test_a_pinned_file_that_changed_is_noticed_on_restart_and_so_is_its_change_back(
    process: Processes, pinned: Callable[..., str]
) -> None:
    for pair in ("1.0153", "1.5", "1.0153"):
        rates = process(fx_sources=(pinned(pairs={"XAF/XOF": pair}),))
        assert (await rates.quote(LIVE, "XAF", "XOF")).rate == Decimal(pair)


async def test_a_pinned_file_that_changed_is_noticed_within_the_hour_by_a_running_process(
    process: Processes, clock: ManualClock, pinned: Callable[..., str]
) -> None:
    rates = process(fx_sources=(pinned(pairs={"XAF/XOF": "1.0153"}),))
    await rates.quote(LIVE, "XAF", "XOF")
    pinned(pairs={"XAF/XOF": "1.5"})
    clock.advance(hours=1)
    assert (await rates.quote(LIVE, "XAF", "XOF")).rate == Decimal("1.5")
    pinned(pairs={"XAF/XOF": "nonsense"})
    clock.advance(hours=1)
    assert await refused(rates, "XAF", "XOF") is Code.NO_RATE


async def test_while_a_changed_file_is_being_read_nobody_goes_on_with_what_it_said_before(
    process: Processes, outside: Outside, clock: ManualClock, pinned: Callable[..., str]
) -> None:
    outside.status["frankfurter"] = 500
    rates = process(fx_sources=("frankfurter", pinned(pairs={"XAF/XOF": "1.0153"})))
    await rates.quote(LIVE, "XAF", "XOF")
    pinned(pairs={"XAF/XOF": "1.1"})
    clock.advance(hours=1)
    outside.gate.clear()
    outside.asked.clear()
    first = asyncio.create_task(rates.quote(LIVE, "XAF", "XOF"))
    await outside.asked.wait()
    second = asyncio.create_task(rates.quote(LIVE, "XAF", "XOF"))
    await asyncio.sleep(0)
    outside.gate.set()
    assert (await first).rate == (await second).rate == Decimal("1.1")
