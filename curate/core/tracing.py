"""Traces in OpenTelemetry's form: spans of stages, chunks and calls of judges, if curate.yaml asks for them.

Nothing of OpenTelemetry is imported otherwise. No attribute holds a text of a prompt, a response or an answer; values
of the environment that are secrets are replaced in all of them.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.core.extras import require_extra
from curate.core.secrets import scrub_text

Value = str | int | float | bool | Sequence[str]

_SECONDS = 5_000  # milliseconds, in OpenTelemetry's unit, until spans that are left are given up


def get_evaluation_limit() -> int:
    """Return how many events `gen_ai.evaluation.result` a call of a judge has at most."""
    return _evaluations


class Span:
    """A span, or none: then nothing happens."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    @property
    def is_recorded(self) -> bool:
        """Tell whether anybody will see it: if not, nothing need be computed for it."""
        return self._span is not None

    def set_attributes(self, attributes: Mapping[str, Value]) -> None:
        if self._span is not None:
            self._span.set_attributes(_clean(attributes))

    def add_event(self, name: str, attributes: Mapping[str, Value]) -> None:
        if self._span is not None:
            self._span.add_event(name, _clean(attributes))


_NO_SPAN = Span()
_tracer: Any = None
_provider: Any = None
_root: Any = None
_evaluations = 0


def start_tracing(endpoint: str | None, *, evaluations: int = 100, exporter: Any = None) -> None:
    """Send the spans of this process to a collector from now on, under one root that ends with it.

    Args:
        endpoint: URL of an OTLP/HTTP collector, such as http://127.0.0.1:4318; None: what the environment's
            `OTEL_EXPORTER_OTLP_ENDPOINT` says. `OTEL_EXPORTER_OTLP_HEADERS` may hold keys.
        evaluations: Events that a call of a judge has at most.
        exporter: An exporter of spans in place of that.

    Raises:
        CurateError: The packages are not installed.
    """
    global _tracer, _provider, _root, _evaluations
    require_extra("otel", "opentelemetry.sdk", purpose="`traces` in curate.yaml")
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from curate import __version__

    stop_tracing()
    if exporter is None:
        require_extra("otel", "opentelemetry.exporter.otlp.proto.http", purpose="`traces` in curate.yaml")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        exporter = OTLPSpanExporter(endpoint=url, timeout=10)
    resource = Resource.create({"service.name": "curate", "service.version": __version__})
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=64))
    _tracer = _provider.get_tracer("curate", __version__)
    _evaluations = evaluations
    _root = contextlib.ExitStack()
    _root.enter_context(trace_span("curate", {}))
    atexit.register(stop_tracing)


def stop_tracing() -> None:
    """Send what is left, and trace no more."""
    global _tracer, _provider, _root
    if _provider is not None:
        provider, root, _provider, _tracer, _root = _provider, _root, None, None, None
        with contextlib.suppress(Exception):  # a collector that is away fails no run
            root.close()
            provider.force_flush(_SECONDS)
            provider.shutdown()


@contextlib.contextmanager
def trace_span(name: str, attributes: Mapping[str, Value], *, is_call: bool = False) -> Iterator[Span]:
    """Make a span of what the block does; an error in it is marked by its type alone.

    Args:
        name: Name of the span, of few different ones.
        attributes: What is known before.
        is_call: It calls a model.
    """
    if _tracer is None:
        yield _NO_SPAN
        return
    from opentelemetry.trace import SpanKind, StatusCode

    with _tracer.start_as_current_span(
        scrub_text(name),
        kind=SpanKind.CLIENT if is_call else SpanKind.INTERNAL,
        attributes=_clean(attributes),
        record_exception=False,  # its message may hold texts
        set_status_on_exception=False,
    ) as span:
        try:
            yield Span(span)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def _clean(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {
        name: scrub_text(value)
        if isinstance(value, str)
        else value
        if isinstance(value, int | float)
        else [scrub_text(text) for text in value]
        for name, value in attributes.items()
    }
