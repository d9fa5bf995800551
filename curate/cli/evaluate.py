"""`curate evaluate`: the panel on the lake's gold, or reward models and judges on benchmarks of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from curate.cli.documents import AttackRun, BenchmarkRun, MetricValue, ProjectRun
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_attacks, print_scores, print_summaries
from curate.core.errors import CurateError
from curate.core.progress import progress_bars
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.evaluate.scores import MetricScore
    from curate.lake.lake import Lake


def evaluate_models(
    models: Annotated[
        list[str] | None, typer.Argument(help="Reward models: folders, pypi:PACKAGE or hub ids.")
    ] = None,
    benchmarks: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            "-b",
            help="A file, a folder, hf://owner/name[:split], guard, or reward-bench, reward-bench-2, rm-bench, "
            "judge-bench, hh-rlhf or ./format.yaml for its data set on the hub.",
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="Format of the benchmark: a name, ./format.yaml, ./format.py:Class, or auto, to go by its first row.",
        ),
    ] = "auto",
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            help="Evaluate this judge of curate.yaml too; with --judges: only this one. May be repeated.",
        ),
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Evaluate also on padded, reformatted and reversed pairs.")
    ] = False,
    order: Annotated[
        str | None,
        typer.Option(
            help="Orders in which joint models read the responses: one, average:K or rotations. With several, it "
            "prints what the order changed."
        ),
    ] = None,
    judges: Annotated[
        Literal["guard", "attack"] | None,
        typer.Option(
            "--judges",
            help="guard: ask every judge about answers that are written to fool judges. attack: edit the style of "
            "wrong answers until it prefers them.",
        ),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> ProjectRun | AttackRun | BenchmarkRun:
    """Score the panel on the benchmarks of curate.yaml, or reward models and judges on those that are named.

    Two or more models are also compared with each other: distance, rank correlation, agreement.
    """
    if judges is not None:
        return _attack_judges(judges, load_config(config), judge or None)
    if benchmarks:
        return _evaluate_on(models or [], judge or [], benchmarks, format, robustness, config, order)
    if models or judge:
        raise CurateError("Name a benchmark with --benchmark: the models need one to be evaluated on.")
    return _evaluate_project(load_config(config))


def _evaluate_project(settings: Config) -> ProjectRun:
    from curate.pipeline.evaluate import evaluate_project

    with open_lake(settings) as lake:
        done = print_summaries([evaluate_project(lake, settings, track=progress_bars)])
        return ProjectRun(done.stages, print_scores(lake))


def _attack_judges(attack: Literal["guard", "attack"], settings: Config, only: list[str] | None) -> AttackRun:
    from curate.judge.adversarial import measure_attack_success
    from curate.judge.style_attack import measure_style_attacks

    measure = measure_attack_success if attack == "guard" else measure_style_attacks
    with open_lake(settings) as lake:
        done = print_summaries([measure(lake, settings, only=only, track=progress_bars)])
        rates = print_attacks(lake, "fooled" if attack == "guard" else "flipped")
    return AttackRun(done.stages, rates)


def _evaluate_on(
    models: Sequence[str],
    judges: Sequence[str],
    sources: Sequence[str],
    form: str,
    robustness: bool,
    config: Path,
    order: str | None,
) -> BenchmarkRun:
    """Evaluate on the benchmarks that are named; scores go to the lake of curate.yaml, if there is one."""
    from curate.config.evaluate import EvaluateSection
    from curate.config.project import Config
    from curate.config.validation import validate_options
    from curate.evaluate.benchmark_reader import read_benchmark
    from curate.evaluate.benchmarking import score_subjects
    from curate.pipeline.evaluate import open_subjects

    base = load_config(config) if config.exists() else Config()
    section = validate_options(
        EvaluateSection,
        {
            "benchmarks": [_describe_benchmark(source, form) for source in sources],
            "models": models,
            "judges": judges,
            "robustness": robustness,
            "order": order or base.evaluate.order,
            "bootstrap": base.evaluate.bootstrap,
        },
    )
    settings = base.model_copy(update={"evaluate": section})
    metrics: list[MetricValue] = []
    if config.exists():
        from curate.evaluate import evaluate_benchmarks

        with open_lake(settings) as lake, open_subjects(settings, Path.cwd()) as subjects:
            done = print_summaries(
                [evaluate_benchmarks(lake, settings, subjects=subjects, track=progress_bars)]
            )
            for entry in section.benchmarks:
                scores = _read_scores(lake, entry.name, [subject.name for subject in subjects])
                metrics += _print_benchmark(entry.name, scores)
        return BenchmarkRun(done.stages, metrics)
    from curate.evaluate.benchmarking import build_distance_scores
    from curate.evaluate.verdicts import list_notes

    with open_subjects(settings, Path.cwd()) as subjects:
        if not subjects:
            raise CurateError("Name the reward models to be evaluated: curate evaluate MODEL --benchmark …")
        for entry in section.benchmarks:
            benchmark = read_benchmark(entry.source, folder=Path.cwd(), form=entry.format, name=entry.name)
            result = score_subjects(
                benchmark, subjects, resamples=section.bootstrap, perturb=robustness, track=progress_bars
            )
            scores = [*result.scores, *build_distance_scores(result.comparisons)]
            metrics += _print_benchmark(entry.name, scores)
        notes = list(list_notes(subjects))
        for note in notes:
            new_console().print(note, markup=False, highlight=False)
    return BenchmarkRun([], metrics, notes)


def _describe_benchmark(source: str, form: str) -> dict[str, str]:
    path = Path(source)
    file = path.resolve() if path.exists() else None
    name = file.name.split(".")[0] if file else source.removeprefix("hf://")
    return {"name": name, "source": str(file or _resolve_format(source)), "format": _resolve_format(form)}


def _resolve_format(name: str) -> str:
    """Return the path of a format's own file from here on: those of curate.yaml start at its folder."""
    file, separator, part = name.partition(":")
    return f"{Path(file).resolve()}{separator}{part}" if file.endswith((".py", ".yaml", ".yml")) else name


def _read_scores(lake: Lake, benchmark: str, names: Sequence[str]) -> list[MetricScore]:
    from curate.core.resources import read_query
    from curate.evaluate.scores import MetricScore
    from curate.stats.accuracy import LENGTH, RANDOM, MeanEstimate

    rows = lake.rows(read_query("evaluate_kept"), [benchmark, [*names, LENGTH, RANDOM]])
    return [
        MetricScore(subject, metric, MeanEstimate(*values), subset)
        for subject, metric, subset, *values in rows
    ]


_SHARES = ("accuracy", "best-of-n", "score", "coverage", "ece", "false-positive-rate")


def _print_benchmark(benchmark: str, scores: Sequence[MetricScore]) -> list[MetricValue]:
    """Print the headline of each subject, then its subsets, then the distances between models."""
    console = new_console()
    subjects = list(dict.fromkeys(score.subject for score in scores))
    by_key = {(score.subject, score.metric, score.subset): score for score in scores}
    metrics = [m for m in _SHARES if any(score.metric == m and score.subset == "all" for score in scores)]
    table = new_table("subject", *(f"{metric}>" for metric in metrics), "of>", title=benchmark)
    for subject in subjects:
        row = [by_key.get((subject, metric, "all")) for metric in metrics]
        table.add_row(subject, *map(_format_share, row), f"{row[0].estimate.n:,}" if row[0] else "")
    console.print(table)
    lines = list(
        dict.fromkeys(
            (score.metric, score.subset)
            for score in scores
            if not score.subset.startswith("to ") and (score.metric not in metrics or score.subset != "all")
        )
    )
    table = new_table("measure", "subset", *(f"{subject}>" for subject in subjects))
    for metric, subset in lines:
        table.add_row(
            metric, subset, *(_format_share(by_key.get((subject, metric, subset))) for subject in subjects)
        )
    if table.row_count:
        console.print(table)
    _print_comparisons(scores)
    return [
        MetricValue(
            benchmark,
            score.subject,
            score.metric,
            score.subset,
            score.estimate.value,
            score.estimate.low,
            score.estimate.high,
            score.estimate.n,
        )
        for score in scores
    ]


def _print_comparisons(scores: Sequence[MetricScore]) -> None:
    table = new_table("model", "", "distance>", "Kendall τ>", "Spearman ρ>", "pairs alike>")
    seen: set[frozenset[str]] = set()
    by_pair: dict[tuple[str, str], dict[str, MetricScore]] = {}
    for score in scores:
        if score.subset.startswith("to "):
            by_pair.setdefault((score.subject, score.subset), {})[score.metric] = score
    for (subject, other), by_metric in by_pair.items():
        key = frozenset((subject, other.removeprefix("to ")))
        if key not in seen:
            seen.add(key)
            figures = (by_metric.get(name) for name in ("distance", "kendall", "spearman", "agreement"))
            table.add_row(subject, other, *map(_format_figure, figures))
    if table.row_count:
        new_console().print(table)


def _format_share(score: MetricScore | None) -> str:
    if score is None:
        return ""
    if score.metric.startswith("gold@"):
        return _format_figure(score)
    estimate = score.estimate
    if (
        score.metric == "coverage"
        or estimate.low is None
        or estimate.high is None
        or estimate.low == estimate.high
    ):
        return f"{estimate.value:.1%}"
    return f"{estimate.value:.1%} {100 * estimate.low:.0f}–{100 * estimate.high:.0f}"


def _format_figure(score: MetricScore | None) -> str:
    if score is None:
        return ""
    estimate = score.estimate
    interval = (
        "" if estimate.low is None or estimate.high is None else f" {estimate.low:.2f} – {estimate.high:.2f}"
    )
    return f"{estimate.value:.3f}{interval}"
