"""Logs and metrics.

Logs are structlog lines with allow-listed keys only: what a person wrote, an address or a token cannot get in by
accident. What libraries log becomes such a line too, without its values. Metrics are Prometheus', read at `/metrics`.
"""

import logging
import re
import secrets
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from prometheus_client import Counter, Gauge, Histogram


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """As if this package were not installed: what is imported inside then does without."""
    known = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if known is not None:
            sys.modules[name] = known


# structlog imports rich where there is one, for tracebacks that are not printed here: a twelfth of the API's start.
# redis imports the whole of OpenTelemetry's SDK, for metrics that nobody asked it for: another.
with _hidden("rich"):
    import structlog
with _hidden("opentelemetry"):
    import redis.asyncio  # noqa: F401 - whoever imports it next finds it here

from app.common import tracing  # noqa: E402
from app.settings import Settings  # noqa: E402

ALLOWED_KEYS = frozenset(
    {
        "event", "level", "timestamp", "logger", "request_id", "error_id", "exception", "operation", "operation_type",
        "method", "path", "status", "duration_ms", "workspace_id", "user_id", "session_id", "kind", "key", "seq",
        "trace_id",
        "attempt", "rows", "count", "reason", "port", "host", "process", "consumer", "code", "error_type", "wait_s",
    }
)  # fmt: skip

operations = Counter("salespad_operations_total", "GraphQL operations", ["type", "outcome"])
operation_seconds = Histogram(
    "salespad_operation_seconds",
    "Duration of a GraphQL operation, seconds",
    ["type"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
sql_statements = Counter("salespad_sql_statements_total", "SQL statements sent")
due_rows = Gauge("salespad_due_rows", "Rows due and not finished", ["kind"])
due_handled = Counter("salespad_due_rows_handled_total", "Due rows handled", ["kind", "outcome"])
feed_lag_seconds = Histogram(
    "salespad_feed_lag_seconds",
    "From a feed event's transaction to its arrival in this process, seconds",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2.5, 5),
)
feed_found_by_poll = Counter(
    "feed_found_by_poll_total", "Feed events the poll found before the doorbell: 0 in calm times"
)
reactions = Counter("salespad_reactions_total", "Events that a consumer reacted to", ["consumer", "outcome"])
reactions_behind = Gauge(
    "salespad_reactions_behind", "Feed events that a consumer has not looked at", ["consumer"]
)
reactions_behind_seconds = Gauge(
    "salespad_reactions_behind_seconds", "Age of the oldest event a consumer has not looked at", ["consumer"]
)
reactions_set_aside = Gauge(
    "salespad_reactions_set_aside", "Events that a consumer failed to react to", ["consumer"]
)
subscribers = Gauge("salespad_subscribers", "Open feed subscriptions in this process")
redis_up = Gauge("salespad_redis_up", "1 while the doorbell is connected to Redis")


def measure_operation(kind: str, seconds: float, *, failed: bool) -> None:
    operations.labels(kind, "error" if failed else "ok").inc()
    operation_seconds.labels(kind).observe(seconds)


def new_error_id() -> str:
    """What a person quotes to support, and what the log line carries."""
    return secrets.token_hex(6)


def _allow_listed(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in entry.items() if key in ALLOWED_KEYS}


def _trace(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where an exception came from, without its message: a driver's message quotes the row."""
    error = entry.pop("exc_info", None)
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        cause = error.__cause__ or error.__context__
        entry["exception"] = "\n".join(
            [type(error).__name__, *places, *([f"from {type(cause).__name__}"] if cause else [])]
        )
    return entry


PLACE = re.compile(r'File "(.+?)", line (\d+), in (\S+)')
CALLBACK = re.compile(r"(?<=Exception in callback).*")


def _bare(words: str) -> str:
    """What a library says, without what it quotes: its first line; of a traceback's text the places."""
    if "Traceback (most recent call last)" not in words:
        return CALLBACK.sub("", words.partition("\n")[0])
    return "\n".join(["Traceback", *(f"{path}:{line} {name}" for path, line, name in PLACE.findall(words))])


class LibraryLog(logging.Handler):
    """Lines of the standard library's logging, as ours: their arguments and their exceptions' messages stay out, for
    a driver's message quotes the row and asyncio's the whole exception."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        log.log(record.levelno, _bare(str(record.msg)), logger=record.name, exc_info=error)


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Of a process: what Python would print, without the message."""
    log.critical("ended by an error", error_type=kind.__name__, exc_info=error.with_traceback(trace))


def _with_trace(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if of := tracing.trace_id():
        entry["trace_id"] = of
    return entry


class Lines:
    """stderr as it is at that moment. A line that cannot be written (the collector died, the disk is full) is lost: it
    must not end the loop that tells of itself.
    """

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = msg


def configure_logging(settings: Settings) -> None:
    as_json = (settings.log_format or ("json" if settings.is_production else "console")) == "json"
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, _with_trace, _trace, _allow_listed, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: Lines(),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[LibraryLog()])
    sys.excepthook = _log_the_end


log: structlog.stdlib.BoundLogger = structlog.get_logger()
