"""`curate ingest FILE`: recognise what a file is, show it, and take it in once that is agreed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from curate.cli.documents import IngestRun, InputCount, Recognised, StageResult
from curate.cli.example_rows import leave_out_example
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_summaries
from curate.core.errors import CurateError
from curate.core.progress import progress_bars
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.config.ingest import Source
    from curate.config.project import Config
    from curate.ingest.recognition import Recognition

FILES = "files"


class IngestGroup(TyperGroup):
    """A group of commands in which the word `files` may be left out: `curate ingest votes.csv`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word `files` before arguments that are meant for it."""
        if self._names_files(args):
            args = [FILES, *args]
        return super().parse_args(ctx, args)

    def _names_files(self, args: list[str]) -> bool:
        known = {name: option for option in self.params for name in option.opts}
        rest = iter(args)
        for argument in rest:
            if not argument.startswith("-") or argument == "-":
                return argument not in self.commands
            name = argument.partition("=")[0]
            if name in ("-h", "--help"):
                return False
            option: Any = known.get(name)
            if option is None:
                return True
            if not option.is_flag and "=" not in argument:
                next(rest, None)
        return False


def ingest_files(
    sources: Annotated[
        list[str], typer.Argument(help="Files, globs, folders, or hf://owner/name.", metavar="FILE…")
    ],
    format: Annotated[
        str, typer.Option("--format", "-f", help="Shape of the rows, where it is known; default: recognised.")
    ] = "auto",
    split: Annotated[str | None, typer.Option("--split", help="Split of a data set.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take in what is likely and not certain, without asking.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Read every row and count what would be taken in; write nothing."),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Only show what the files are; needs no project and writes nothing."),
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> IngestRun:
    """Take in files whose shape is recognised (the word `files` may be left out).

    What was understood is shown with three rows before anything is written, and the mapping goes to curate.yaml.
    """
    settings = _load_or_make_config(config, required=not (explain or dry_run))
    from curate.ingest.recognition import recognize_source

    agreed: list[tuple[Source, Recognition | None]] = []
    recognised: list[Recognised] = []
    for name in sources:
        configured = _find_configured(name, settings)
        if configured is not None and not (explain or dry_run):
            print_line(f"{configured.source}: as curate.yaml says")
            agreed.append((configured, None))
            continue
        recognition = recognize_source(configured or _make_source(name, format, split, settings), settings)
        recognised.append(_show(recognition, settings))
        if explain or dry_run:
            agreed.append((_require_source(recognition), recognition))
        else:
            _agree(recognition, yes=yes)
            agreed.append((_require_source(recognition), recognition))
    if explain:
        return IngestRun(recognised=recognised)
    if dry_run:
        counts = [count for source, _ in agreed for count in count_rows(source, settings)]
        return IngestRun(recognised=recognised, inputs=counts)
    return IngestRun(_take_in(agreed, settings, config), recognised)


def _take_in(
    agreed: list[tuple[Source, Recognition | None]], config: Config, path: Path
) -> list[StageResult]:
    from curate.config.append_source import append_source
    from curate.ingest import ingest_judgments, ingest_responses, refuse_wasted_inputs
    from curate.ingest.recognition import describe_recognition, write_entry

    for source, recognition in agreed:
        if recognition is not None:
            note = f"recognised by `curate ingest`: {describe_recognition(recognition, config)}"
            append_source(path, write_entry(source, indent=0, comment=note))
            print_line(f"{source.source}: its entry is in {path}")
    stages: list[StageResult] = []
    with open_lake(config) as lake:
        if any(recognition is not None for _, recognition in agreed):
            leave_out_example(path, lake)
        for ingest in (ingest_responses, ingest_judgments):
            is_first = ingest is ingest_responses
            entries = [source for source, _ in agreed if (source.kind == "responses") is is_first]
            if entries:
                stages += print_summaries([ingest(lake, entries, config, track=progress_bars)]).stages
                refuse_wasted_inputs(lake, entries, config)
    return stages


def _load_or_make_config(path: Path, *, required: bool) -> Config:
    """Load the project's settings; where none are required, those of a project without a file."""
    if required or path.exists():
        return load_config(path)
    from curate.config.project import Config

    settings = Config()
    object.__setattr__(settings, "_folder", Path.cwd())
    return settings


def _make_source(name: str, format: str, split: str | None, config: Config) -> Source:
    from curate.config.ingest import Source
    from curate.config.validation import validate_options

    options: dict[str, Any] = {"source": _locate_name(name, config), "format": format}
    return validate_options(Source, options if split is None else {**options, "split": split})


def _locate_name(name: str, config: Config) -> str:
    """Return a path of the command line as curate.yaml names it: from its own folder, where it is under that."""
    if "://" in name:
        return name
    path, home = Path.cwd() / name, config.resolve(".")
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else path.as_posix()


def _find_configured(name: str, config: Config) -> Source | None:
    """Find the source of curate.yaml that is this file: what people wrote of it there holds."""
    for source in config.ingest:
        same = (
            source.source == name
            if "://" in name
            else config.resolve(source.source) == (Path.cwd() / name).resolve()
        )
        if same:
            return source
    return None


def _show(recognition: Recognition, config: Config) -> Recognised:
    from curate.ingest.recognition import describe_recognition, draw_rows, write_entry
    from curate.ingest.recognition.describe import describe_columns

    description = describe_recognition(recognition, config)
    print_line(description)
    if recognition.trial is not None:
        print_line(describe_columns(recognition.trial))
        print_line(draw_rows(recognition.trial))
    for doubt in recognition.doubts:
        print_line(f"likely, not certain: {doubt}")
    for problem in recognition.problems:
        print_line(f"to be written: {problem}")
    entry = None if recognition.source is None else write_entry(recognition.source)
    if entry is not None:
        print_line(f"ingest:\n{entry}".rstrip())
    return Recognised(
        recognition.item.part,
        description,
        recognition.certainty,
        list(recognition.doubts),
        list(recognition.problems),
        entry,
    )


def _require_source(recognition: Recognition) -> Source:
    from curate.ingest.recognition.sources import explain_refusal

    if recognition.source is None or recognition.certainty == "refused":
        raise CurateError(explain_refusal(recognition))
    return recognition.source


def _agree(recognition: Recognition, *, yes: bool) -> None:
    """Ask whether the rows are to be taken in so; without a terminal, go on only where it is certain or agreed."""
    from curate.ingest.recognition.sources import explain_refusal

    _require_source(recognition)
    if yes:
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        if not typer.confirm("Take it in so?", default=recognition.certainty == "certain"):
            print_line(
                "Nothing was written. To read it otherwise, put the entry above into curate.yaml and edit it."
            )
            raise typer.Exit(1)
    elif recognition.certainty == "likely":
        raise CurateError(f"{explain_refusal(recognition)}\nWith `--yes` it is taken in so.")
    else:
        print_line("certain: every sampled row fits, and nothing is left over that matters; it is taken in")


def count_rows(source: Source, config: Config) -> list[InputCount]:
    """Read every row and say what would become of it."""
    from curate.ingest.inputs import locate_inputs
    from curate.ingest.recognition import resolve_formats
    from curate.ingest.recognition.trial import read_all

    (known,) = resolve_formats([source], config)
    counts = []
    for item in locate_inputs(known, config):
        reasons: Counter[str] = Counter(kind or "" for kind in read_all(item))
        sound = reasons.pop("", 0)
        listed = "".join(f", {count:,} {kind}" for kind, count in reasons.most_common())
        print_line(
            f"{item.part}: {sound:,} rows would be taken in, {sum(reasons.values()):,} would not{listed}"
        )
        counts.append(InputCount(item.part, sound, sum(reasons.values()), dict(reasons)))
        if not sound and reasons:
            raise CurateError(f"{item.part}: no row would be taken in ({reasons.most_common(1)[0][0]}).")
    return counts
