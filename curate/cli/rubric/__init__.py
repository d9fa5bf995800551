"""`curate rubric …`: what makes a response better, in words."""

from __future__ import annotations

from curate.cli.program_output import ProgramTyper
from curate.cli.rubric.extract import extract_criteria
from curate.cli.rubric.features import show_features
from curate.cli.rubric.guideline import print_guideline
from curate.cli.rubric.lint import lint_files
from curate.cli.rubric.verify import select_rubric, verify_rubric

rubric_app = ProgramTyper(
    help="Find, verify, select and use criteria that say what makes a response better.", no_args_is_help=True
)
rubric_app.command("features")(show_features)
rubric_app.command("verify")(verify_rubric)
rubric_app.command("select")(select_rubric)
rubric_app.command("lint")(lint_files)
rubric_app.command("extract")(extract_criteria)
rubric_app.command("guideline")(print_guideline)
