"""`curate evaluate`: the panel on the lake's gold, or reward models and judges on benchmarks of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from curate.cli.opening import load_config, open_lake
from curate.core.errors import CurateError
from curate.core.progress import progress_bars

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.evaluate.scores import MetricScore
    from curate.lake.lake import Lake


def evaluate(
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
            help="Columns of the benchmark: a format, ./format.yaml, ./format.py:Class, or auto: by its first row.",
        ),
    ] = "auto",
    judge: Annotated[
        list[str] | None, typer.Option("--judge", "-j", help="Judges of curate.yaml to ask as well.")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Ask about padded, dressed-up and reversed pairs too.")
    ] = False,
    judges: Annotated[
        Literal["guard"] | None,
        typer.Option("--judges", help="guard: ask every judge about answers that are made to fool judges."),
    ] = None,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The project's file.", envvar="CURATE_CONFIG")
    ] = Path("curate.yaml"),
) -> None:
    """Score the panel on the benchmarks of curate.yaml, or reward models and judges on those that are named.

    Two models or more are also compared with each other: distance, rank correlation, agreement.
    """
    if judges == "guard":
        _guard(load_config(config))
    elif benchmarks:
        _named(models or [], judge or [], benchmarks, format, robustness, config)
    elif models or judge:
        raise CurateError("Say with --benchmark what the models are to be evaluated on.")
    else:
        _configured(load_config(config))


def _configured(settings: Config) -> None:
    from curate.cli.tables import print_scores, print_summaries
    from curate.pipeline.evaluate import evaluate_project as score

    with open_lake(settings) as lake:
        print_summaries([score(lake, settings, track=progress_bars)])
        print_scores(lake)


def _guard(settings: Config) -> None:
    from curate.cli.tables import print_guard, print_summaries
    from curate.judge.adversarial import measure_attack_success

    with open_lake(settings) as lake:
        print_summaries([measure_attack_success(lake, settings, track=progress_bars)])
        print_guard(lake)


def _named(
    models: Sequence[str],
    judges: Sequence[str],
    sources: Sequence[str],
    form: str,
    robustness: bool,
    config: Path,
) -> None:
    """Beside a curate.yaml the scores are kept in its lake; without one they are printed only."""
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
            "benchmarks": [_benchmark(source, form) for source in sources],
            "models": models,
            "judges": judges,
            "robustness": robustness,
            "bootstrap": base.evaluate.bootstrap,
        },
    )
    settings = base.model_copy(update={"evaluate": section})
    if config.exists():
        from curate.cli.tables import print_summaries
        from curate.evaluate import evaluate_benchmarks

        with open_lake(settings) as lake, open_subjects(settings, Path.cwd()) as found:
            print_summaries([evaluate_benchmarks(lake, settings, subjects=found, track=progress_bars)])
            for each in section.benchmarks:
                _print(each.name, _kept(lake, each.name, [subject.name for subject in found]))
        return
    from curate.evaluate.benchmarking import build_distance_scores

    with open_subjects(settings, Path.cwd()) as found:
        if not found:
            raise CurateError("Name the reward models to be evaluated: curate evaluate MODEL --benchmark …")
        for each in section.benchmarks:
            of = read_benchmark(each.source, folder=Path.cwd(), form=each.format, name=each.name)
            result = score_subjects(
                of, found, resamples=section.bootstrap, perturb=robustness, track=progress_bars
            )
            _print(each.name, [*result.scores, *build_distance_scores(result.comparisons)])


def _benchmark(source: str, form: str) -> dict[str, str]:
    path = Path(source)
    file = path.resolve() if path.exists() else None
    name = file.name.split(".")[0] if file else source.removeprefix("hf://")
    return {"name": name, "source": str(file or _resolve_format(source)), "format": _resolve_format(form)}


def _resolve_format(name: str) -> str:
    """Return the path of a format's own file from here on: those of curate.yaml start at its folder."""
    file, separator, part = name.partition(":")
    return f"{Path(file).resolve()}{separator}{part}" if file.endswith((".py", ".yaml", ".yml")) else name


def _kept(lake: Lake, benchmark: str, names: Sequence[str]) -> list[MetricScore]:
    from curate.core.resources import read_query
    from curate.evaluate.scores import MetricScore
    from curate.stats.accuracy import LENGTH, RANDOM, MeanEstimate

    rows = lake.rows(read_query("evaluate_kept"), [benchmark, [*names, LENGTH, RANDOM]])
    return [
        MetricScore(subject, metric, MeanEstimate(*values), subset)
        for subject, metric, subset, *values in rows
    ]


_SHARES = ("accuracy", "best-of-n", "score", "coverage", "ece", "false-positive-rate")


def _print(benchmark: str, scores: Sequence[MetricScore]) -> None:
    """The headline of each subject, then its subsets, then how far models are apart."""
    from curate.cli.tables import new_console, new_table

    console = new_console()
    subjects = list(dict.fromkeys(each.subject for each in scores))
    found = {(each.subject, each.metric, each.subset): each for each in scores}
    metrics = [m for m in _SHARES if any(each.metric == m and each.subset == "all" for each in scores)]
    table = new_table("subject", *(f"{metric}>" for metric in metrics), "of>", title=benchmark)
    for subject in subjects:
        row = [found.get((subject, metric, "all")) for metric in metrics]
        table.add_row(subject, *map(_share, row), f"{row[0].estimate.n:,}" if row[0] else "")
    console.print(table)
    lines = list(
        dict.fromkeys(
            (each.metric, each.subset)
            for each in scores
            if not each.subset.startswith("to ") and (each.metric not in metrics or each.subset != "all")
        )
    )
    table = new_table("measure", "subset", *(f"{subject}>" for subject in subjects))
    for metric, subset in lines:
        table.add_row(metric, subset, *(_share(found.get((each, metric, subset))) for each in subjects))
    if table.row_count:
        console.print(table)
    _print_comparisons(scores)


def _print_comparisons(scores: Sequence[MetricScore]) -> None:
    from curate.cli.tables import new_console, new_table

    table = new_table("model", "", "distance>", "Kendall τ>", "Spearman ρ>", "pairs alike>")
    seen: set[frozenset[str]] = set()
    by_pair: dict[tuple[str, str], dict[str, MetricScore]] = {}
    for each in scores:
        if each.subset.startswith("to "):
            by_pair.setdefault((each.subject, each.subset), {})[each.metric] = each
    for (subject, other), of in by_pair.items():
        key = frozenset((subject, other.removeprefix("to ")))
        if key not in seen:
            seen.add(key)
            figures = (of.get(name) for name in ("distance", "kendall", "spearman", "agreement"))
            table.add_row(subject, other, *map(_figure, figures))
    if table.row_count:
        new_console().print(table)


def _share(score: MetricScore | None) -> str:
    if score is None:
        return ""
    if score.metric.startswith("gold@"):
        return _figure(score)
    each = score.estimate
    if score.metric == "coverage" or each.low is None or each.high is None or each.low == each.high:
        return f"{each.value:.1%}"
    return f"{each.value:.1%} {100 * each.low:.0f}–{100 * each.high:.0f}"


def _figure(score: MetricScore | None) -> str:
    if score is None:
        return ""
    each = score.estimate
    interval = "" if each.low is None or each.high is None else f" {each.low:.2f} – {each.high:.2f}"
    return f"{each.value:.3f}{interval}"
