"""`curate forget`: take a source, prompts or a person out of the lake, with what was derived from them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import ForgetRun, Forgotten, ForgottenUse
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ProgramTyper
from curate.core.errors import CurateError
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.lake.lake import Lake
    from curate.pipeline.forgetting.stage import ForgetPlan, ForgetResult
    from curate.pipeline.forgetting.target import ForgetTarget
    from curate.pipeline.forgetting.usage import Use

forget_app = ProgramTyper(
    help="Take a source, prompts or a person out of the lake, with everything that was derived from them."
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Erase = Annotated[
    bool,
    typer.Option(
        "--erase",
        help="Rewrite the lake's history too: no snapshot and no file keeps the rows; see docs/lake.md.",
    ),
]


@forget_app.callback(invoke_without_command=True)
def forget_rows(
    context: typer.Context,
    check: Annotated[
        Path | None, typer.Option("--check", help="Look whether the lake still keeps to this receipt.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> ForgetRun | None:
    """Check a receipt, or finish what a killed `curate forget` has left to do."""
    if context.invoked_subcommand is not None:
        return None
    from curate.pipeline.forgetting.receipt import check_receipt, read_receipt
    from curate.pipeline.forgetting.stage import finish_killed_runs

    settings = load_config(config)
    if check is not None:
        receipt = read_receipt(check)
        with open_lake(settings, read_only=True) as lake:
            sentence = check_receipt(lake, receipt)
        print_line(sentence)
        return ForgetRun([], sentence)
    with open_lake(settings, create=False) as lake:
        results = finish_killed_runs(lake, settings)
    done = [print_result(result) for result in results]
    if not results:
        print_line("nothing to finish: name a `source`, a `prompt` or a `person`, or --check a receipt")
    return ForgetRun(done)


@forget_app.command("source")
def forget_source(
    name: Annotated[str, typer.Argument(help="Name of a source, or the path of one of its inputs.")],
    erase: Erase = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Forgotten:
    """Forget all rows that a source brought, but for those that another source brings too."""
    from curate.pipeline.forgetting.target import find_source

    settings = load_config(config)
    with open_lake(settings, create=False) as lake:
        return _forget(lake, settings, find_source(lake, name), erase=erase, dry_run=dry_run, yes=yes)


@forget_app.command("prompt")
def forget_prompts(
    ids: Annotated[list[str], typer.Argument(help="Ids of prompts: the lake's, or your own.")],
    erase: Erase = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Forgotten:
    """Forget prompts with their responses and all that was said about them; they do not come in again."""
    from curate.pipeline.forgetting.target import find_prompts

    settings = load_config(config)
    with open_lake(settings, create=False) as lake:
        return _forget(lake, settings, find_prompts(lake, ids), erase=erase, dry_run=dry_run, yes=yes)


@forget_app.command("person")
def forget_person(
    name: Annotated[
        str, typer.Argument(help="Address or name by which the person answered, or the pseudonym.")
    ],
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Keep the verdicts, under a name that leads to nobody.")
    ] = False,
    erase: Erase = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Forgotten:
    """Forget a person's judgments; none of that person comes in again, from Label Studio neither."""
    from curate.pipeline.forgetting.target import count_mentions, find_person

    settings = load_config(config)
    with open_lake(settings, create=False) as lake:
        target = find_person(lake, settings, name, anonymise=anonymise)
        if mentions := count_mentions(lake, name):
            print_line(
                f"warning: {mentions} prompts or responses hold this name in their texts or `meta`; they stay "
                "(`curate forget prompt`)",
                file=sys.stderr,
            )
        return _forget(lake, settings, target, erase=erase, dry_run=dry_run, yes=yes)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; without one, `--yes` must have been given.

    Raises:
        CurateError: The answer is no, or nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CurateError("Nothing was changed: say --yes where nobody can be asked (--dry-run only counts).")
    if not typer.confirm(question):
        raise CurateError("Nothing was changed.")


def print_plan(plan: ForgetPlan, *, erase: bool) -> None:
    """Print what would go and what was made of it."""
    print_line(f"forget {plan.target.label}:")
    for table, number in plan.removed.items():
        print_line(f"  {table}: {number:,} {'row' if number == 1 else 'rows'}")
    if plan.target.anonymise:
        print_line("  (the person's verdicts stay, without name, words and ids that lead to them)")
    if plan.taken_over:
        print_line(f"  {plan.taken_over:,} rows stay, since another source brings them too")
    print_uses(plan.uses)
    if erase:
        print_line("  the lake's history goes, from the snapshot on in which the first of these rows came in")


def print_uses(uses: list[Use]) -> None:
    """Print exports, models and certificates that were made of what is forgotten."""
    for use in uses:
        held = (
            "the snapshot is gone, so nobody can tell" if use.rows is None else f"{use.rows:,} of these rows"
        )
        print_line(f"  {use.kind} {use.name} was made of snapshot {use.snapshot}: {held}")


def print_result(result: ForgetResult) -> Forgotten:
    """Print what was done, and what remains to be done by others; return it for programs."""
    rows = ", ".join(f"{number:,} {table}" for table, number in result.removed.items()) or "no rows"
    is_replacement = result.label.startswith("replaced ")
    print_line(f"{result.label}, and forgot: {rows}" if is_replacement else f"forgot {result.label}: {rows}")
    if result.erasure is not None:
        erasure = result.erasure
        print_line(
            f"erased the history: {erasure.snapshots:,} snapshots and {erasure.files:,} files are gone; read "
            f"{erasure.files_read:,} Parquet files and the catalog, and found no trace"
        )
    if result.uses:
        print_line("made of rows that are forgotten now (make them again, and remove copies elsewhere):")
        print_uses(result.uses)
    if result.removed.get("judgments"):
        print_line("the labels are gone with them: run `curate aggregate`")
    print_line(f"receipt: {result.receipt}")
    return Forgotten(
        result.label,
        result.removed,
        _list_uses(result.uses),
        str(result.receipt),
        erased_snapshots=None if result.erasure is None else result.erasure.snapshots,
    )


def _list_uses(uses: list[Use]) -> list[ForgottenUse]:
    return [ForgottenUse(use.kind, use.name, use.snapshot, use.rows) for use in uses]


def _forget(
    lake: Lake, settings: Config, target: ForgetTarget, *, erase: bool, dry_run: bool, yes: bool
) -> Forgotten:
    from curate.pipeline.forgetting.stage import forget_target, plan_forgetting

    plan = plan_forgetting(lake, target)
    print_plan(plan, erase=erase)
    if dry_run:
        print_line("nothing was changed")
        return Forgotten(plan.target.label, plan.removed, _list_uses(plan.uses), None, dry_run=True)
    confirm("Forget this?", yes=yes)
    return print_result(forget_target(lake, settings, target, erase=erase))
