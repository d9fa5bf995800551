"""Counters in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


@dataclass(slots=True)
class RequestMetrics:
    """Requests by path and status, and how long those took that were answered with scores."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: float = 0.0
    answered: int = 0
    _within: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))

    def count(self, path: str, status: int, seconds: float) -> None:
        self.requests[path, status] += 1
        if status == 200:
            self.seconds += seconds
            self.answered += 1
            for place, bound in enumerate(BUCKETS):
                self._within[place] += seconds <= bound

    def text(self, gauges: dict[str, tuple[str, str, float]]) -> str:
        """`gauges`: name → (type, help, value), shown beside the requests."""
        lines = ["# HELP curate_requests_total Requests.", "# TYPE curate_requests_total counter"]
        lines += [
            f'curate_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self.requests.items())
        ]
        name = "curate_request_seconds"
        lines += [f"# HELP {name} Time to the answer of a scored request.", f"# TYPE {name} histogram"]
        bounds = zip(BUCKETS, self._within, strict=True)
        lines += [f'{name}_bucket{{le="{bound:g}"}} {count}' for bound, count in bounds]
        lines += [
            f'{name}_bucket{{le="+Inf"}} {self.answered}',
            f"{name}_sum {self.seconds:.6f}",
            f"{name}_count {self.answered}",
        ]
        for gauge, (kind, about, value) in gauges.items():
            lines += [f"# HELP {gauge} {about}", f"# TYPE {gauge} {kind}", f"{gauge} {value:g}"]
        return "\n".join(lines) + "\n"
