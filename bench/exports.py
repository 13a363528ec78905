"""Files of a million rows: how fast they come, and what the server holds meanwhile.

    python -m bench.exports --rows 1000000

One application with so many transfers between two of its wallets, loaded through the program's own
flow (see loader.py), and a server with one process. Each file is read by a client of its own, as
fast as it comes and thrown away; the server's process is looked at ten times a second. Each is read
again while balances are asked for, one after the other: what a file costs everybody else.
"""

from __future__ import annotations

import argparse
import http.client
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from threading import Event

import psutil  # type: ignore[import-untyped]
from tests.system.program import Server

from bench import databases, house, loader
from bench.progress import out
from kpay.database.ready import ready_database
from kpay.settings import Settings

_READ_BYTES = 1 << 16
_LOOK_EVERY_SECONDS = 0.1
_MB = 1024 * 1024

FILES = {
    "transfers": "/api/wallets/transfers/export",
    "movements": "/api/wallets/CMR/movements/export",
    "statement": "/api/wallets/CMR/statement/export",
}


@dataclass(frozen=True)
class Read:
    """One file: its rows, its bytes, how long it took, and the most that the process held."""

    rows: int
    size: int
    seconds: float
    first: float
    """Seconds until its first byte."""
    peak: float
    """Megabytes, of the server's own process."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kpay-exports-") as folder:
        measure(Settings(home=given.home or Path(folder)), given.rows)


def measure(settings: Settings, rows: int) -> None:
    with ready_database(settings, say=out.print) as ready:
        merchant = house.ready_merchants(ready)[0]
        loaded = loader.fill(
            ready,
            [merchant.application_id],
            2 * rows + databases.value(ready.database_url or "", loader.COUNT),
        )
        out.print(f"{loaded.transfers:,} transfers loaded, {loaded.rate:,.0f} a second")
        databases.settle(ready.migration_url or ready.database_url or "")
    with house.program(settings).serving("api", "--workers", "1") as server:
        token = server.request("POST", "/api/v1/payments/token", {}, merchant.keys)[1]
        headers = {"Authorization": f"Bearer {token['accessToken']}"}
        process = _worker_of(server)
        out.print(f"at rest: {process.memory_info().rss / _MB:.0f} MB")
        with _asking(server, merchant.keys) as alone:
            time.sleep(2)
        for name, path in FILES.items():
            read = _read(server, path, headers, process)
            with _asking(server, merchant.keys) as beside:
                again = _read(server, path, headers, process)
            out.print(
                f"{name}: {read.rows:,} rows, {read.size / _MB:.0f} MB in {read.seconds:.1f} s "
                f"({read.rows / read.seconds:,.0f} rows a second), first byte after "
                f"{1_000 * read.first:.0f} ms, most held {read.peak:.0f} MB; while balances were "
                f"asked for {again.rows / again.seconds:,.0f} rows a second, and a balance took "
                f"{_spread(beside)}, alone {_spread(alone)}",
                soft_wrap=True,
            )
        begun = time.monotonic()
        for path in ("/api/wallets/CMR/movements", "/api/wallets/CMR/movements?type=PAYMENT"):
            status, answer = server.request("GET", path, None, headers)
            seconds, begun = time.monotonic() - begun, time.monotonic()
            out.print(f"{path}: {status}, {len(answer['data'])} rows, {1_000 * seconds:.1f} ms")


def _worker_of(server: Server) -> psutil.Process:
    """The process that answers: of those that the command started, ours that grew most."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    python = [each for each in children if "postgres" not in each.name()]
    return max(python, key=lambda each: each.memory_info().rss)


def _read(server: Server, path: str, headers: Mapping[str, str], process: psutil.Process) -> Read:
    ended = Event()

    def watch() -> float:
        peak = 0.0
        while not ended.wait(_LOOK_EVERY_SECONDS):
            peak = max(peak, process.memory_info().rss / _MB)
        return peak

    with (
        ThreadPoolExecutor(1) as pool,
        closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection,
    ):
        peak = pool.submit(watch)
        begun = time.monotonic()
        try:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            first = time.monotonic() - begun
            size = rows = 0
            while data := answer.read(_READ_BYTES):
                size += len(data)
                rows += data.count(b"\n")
            seconds = time.monotonic() - begun
        finally:
            ended.set()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path} was answered with {answer.status}")
        # The names of the columns are no row.
        return Read(rows - 1, size, seconds, first, peak.result())


@contextmanager
def _asking(server: Server, keys: Mapping[str, str]) -> Iterator[list[float]]:
    """Ask for balances meanwhile, one after the other; milliseconds each."""
    ended, times = Event(), list[float]()

    def ask() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
            while not ended.is_set():
                begun = time.monotonic()
                connection.request("GET", "/api/v1/payments/balance", headers=dict(keys))
                connection.getresponse().read()
                times.append(1_000 * (time.monotonic() - begun))

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield times
        finally:
            ended.set()
            asking.result()


def _spread(times: list[float]) -> str:
    return f"{median(times):.1f} ms (p99 {quantiles(times, n=100)[98]:.1f})"


if __name__ == "__main__":
    main()
