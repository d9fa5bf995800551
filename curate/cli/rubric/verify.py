"""`curate rubric verify` and `curate rubric select`: which criteria are sound, and which few of them predict labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import RubricSelection, RubricVerification
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
from curate.core.errors import CurateError
from curate.core.terminal import new_console, new_table, print_line

if TYPE_CHECKING:
    from curate.rubric.matrix import CriterionMatrix
    from curate.rubric.selected import SelectedRubric
    from curate.rubric.verification import CriterionCheck, RubricCheck

_RUBRIC = typer.Argument(
    help="A rubric (YAML), or annotated pairs of ICAI (JSON), which hold labels and verdicts."
)
_SOURCE = typer.Argument(help="The labels: a project (curate.yaml), or preferences (JSON lines, Parquet).")
_VERDICTS = typer.Option(
    "--verdicts", help="Recorded verdicts beside a file of preferences (JSON lines, Parquet)."
)
_LABEL = typer.Option("--label", help="Of annotated pairs: the annotator whose votes are the label.")
_PEOPLE = typer.Option("--people", help="Of a project, only labels that people gave.")
_EMBEDDER = typer.Option(
    "--embedder", help="Find criteria alike by this embedding model, not by words in common."
)
_WRITE = typer.Option("--write", "-w", help="Write what stays as a rubric (YAML).")
_PAIRS = typer.Option(
    "--pairs-out", help="Write pairs, labels and verdicts as annotated pairs of ICAI (JSON)."
)
_FORCE = typer.Option("--force", help="Replace the files to write.")


def verify_rubric(
    rubric: Annotated[Path, _RUBRIC],
    source: Annotated[Path, _SOURCE] = Path("curate.yaml"),
    verdicts: Annotated[Path | None, _VERDICTS] = None,
    label: Annotated[str | None, _LABEL] = None,
    people: Annotated[bool, _PEOPLE] = False,
    embedder: Annotated[str | None, _EMBEDDER] = None,
    write: Annotated[Path | None, _WRITE] = None,
    pairs_out: Annotated[Path | None, _PAIRS] = None,
    force: Annotated[bool, _FORCE] = False,
) -> RubricVerification:
    """Hold the verdicts on each criterion against labels: which are sound, repeat another or follow length."""
    from curate.rubric.selected import keep_criteria
    from curate.rubric.verification import verify_criteria
    from curate.rubric.wording import list_check_findings

    matrix, left_out = _find_matrix(rubric, source, verdicts, label, people=people)
    settings = load_settings(source)
    check = verify_criteria(matrix, settings.rubric.verify, embed=open_embedder(embedder, settings))
    findings = list_check_findings(check)
    if left_out:
        findings.append(f"{left_out:,} pairs were left out: the rubric was learnt from their prompts.")
    _print_check(check)
    for sentence in findings:
        print_line(sentence)
    _write_pairs(pairs_out, matrix, force=force)
    if write is not None:
        kept = keep_criteria(matrix, check, name=name_after(write), source=_name_source(rubric, source))
        if kept is None:
            print_line(f"No criterion is kept, so {write} was not written.")
        else:
            write_new_rubric(write, kept, comment="\n".join(findings), force=force)
            print_line(f"Written: {write}, {len(kept.criteria)} criteria, revision {kept.revision}.")
    return RubricVerification(
        check.pairs, check.prompts, check.ties, check.criteria, check.accuracy, check.gain, findings
    )


def select_rubric(
    rubric: Annotated[Path, _RUBRIC],
    source: Annotated[Path, _SOURCE] = Path("curate.yaml"),
    verdicts: Annotated[Path | None, _VERDICTS] = None,
    label: Annotated[str | None, _LABEL] = None,
    people: Annotated[bool, _PEOPLE] = False,
    most: Annotated[int | None, typer.Option(min=1, help="Criteria that stay at most.")] = None,
    method: Annotated[str | None, METHOD] = None,
    embedder: Annotated[str | None, _EMBEDDER] = None,
    model: Annotated[str | None, MODEL] = None,
    write: Annotated[Path | None, _WRITE] = None,
    force: Annotated[bool, _FORCE] = False,
) -> RubricSelection:
    """Select the few criteria that together say which response is better, with signed weights and a reason each."""
    from curate.rubric import SelectionOptions
    from curate.rubric.selected import select_rubric_criteria

    matrix, left_out = _find_matrix(rubric, source, verdicts, label, people=people)
    settings = load_settings(source)
    section = set_selection(settings.rubric.select, most=most, method=method, embedder=embedder)
    options = SelectionOptions(**section.model_dump(exclude={"pairs", "embedder"}))
    selected = select_rubric_criteria(
        matrix,
        options,
        name=name_after(write or rubric),
        source=_name_source(rubric, source),
        embed=open_embedder(section.embedder, settings),
    )
    findings, combination = selected.findings, None
    if model is not None:
        combination, sentences = show_combination(matrix.pairs, matrix.rows, selected.margin, model, options)
        findings = (*findings, *sentences)
    if left_out:
        findings = (*findings, f"{left_out:,} pairs were left out: the rubric was learnt from their prompts.")
    _print_selection(selected)
    for sentence in findings:
        print_line(sentence)
    if write is not None and selected.rubric is None:
        print_line(f"No criterion was selected, so {write} was not written.")
    elif write is not None and selected.rubric is not None:
        write_new_rubric(write, selected.rubric, comment="\n".join(findings), force=force)
        if (config := find_config(source)) is not None and verdicts is None:
            _record(config, selected)
        print_line(
            f"Written: {write}, {len(selected.rubric.criteria)} criteria, revision {selected.rubric.revision}."
        )
    return RubricSelection(
        pairs=selected.pairs,
        proposed=selected.proposed,
        rows=[asdict(row) for row in selected.rows],
        accuracy=selected.accuracy,
        gain=selected.gain,
        findings=list(findings),
        rubric=selected.rubric,
        combination=combination,
    )


def _find_matrix(
    rubric: Path, source: Path, verdicts: Path | None, label: str | None, *, people: bool
) -> tuple[CriterionMatrix, int]:
    from curate.data.rubric import read_rubric
    from curate.rubric.annotated_pairs import is_annotated_pairs, read_annotated_pairs
    from curate.rubric.sources import find_verdicts

    if is_annotated_pairs(rubric):
        if verdicts is not None or people:
            raise CurateError(f"{rubric} holds labels and verdicts: leave out --verdicts and --people.")
        return read_annotated_pairs(rubric, label=label), 0
    if label is not None:
        raise CurateError(
            "--label names an annotator of annotated pairs (a .json file), and the rubric is none."
        )
    return find_verdicts(read_rubric(rubric), source, verdicts=verdicts, people=people)


def _name_source(rubric: Path, source: Path) -> str:
    """Return what a written rubric was verified on; annotated pairs hold their own labels."""
    return rubric.name if rubric.suffix == ".json" else source.name


def _write_pairs(path: Path | None, matrix: CriterionMatrix, *, force: bool) -> None:
    if path is None:
        return
    from curate.rubric.annotated_pairs import write_annotated_pairs

    if path.exists() and not force:
        raise CurateError(f"{path} is there already: name another file, or use --force.")
    write_annotated_pairs(path, matrix, name=path.stem)


def _print_check(check: RubricCheck) -> None:
    ties = f", of which {check.ties:,} are ties" if check.ties else ""
    print_line(f"{check.pairs:,} pairs of {check.prompts:,} prompts{ties}.")
    table = new_table(
        "criterion",
        "weight>",
        "tells apart>",
        "agrees>",
        "95 % interval>",
        "with length>",
        "failed>",
        "",
        "why",
    )
    for row in sorted(check.criteria, key=lambda criterion: -criterion.accuracy.value):
        table.add_row(
            row.name,
            f"{row.weight:+.2f}",
            f"{row.coverage:.0%}",
            "·" if row.consistency is None else f"{row.consistency.value:.0%}",
            _format_interval(row),
            "·" if row.length_correlation is None else f"{row.length_correlation:+.2f}",
            f"{row.failed:,}" if row.failed else "·",
            "keep" if row.problem is None else "drop",
            "; ".join([*([row.problem] if row.problem else []), *row.remarks]),
        )
    new_console().print(table)


def _format_interval(row: CriterionCheck) -> str:
    if row.consistency is None or row.consistency.low is None or row.consistency.high is None:
        return "·"
    return f"{row.consistency.low:.0%} … {row.consistency.high:.0%}"


def _print_selection(selected: SelectedRubric) -> None:
    table = new_table("criterion", "weight>", "95 % interval>", "stable>", "tells apart>", "agrees>")
    for row in selected.rows:
        table.add_row(
            row.name,
            f"{row.weight:+.2f}",
            f"{row.low:+.2f} … {row.high:+.2f}",
            f"{row.stability:.0%}",
            f"{row.coverage:.0%}",
            f"{row.consistency:.0%}",
        )
    if selected.rows:
        new_console().print(table)


def _record(config: Path, selected: SelectedRubric) -> None:
    """Keep the rubric as a row of the project's lake, with what it was selected from."""
    from curate.cli.opening import load_config, open_lake
    from curate.rubric.stage import record_rubric

    assert selected.rubric is not None
    details = {
        "pairs": selected.pairs,
        "proposed": selected.proposed,
        "accuracy": {name: estimate.value for name, estimate in selected.accuracy.items()},
    }
    with open_lake(load_config(config)) as lake:
        record_rubric(lake, selected.rubric, origin="selection", details=details)
