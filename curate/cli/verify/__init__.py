"""`curate verify …`: people answer the questions on which the panel cannot be trusted."""

from __future__ import annotations

from curate.cli.program_output import ProgramTyper
from curate.cli.verify.label_studio import pull_from_label_studio, push_to_label_studio, watch_label_studio
from curate.cli.verify.media import serve_task_media
from curate.cli.verify.offline import annotate_in_terminal, export_spreadsheet, import_spreadsheet
from curate.cli.verify.people import show_groups, show_quality
from curate.cli.verify.planning import choose_questions, run_loop, show_verify_status

verify_app = ProgramTyper(help="Ask people, in Label Studio or without it.", no_args_is_help=True)
verify_app.command("plan")(choose_questions)
verify_app.command("status")(show_verify_status)
verify_app.command("loop")(run_loop)
verify_app.command("push")(push_to_label_studio)
verify_app.command("pull")(pull_from_label_studio)
verify_app.command("watch")(watch_label_studio)
verify_app.command("media")(serve_task_media)
verify_app.command("annotate")(annotate_in_terminal)
verify_app.command("export-csv")(export_spreadsheet)
verify_app.command("import-csv")(import_spreadsheet)
verify_app.command("quality")(show_quality)
verify_app.command("groups")(show_groups)
