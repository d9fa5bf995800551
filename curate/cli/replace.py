"""`curate ingest --replace`: read a source anew, and forget what it does not bring any more."""

from __future__ import annotations

from pathlib import Path

from curate.cli.documents import IngestRun
from curate.cli.forget import confirm, print_result
from curate.cli.opening import load_config, open_lake
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars
from curate.core.terminal import print_line


def replace_configured_source(name: str, config: Path, *, erase: bool, dry_run: bool, yes: bool) -> IngestRun:
    """Say what a source has in the lake, ask, and replace it."""
    from curate.pipeline.forgetting.replace import plan_replacement, replace_source

    with open_lake(settings := load_config(config)) as lake:
        plan = plan_replacement(lake, settings, name)
        rows = ", ".join(f"{number:,} {table}" for table, number in plan.rows.items())
        print_line(
            f"replace {plan.source.source}: it has {rows}; what it brings again stays, with what judges and people "
            "said about it, and the rest is forgotten"
        )
        if dry_run:
            print_line("nothing was changed")
            return IngestRun()
        confirm("Replace it?", yes=yes)
        summaries, forgotten = replace_source(lake, settings, plan, erase=erase, track=progress_bars)
        done = print_summaries(summaries)
        print_result(forgotten)
        return IngestRun(done.stages)
