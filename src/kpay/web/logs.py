"""Structured logs: one JSON object a line on standard error, each with its request's identifier."""

from __future__ import annotations

import logging
import sys

import structlog

from kpay.web.context import add_request_id


def configure_logs(level: str) -> None:
    """Set up logging for this process. Colour and columns where a person looks, JSON elsewhere."""
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    trace: list[structlog.types.Processor] = [structlog.processors.format_exc_info]
    if sys.stderr.isatty():
        renderer, trace = structlog.dev.ConsoleRenderer(), []
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_request_id,
            *trace,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
