"""The stage `evaluate`: each benchmark of the configuration against the lake, when either has changed."""

from __future__ import annotations

import time
from hashlib import blake2b
from pathlib import Path

from curate.config import Benchmark, Config
from curate.errors import CurateError
from curate.evaluate.gold import read_gold
from curate.evaluate.panel import best_judge, judges_of, read_panel, score_panel
from curate.evaluate.scores import evaluation_rows
from curate.identity import content_id
from curate.lake import Lake
from curate.panel import select_panel
from curate.progress import Track
from curate.runs import Counts, StageRun, Summary, newest

_VERSION = 1  # of the rules in scores.py: raise it when the same lake would get other scores
_STATE = {
    "prompts": "prompt_id",
    "responses": "response_id",
    "current_judgments": "judgment_id",
    "preferences": "(prompt_id, response_a, response_b, outcome, status, iteration)",
    "rankings": "(prompt_id, response_id, rank, iteration)",
}


def evaluate(lake: Lake, config: Config, *, track: Track) -> Summary:
    started = time.monotonic()
    run = StageRun(lake, "evaluate", config_hash=config.evaluate.digest)
    select_panel(lake, config)
    state = (
        [lake.digest(table, column) for table, column in _STATE.items()] if config.evaluate.benchmarks else []
    )
    trained = config.train.judge if config.train else None
    skipped = True
    with track("evaluate", len(config.evaluate.benchmarks)) as advance:
        for benchmark in config.evaluate.benchmarks:
            source = config.resolve(benchmark.source)
            settings = (config.evaluate.bootstrap, trained, benchmark.name)
            fingerprint = content_id(_VERSION, settings, _file_digest(source), state)
            if newest(lake, "evaluate", benchmark.name) != fingerprint:
                _evaluate(run, benchmark, source, fingerprint, trained, config.evaluate.bootstrap)
                skipped = False
            advance(1)
    if skipped:
        note = "" if config.evaluate.benchmarks else "curate.yaml names no benchmark"
        return Summary("evaluate", Counts(), time.monotonic() - started, skipped=True, note=note)
    return run.summary(note=f"{len(config.evaluate.benchmarks)} benchmarks")


def _evaluate(
    run: StageRun, benchmark: Benchmark, source: Path, fingerprint: str, trained: str | None, resamples: int
) -> None:
    gold = read_gold(run.lake, source)
    panel = read_panel(run.lake, gold)
    scores = score_panel(panel, gold, trained=trained, resamples=resamples)
    with run.chunk(benchmark.name, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", "benchmark = ?", [benchmark.name])
        writer.append("evaluations", evaluation_rows(scores, benchmark.name, run.run_id))
        counts.rows_in, counts.rows_kept, counts.rows_duplicate = gold.rows, gold.kept, gold.duplicates
        counts.dropped = gold.dropped
        counts.details = {"best_judge": best_judge(judges_of(panel, trained), gold)}


def _file_digest(source: Path) -> str:
    try:
        return blake2b(source.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise CurateError(
            f"Cannot read the benchmark {source}: {error.strerror}. Check evaluate.benchmarks in curate.yaml."
        ) from error
