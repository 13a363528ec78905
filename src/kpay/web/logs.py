"""Structured logs: one JSON object a line on standard error, each with its request's identifier."""

from __future__ import annotations

import logging
import sys

import structlog

from kpay.web.context import add_request_id
from kpay.web.redaction import redact

# What every line goes through before it is spelled out.
PROCESSORS: tuple[structlog.types.Processor, ...] = (
    structlog.processors.add_log_level,
    add_request_id,
    structlog.processors.format_exc_info,
    redact,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logs(level: str) -> None:
    """Set up logging for this process. Colour and columns where a person looks, JSON elsewhere."""
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        # What goes wrong is text by then, so that it is redacted too.
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*PROCESSORS, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
