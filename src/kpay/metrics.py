"""What Prometheus can ask for. Names and labels are few and bounded: a label never holds an id."""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR" in os.environ


class _Process:
    """This process's number, without a system call for each count of each metric."""

    def __init__(self) -> None:
        self.look()
        os.register_at_fork(after_in_child=self.look)

    def look(self) -> None:
        self.number = os.getpid()


if _MULTIPROCESS:
    process = _Process()
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: process.number
    )

requests = Histogram(
    "kpay_request_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
refusals = Counter("kpay_refusals", "Requests refused, by code", ["code"])
flushed_orders = Histogram(
    "kpay_flush_orders",
    "Orders committed together",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000),
)
waiting_orders = Gauge(
    "kpay_waiting_orders", "Orders that wait to be posted", multiprocess_mode="livesum"
)
attempts = Counter("kpay_attempts", "Attempts at a rail", ["connector", "action", "outcome"])
attempts_under_way = Gauge(
    "kpay_attempts_under_way",
    "Attempts that a rail has not answered yet, or whose answer is not recorded",
    ["connector"],
    multiprocess_mode="livesum",
)
rail_alarms = Counter(
    "kpay_rail_alarms", "Answers of a rail that a person has to look at", ["connector"]
)
rail_callbacks = Counter(
    "kpay_rail_callbacks",
    "Callbacks of rails, by what they were found to be",
    ["connector", "found"],
)
rail_predictions = Counter(
    "kpay_rail_predictions",
    "Times that a rail was to tell whose a number is, by what came of it",
    ["connector", "found"],
)
open_contradictions = Gauge(
    "kpay_open_contradictions",
    "What rails say against our books and nobody has settled yet",
    multiprocess_mode="mostrecent",
)
open_breaks = Gauge(
    "kpay_open_breaks",
    "Breaks between our books and a rail's that wait for an operator",
    multiprocess_mode="mostrecent",
)
webhooks = Counter("kpay_webhooks", "Webhooks sent, by what came of it", ["outcome"])
webhook_pauses = Counter("kpay_webhook_pauses", "Times that a merchant's endpoint was paused")
paused_webhooks = Gauge(
    "kpay_paused_webhooks", "Merchants' endpoints that are paused", multiprocess_mode="mostrecent"
)


def exposition() -> bytes:
    """Every metric of every process of this server, in Prometheus's text format."""
    # The server sets it for all its processes; without it the counters are this process's alone.
    if _MULTIPROCESS:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest()
