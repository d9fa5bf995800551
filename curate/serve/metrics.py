"""Counters of the reward server in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


@dataclass(slots=True)
class RequestMetrics:
    """Number of requests by path and status, and a histogram of the time to the answer of scored requests."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: float = 0.0
    answered: int = 0
    _within: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request; `seconds` are measured for status 200 only."""
        self.requests[path, status] += 1
        if status == 200:
            self.seconds += seconds
            self.answered += 1
            for bucket, bound in enumerate(BUCKETS):
                self._within[bucket] += seconds <= bound

    def format_text(self, values: dict[str, tuple[str, str, float]]) -> str:
        """Return all metrics as text; `values`: further ones, name → (type, help, value)."""
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
        for key, (kind, description, value) in values.items():
            lines += [f"# HELP {key} {description}", f"# TYPE {key} {kind}", f"{key} {value:g}"]
        return "\n".join(lines) + "\n"
