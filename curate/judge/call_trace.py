"""Trace a call of a judge with the attributes of OpenTelemetry's conventions for generative models.

Prompts, responses, rationales and what came back are never in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from curate.core.tracing import Span, Value, get_evaluation_limit, trace_span
from curate.judge.configured import ConfiguredJudge, Panel


class CallTrace:
    """The span of one call: a batch of questions to one judge."""

    def __init__(self, span: Span, judge: str) -> None:
        self._span = span
        self._judge = judge

    def record(self, rows: pa.Table) -> None:
        """Add what the rows of `judgments` say: counts, tokens, and one event an evaluation, up to the limit."""
        if not self._span.is_recorded:
            return
        failed = pc.sum(pc.equal(rows["outcome"], "failed")).as_py() or 0
        self._span.set_attributes(
            {
                "curate.judgments": rows.num_rows,
                "curate.judgments.failed": failed,
                "gen_ai.usage.input_tokens": pc.sum(rows["tokens_in"]).as_py() or 0,
                "gen_ai.usage.output_tokens": pc.sum(rows["tokens_out"]).as_py() or 0,
            }
        )
        columns = ["judgment_id", "outcome", "p_a", "score"]
        for row in rows.select(columns).slice(0, get_evaluation_limit()).to_pylist():
            event: dict[str, Value] = {
                "gen_ai.evaluation.name": self._judge,
                "gen_ai.evaluation.score.label": row["outcome"] or "score",
                "curate.judgment.id": row["judgment_id"],
            }
            value = row["score"] if row["p_a"] is None else row["p_a"]
            if value is not None:
                event["gen_ai.evaluation.score.value"] = float(value)
            if row["outcome"] == "failed":
                event["error.type"] = "failed"
            self._span.add_event("gen_ai.evaluation.result", event)


@contextlib.contextmanager
def trace_call(panel: Panel, configured: ConfiguredJudge) -> Iterator[CallTrace]:
    """Make the span of a call of a judge."""
    models = [
        str(panel.config.engines.get(engine.name, {}).get("model", engine.name))
        for engine in configured.engines
    ]
    attributes: dict[str, Value] = {"curate.judge": configured.name, "curate.stage": "judge"}
    if models:
        attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": ",".join(
                str(panel.config.engines.get(engine.name, {}).get("kind", "curate"))
                for engine in configured.engines
            ),
            "gen_ai.request.model": ",".join(models),
        }
    name = f"chat {','.join(models)}" if models else f"judge {configured.name}"
    with trace_span(name, attributes, is_call=bool(models)) as span:
        yield CallTrace(span, configured.name)
