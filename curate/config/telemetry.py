"""`metrics` and `traces`: what Prometheus and OpenTelemetry are told of runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from curate.core.run_metrics import start_metrics
from curate.core.section import Section
from curate.core.tracing import start_tracing, stop_tracing


class MetricsSection(Section):
    """Counters of runs for Prometheus."""

    textfile: str = Field(
        ...,
        pattern=r"\.prom$",
        description="File (`….prom`) in the folder of node_exporter's textfile collector; every chunk adds to it.",
    )


class TracesSection(Section):
    """Spans of runs for OpenTelemetry."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="URL of an OTLP/HTTP collector, without /v1/traces. Default: OTEL_EXPORTER_OTLP_ENDPOINT.",
    )
    evaluations: int = Field(
        100, ge=0, le=128, description="Events `gen_ai.evaluation.result` on each call of a judge, at most."
    )


def start_telemetry(metrics: Path | None, traces: TracesSection | None) -> None:
    """Begin to count and to trace, as curate.yaml says; without both sections, nothing is imported and nothing is done.

    Raises:
        CurateError: Packages or the folder of the file are missing.
    """
    start_metrics(metrics)
    if traces is None:
        stop_tracing()
    else:
        start_tracing(traces.endpoint, evaluations=traces.evaluations)
