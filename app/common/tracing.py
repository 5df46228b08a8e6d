"""Traces, for those who switch them on (`SALESPAD_OTEL`): OpenTelemetry's SDK, which sends them by OTLP over HTTP to
where the OTEL_* variables say.

A span has a name of the code's own and attributes from a short list. None holds a document, a variable, an address, a
text or an exception's message. Off, nothing of OpenTelemetry is imported and a span costs a comparison. What a client
sends as its trace is not taken up: it could have its own requests kept, or its own words.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ATTRIBUTES = frozenset({"type", "fields", "kind", "key", "attempt", "consumer", "count", "method"})
FLUSH_MS = 2000
NOTHING = nullcontext()

_provider: "TracerProvider | None" = None


def configure_tracing(settings: Settings, process: str) -> None:
    """Once a process. Raises SystemExit where the extra is missing."""
    global _provider  # noqa: PLW0603 - as the loggers and the metrics: one a process
    if not settings.otel:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SystemExit(
            "SALESPAD_OTEL is on, but OpenTelemetry is not installed: pip install 'salespad[otel]', or unset it."
        ) from None
    os.environ.setdefault("OTEL_SERVICE_NAME", f"salespad-{process}")
    _provider = TracerProvider(resource=Resource.create())
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def is_on() -> bool:
    return _provider is not None


def flush() -> None:
    """What is not sent yet, before the process ends; waits 2 s at most."""
    if _provider is not None:
        _provider.force_flush(FLUSH_MS)


def span(name: str, **attributes: str | int) -> AbstractContextManager[None]:
    """What is done inside, as a part of what is around it."""
    return NOTHING if _provider is None else _current(name, attributes)


def leaf(name: str) -> AbstractContextManager[None]:
    """As `span`, with no parts of its own: for generators, which may end in another context than they began in."""
    return NOTHING if _provider is None else _alone(name)


def trace_id() -> str:
    """Of what is being done; "" outside of any."""
    if _provider is None:
        return ""
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""


@contextmanager
def _current(name: str, attributes: dict[str, str | int]) -> Iterator[None]:
    from opentelemetry.trace import use_span

    with (
        _ended(_start(name, attributes)) as current,
        use_span(current, record_exception=False, set_status_on_exception=False),
    ):
        yield


@contextmanager
def _alone(name: str) -> Iterator[None]:
    with _ended(_start(name, {})):
        yield


def _start(name: str, attributes: dict[str, str | int]) -> "Span":
    assert _provider is not None
    assert attributes.keys() <= ATTRIBUTES, "a span's attributes are of a short list"
    given: dict[str, Any] = {f"salespad.{key}": value for key, value in attributes.items()}
    return _provider.get_tracer("salespad").start_span(name, attributes=given)


@contextmanager
def _ended(current: "Span") -> Iterator["Span"]:
    """An error is told by its type: its message may quote anything."""
    from opentelemetry.trace import Status, StatusCode

    try:
        yield current
    except BaseException as error:
        current.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        current.end()
