"""Structured logs: one JSON object a line on standard error, from our own loggers and from libraries' alike.

Called once by a workload's bootstrap, before anything logs. Nothing secret is ever passed to a logger.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor


def configure_logs(*, level: str, style: str, stream: TextIO | None = None) -> None:
    """Sends all records of `level` and worse to `stream`, rendered as `style` says (`json` or `console`)."""
    shared: tuple[Processor, ...] = (
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(shared),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer(style)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def renderer(style: str) -> Processor:
    """Returns the last processor: what turns an event into text."""
    if style == "console":
        return structlog.dev.ConsoleRenderer(colors=False)
    return structlog.processors.JSONRenderer(sort_keys=True)
