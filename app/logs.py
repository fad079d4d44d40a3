"""Logging: one structured line an event, for people on a console or as JSON for machines."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor

# What PostgreSQL adds to an error: the row that failed, and the statement, into which psycopg2 has written the values.
_VALUES = re.compile(r"^(LINE \d+|DETAIL|CONTEXT):.*?(?=\n\n|\n\[SQL|\Z)", re.DOTALL | re.MULTILINE)


def _without_values(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = _VALUES.sub(r"\1: not shown, it holds values", event["exception"])
    return event


def _to_json(event: EventDict, default: Callable[[Any], Any]) -> str:
    """The line of an event, in ASCII as `json.dumps` makes it, which takes seven times as long."""
    with suppress(ValueError):  # of text that is no Unicode, such as half a surrogate pair: json escapes that, too
        line = to_json(event, fallback=default)
        if line.isascii():
            return line.decode()
    return json.dumps(event, default=default)


class _StandardError:
    """A logger that writes what structlog has made of an event. What cannot be written is lost: where standard error is
    full or closed, the service is served all the same.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, line: str) -> None:
        if sys.stderr is None:  # it was closed before the process began
            return
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


def configure_logging(*, json: bool, level: str) -> None:
    """Send Tandem's events and the libraries' records to standard error in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor] = [
        structlog.processors.format_exc_info,  # plain: others show local variables, and with them passwords
        _without_values,
        structlog.processors.JSONRenderer(_to_json)
        if json
        else structlog.dev.ConsoleRenderer(colors=os.isatty(2), exception_formatter=structlog.dev.plain_traceback),
    ]
    # Events do not go through `logging`: its records would double the cost of the line that every request writes.
    structlog.configure(
        processors=[*shared, *renderer],
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"  # RequestContext writes the one line a request
