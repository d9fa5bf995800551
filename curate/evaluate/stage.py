"""The stage `evaluate`: scores on each benchmark of curate.yaml, when the benchmark or the lake has changed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from curate.config.evaluate import Benchmark
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.evaluate.benchmark_formats import open_format
from curate.evaluate.benchmark_reader import read_benchmark
from curate.evaluate.benchmarking import build_distance_scores, score_subjects
from curate.evaluate.gold import read_gold
from curate.evaluate.panel_scores import find_best_judge, read_panel, score_panel, select_judges
from curate.evaluate.scores import build_evaluation_rows
from curate.evaluate.verdicts import Subject, list_notes
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run

_VERSION = 1  # of the rules in scores.py: raise it when the same lake would get other scores
_STATE = {
    "prompts": "prompt_id",
    "responses": "response_id",
    "current_judgments": "judgment_id",
    "preferences": "(prompt_id, response_a, response_b, outcome, status, iteration)",
    "rankings": "(prompt_id, response_id, rank, iteration)",
}


def evaluate_benchmarks(
    lake: Lake, config: Config, *, subjects: Sequence[Subject] = (), track: Track = no_progress
) -> Summary:
    """Score annotators, labels, models and judges on `config.evaluate.benchmarks`.

    Args:
        lake: The project's lake, open for writing.
        config: The project.
        subjects: Models and judges for benchmarks with responses of their own, see `curate.pipeline.evaluate`.
        track: Shows the progress.

    Returns:
        The counts of the run; skipped where neither the lake nor a benchmark nor a subject has changed.

    Raises:
        CurateError: A benchmark cannot be read, or there is no subject for one that needs subjects.
    """
    started = time.monotonic()
    run = StageRun(lake, "evaluate", config_hash=config.evaluate.digest)
    benchmarks = config.evaluate.benchmarks
    for benchmark in benchmarks:
        if benchmark.format not in ("lake", "auto"):
            open_format(benchmark.format, folder=config.resolve("."))  # mistakes show before any work
    state: list[str] = []
    if any(benchmark.format == "lake" for benchmark in benchmarks):
        select_panel(lake, config.panel_names)
        state = [lake.digest(table, column) for table, column in _STATE.items()]
    trained = config.train.judge if config.train else None
    skipped = True
    for benchmark in benchmarks:
        if benchmark.format != "lake":
            skipped &= not _evaluate_benchmark(run, benchmark, config, subjects, track)
            continue
        with track(f"evaluate {benchmark.name}", None):
            source = config.resolve(benchmark.source)
            settings = (config.evaluate.bootstrap, trained, benchmark.name)
            fingerprint = content_id(_VERSION, settings, _hash_file(source), state)
            if find_newest_run(lake, "evaluate", benchmark.name) != fingerprint:
                _evaluate_lake(run, benchmark, source, fingerprint, trained, config.evaluate.bootstrap)
                skipped = False
    if skipped:
        note = "" if benchmarks else "curate.yaml names no benchmark"
        return Summary("evaluate", Counts(), time.monotonic() - started, skipped=True, note=note)
    return run.summary(
        note="; ".join(
            [
                f"{len(benchmarks)} {'benchmark' if len(benchmarks) == 1 else 'benchmarks'}",
                *list_notes(subjects),
            ]
        )
    )


def _evaluate_lake(
    run: StageRun, benchmark: Benchmark, source: Path, fingerprint: str, trained: str | None, resamples: int
) -> None:
    gold = read_gold(run.lake, source)
    panel = read_panel(run.lake, gold)
    scores = score_panel(panel, gold, trained=trained, resamples=resamples)
    with run.chunk(benchmark.name, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", "benchmark = ?", [benchmark.name])
        writer.append("evaluations", build_evaluation_rows(scores, benchmark.name, run.run_id))
        counts.rows_in, counts.rows_kept, counts.rows_duplicate = gold.rows, gold.kept, gold.duplicates
        counts.dropped = gold.dropped
        counts.details = {"best_judge": find_best_judge(select_judges(panel, trained), gold)}


def _evaluate_benchmark(
    run: StageRun, benchmark: Benchmark, config: Config, subjects: Sequence[Subject], track: Track
) -> bool:
    """Score the subjects, and tell whether there was anything to do: the same rows are not judged twice."""
    if not subjects:
        raise CurateError(
            f"There is nobody to be evaluated on {benchmark.name!r}: name reward models under evaluate.models or "
            "judges under evaluate.judges in curate.yaml, or train one."
        )
    section = config.evaluate
    items = read_benchmark(
        benchmark.source, folder=config.resolve("."), form=benchmark.format, name=benchmark.name
    )
    revisions = sorted((subject.name, subject.revision) for subject in subjects)
    fingerprint = content_id(
        _VERSION, section.bootstrap, section.robustness, items.digest, items.format, revisions
    )
    part = f"benchmark {benchmark.name}"
    if find_newest_run(run.lake, "evaluate", part) == fingerprint:
        return False
    result = score_subjects(
        items, subjects, resamples=section.bootstrap, perturb=section.robustness, track=track
    )
    scores = [*result.scores, *build_distance_scores(result.comparisons)]
    with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
        for name in {score.subject for score in scores}:
            writer.delete("evaluations", "benchmark = ? AND subject = ?", [benchmark.name, name])
        writer.append("evaluations", build_evaluation_rows(scores, benchmark.name, run.run_id))
        counts.rows_in, counts.rows_kept, counts.dropped = items.rows, len(items.items), items.dropped
        counts.details = {"format": items.format, "subjects": revisions}
    return True


def _hash_file(source: Path) -> str:
    try:
        return blake2b(source.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise CurateError(
            f"Cannot read the benchmark {source}: {error.strerror}. Check evaluate.benchmarks in curate.yaml."
        ) from error
