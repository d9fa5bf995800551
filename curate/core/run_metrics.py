"""Metrics of runs for Prometheus, in a file that the textfile collector of node_exporter reads.

A nightly run is gone when Prometheus looks, so an address of its own would show nothing of it. The file stays. Each
chunk adds to the counters that are in it, under a lock: they only grow, over runs and processes of this machine.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.log_lines import write_log_line
from curate.core.secrets import scrub_text

Labels = tuple[tuple[str, str], ...]

_DESCRIPTIONS = {
    "curate_run_chunks": "Committed chunks.",
    "curate_run_rows": "Rows of committed chunks, by what became of them.",
    "curate_run_requests": "Questions that a judge was asked.",
    "curate_run_failures": "Questions without a valid answer.",
    "curate_run_tokens": "Tokens of judges, by direction.",
    "curate_run_cost": "Cost, in the currency of the engines' prices.",
    "curate_run_seconds": "Seconds from one commit of a stage to the next.",
}
_LAST = "curate_run_last_chunk_timestamp_seconds"
_LOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ChunkFigures:
    """The figures of a committed chunk.

    Attributes:
        stage: The stage, such as `judge`.
        part: A source, a judge, …
        engine: Names of the engines that were asked; "": none.
        seconds: Time since the last commit of the run.
        rows: Rows by what became of them.
        requests: Questions that a judge was asked.
        failures: Those without a valid answer.
        tokens: Tokens by direction, `in` and `out`.
        cost: In the currency of the prices.
    """

    stage: str
    part: str
    engine: str
    seconds: float
    rows: Mapping[str, int]
    requests: int
    failures: int
    tokens: Mapping[str, int]
    cost: float

    def list_values(self) -> Iterable[tuple[str, Labels, float]]:
        """List metric, labels and value."""
        labels = (("stage", self.stage), ("part", scrub_text(self.part)), ("engine", self.engine))
        yield "curate_run_chunks", labels, 1
        yield "curate_run_seconds", labels, self.seconds
        for result, count in self.rows.items():
            yield "curate_run_rows", (*labels, ("result", result)), count
        if self.requests or self.engine:
            yield "curate_run_requests", labels, self.requests
            yield "curate_run_failures", labels, self.failures
            yield "curate_run_cost", labels, self.cost
            for direction, count in self.tokens.items():
                yield "curate_run_tokens", (*labels, ("direction", direction)), count


@dataclass(slots=True)
class MetricsFile:
    """Adds figures of chunks to a file in Prometheus' text format."""

    path: Path
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def add_chunk(self, figures: ChunkFigures) -> None:
        """Add a chunk. A file that cannot be written is a warning: no work is lost for its figures."""
        try:
            with self._lock, FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS):
                values = self._read()
                for name, given, value in figures.list_values():
                    labels = tuple(sorted(given))
                    values[name, labels] = values.get((name, labels), 0.0) + value
                values[_LAST, (("stage", figures.stage),)] = round(time.time(), 3)
                self._write(values)
        except (OSError, Timeout, ValueError) as error:
            write_log_line("metrics", f"Cannot write metrics to {self.path}: {error}", level="warning")

    def _read(self) -> dict[tuple[str, Labels], float]:
        from prometheus_client.parser import text_string_to_metric_families

        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return {
            (sample.name.removesuffix("_total"), tuple(sorted(sample.labels.items()))): float(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("curate_")
        }

    def _write(self, values: Mapping[tuple[str, Labels], float]) -> None:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
        from prometheus_client.registry import Collector

        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for (name, labels), value in sorted(values.items()):
            names = [label for label, _ in labels]
            if name not in families and name == _LAST:
                families[name] = GaugeMetricFamily(name, "When a stage last committed a chunk.", labels=names)
            elif name not in families:
                families[name] = CounterMetricFamily(name, _DESCRIPTIONS.get(name, name), labels=names)
            families[name].add_metric([text for _, text in labels], value)

        class Families(Collector):
            def collect(self) -> Iterable[Metric]:
                return families.values()

        registry = CollectorRegistry()
        registry.register(Families())
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}")  # the collector reads *.prom only
        new.write_bytes(generate_latest(registry))
        new.chmod(0o644)
        new.replace(self.path)


_file: MetricsFile | None = None


def start_metrics(path: Path | None) -> None:
    """Write the metrics of this process to a file from now on; None: to none.

    Raises:
        CurateError: prometheus_client is not installed, or there is no such folder.
    """
    global _file
    _file = None
    if path is None:
        return
    require_extra("metrics", "prometheus_client", purpose="`metrics` in curate.yaml")
    if not path.parent.is_dir():
        raise CurateError(f"metrics.textfile is {path}, and there is no folder {path.parent}: make it first.")
    _file = MetricsFile(path)


def count_chunk(figures: ChunkFigures) -> None:
    """Add a committed chunk to the metrics, where curate.yaml asks for them."""
    if _file is not None:
        _file.add_chunk(figures)
