"""`curate rubric features`: what labels reward, as far as measurable features show it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.documents import RubricFeatures
from curate.cli.rubric.opening import (
    METHOD,
    MODEL,
    find_config,
    load_settings,
    name_after,
    open_embedder,
    set_selection,
    show_combination,
    write_new_rubric,
)
from curate.core.progress import progress_bars
from curate.core.terminal import new_console, new_table, print_line

if TYPE_CHECKING:
    from curate.data.rubric import Rubric
    from curate.rubric import FeatureReport, LabelledPairs
    from curate.rubric.feature_report import FeatureEvidence

_SOURCE = typer.Argument(
    help="Preferences (JSON lines, Parquet, a folder of them) or a project (curate.yaml)."
)
_OWN = typer.Option(
    "--feature", help="A feature of your own beside the library's: ./file.py:Class. Repeatable."
)
_EXCERPT = 240


def show_features(
    source: Annotated[Path, _SOURCE] = Path("curate.yaml"),
    people: Annotated[
        bool, typer.Option("--people", help="Of a project, only labels that people gave.")
    ] = False,
    feature: Annotated[list[str] | None, _OWN] = None,
    write: Annotated[
        Path | None, typer.Option("--write", "-w", help="Write the selected features as a rubric (YAML).")
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, max=3, help="Show so many pairs won and lost by each selected feature.")
    ] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="List the features that were not selected too.")
    ] = False,
    method: Annotated[str | None, METHOD] = None,
    model: Annotated[str | None, MODEL] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the rubric's file.")] = False,
) -> RubricFeatures:
    """Say in words what labels reward, by features that are measured without a model; warn of length and format."""
    from curate.rubric import (
        SelectionOptions,
        build_rubric,
        list_findings,
        open_features,
        read_labelled_pairs,
        report_features,
    )
    from curate.rubric.labelled import draw_pairs

    settings = load_settings(source)
    pairs = read_labelled_pairs(source, people=people)
    features = open_features([], own=settings.rubric.features, folder=settings.resolve("."))
    features += open_features(["length"], own=feature or [])[1:]
    section = set_selection(settings.rubric.select, method=method)
    options = SelectionOptions(**section.model_dump(exclude={"pairs", "embedder"}))
    drawn = draw_pairs(pairs, section.pairs, seed=options.seed)
    if len(drawn) < len(pairs):
        print_line(
            f"{len(drawn):,} of {len(pairs):,} pairs, those of prompts drawn at random.", file=sys.stderr
        )
    pairs = drawn
    embed = open_embedder(section.embedder, settings)
    report = report_features(pairs, features, options, embed=embed, track=progress_bars)
    findings = list_findings(report)
    combination = None
    if model is not None:
        combination, sentences = show_combination(pairs, report.rows, report.margin, model, options)
        findings += sentences
    _print_report(report, findings, everything=everything)
    for row in report.selected if examples else ():
        _print_examples(row, pairs, examples)
    if write is not None:
        rubric = build_rubric(report, name=name_after(write), source=source.name, about=findings[0])
        if rubric is None:
            print_line(f"No feature was selected, so {write} was not written.")
        else:
            write_new_rubric(write, rubric, comment="\n".join(findings), force=force)
            if (config := find_config(source)) is not None:
                _record(config, rubric, report, pairs)
            print_line(f"Written: {write}, {len(rubric.criteria)} criteria, revision {rubric.revision}.")
    return RubricFeatures(
        pairs=report.pairs,
        prompts=report.prompts,
        ties=report.ties,
        dropped=dict(report.dropped),
        by_prompt=report.by_prompt,
        evidence=[_dump(row, pairs) for row in report.evidence],
        accuracy=report.accuracy,
        gain=report.gain,
        findings=list(findings),
        combination=combination,
    )


def _print_report(report: FeatureReport, findings: list[str], *, everything: bool) -> None:
    ties = f", of which {report.ties:,} are ties" if report.ties else ""
    dropped = "".join(f"; {number:,} rows left out: {reason}" for reason, number in report.dropped.items())
    print_line(f"{report.pairs:,} pairs of {report.prompts:,} prompts{ties}{dropped}.")
    rows = report.evidence if everything else report.selected
    if rows:
        table = new_table(
            "feature",
            "about",
            "weight>",
            "95 % interval>",
            "more of it wins>",
            "pairs>",
            "stable>",
            "with length>",
        )
        for row in rows:
            table.add_row(
                row.name,
                row.family,
                "·" if row.weight is None else f"{row.weight:+.2f}",
                "·" if row.low is None or row.high is None else f"{row.low:+.2f} … {row.high:+.2f}",
                f"{row.wins:.0%}" if row.differ else "·",
                f"{row.differ:,}",
                f"{row.stability:.0%}",
                "·" if row.length_correlation is None else f"{row.length_correlation:+.2f}",
            )
        new_console().print(table)
    for row in report.selected:
        print_line(f"{row.name}: {row.statement}")
    for sentence in findings:
        print_line(sentence)


def _print_examples(row: FeatureEvidence, pairs: LabelledPairs, number: int) -> None:
    for title, listed in (("won by", row.for_it), ("lost by", row.against_it)):
        for pair in listed[:number]:
            better, worse, prompt = _read_texts(pairs, pair)
            print_line(f"\n{title} {row.name}\n  prompt: {prompt}\n  better: {better}\n  worse:  {worse}")


def _read_texts(pairs: LabelledPairs, pair: int) -> tuple[str, str, str]:
    """Return the beginnings of the better response, the worse one and the prompt."""
    sides = [int(pairs.chosen[pair]), int(pairs.rejected[pair])]
    better, worse = sides if pairs.p_chosen[pair] >= 0.5 else reversed(sides)
    texts = (pairs.responses[better], pairs.responses[worse], pairs.prompts[pairs.prompt_of[better]])
    short = [" ".join(text.split()) for text in texts]
    first, second, third = (text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]} …" for text in short)
    return first, second, third


def _dump(row: FeatureEvidence, pairs: LabelledPairs) -> dict[str, Any]:
    def read(listed: tuple[int, ...]) -> list[dict[str, str]]:
        return [
            dict(zip(("better", "worse", "prompt"), _read_texts(pairs, pair), strict=True)) for pair in listed
        ]

    return asdict(row) | {"for_it": read(row.for_it), "against_it": read(row.against_it)}


def _record(config: Path, rubric: Rubric, report: FeatureReport, pairs: LabelledPairs) -> None:
    """Keep the rubric as a row of the project's lake, with what it was learnt from."""
    from curate.cli.opening import load_config, open_lake
    from curate.rubric.feature_report import keep_evidence
    from curate.rubric.stage import record_rubric

    details = {
        "pairs": report.pairs,
        "prompts": report.prompts,
        "proposed": len(report.evidence),
        "accuracy": {name: estimate.value for name, estimate in report.accuracy.items()},
        "evidence": keep_evidence(report, pairs),
    }
    with open_lake(load_config(config)) as lake:
        record_rubric(lake, rubric, origin="features", details=details)
