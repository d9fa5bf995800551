"""`curate verify annotate`, `export-csv` and `import-csv`: answers without a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import Answered, SheetCount, Written
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ExitWith
from curate.core.terminal import print_line

PersonName = Annotated[
    str,
    typer.Option(
        "--annotator", "-a", help="Name of the person who answers; the lake stores only a pseudonym."
    ),
]


def export_spreadsheet(
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    annotator: PersonName,
    limit: Annotated[int | None, typer.Option(min=1, help="Largest number of questions.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file together with the answers in it.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Written:
    """Write the open questions of one person to a CSV file, in random order and without names of models."""
    from curate.data.pseudonym import Pseudonyms
    from curate.verify.answers import list_questions
    from curate.verify.spreadsheet import write_sheet

    settings = load_config(config)
    person = Pseudonyms.open(settings).of(annotator)
    with open_lake(settings, read_only=True) as lake:
        questions = list_questions(lake, person, overlap=settings.verify.overlap, config=settings)[:limit]
    write_sheet(file, questions, force=force)
    forms = {question.asked_as for question in questions}
    words = ": first, second, tie or skip" if forms <= {"pairwise"} else " as the column `question` says"
    print_line(f"{len(questions)} questions written to {file}; fill in `verdict`{words}")
    return Written(str(file), [str(file)], rows=len(questions))


def import_spreadsheet(
    file: Annotated[Path, typer.Argument(help="CSV file with verdicts.")],
    annotator: PersonName,
    config: ConfigPath = DEFAULT_CONFIG,
) -> SheetCount:
    """Take in the verdicts of a CSV file; a file that was edited may be taken in again."""
    from curate.data.pseudonym import Pseudonyms
    from curate.verify.answers import record_answers
    from curate.verify.spreadsheet import read_sheet

    settings = load_config(config)
    person = Pseudonyms.open(settings).of(annotator)
    with open_lake(settings) as lake:
        sheet = read_sheet(lake, file, person, config=settings)
        new, same = record_answers(lake, person, sheet.answers, part=file.name)
    for mistake in sheet.mistakes:
        print_line(mistake, file=sys.stderr)
    print_line(
        f"{new} answers taken in, {same} known already, {sheet.empty} rows without a verdict, "
        f"{len(sheet.mistakes)} with a mistake"
    )
    count = SheetCount(new, same, sheet.empty, list(sheet.mistakes))
    if sheet.mistakes:
        raise ExitWith(count)
    return count


def annotate_in_terminal(
    annotator: PersonName,
    limit: Annotated[int | None, typer.Option(min=1, help="Largest number of questions.")] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Answered:
    """Answer questions in the terminal, most of them by one key."""
    from curate.data.pseudonym import Pseudonyms
    from curate.verify.terminal import annotate_questions

    settings = load_config(config)
    person = Pseudonyms.open(settings).of(annotator)
    with open_lake(settings) as lake:
        answered = annotate_questions(
            lake, person, overlap=settings.verify.overlap, limit=limit, config=settings
        )
        return Answered(answered)
