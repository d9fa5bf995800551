"""`curate run`: all stages of curate.yaml."""

from __future__ import annotations

from curate.cli.documents import ProjectRun
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.prefect_flows import is_prefect_wanted, run_flow
from curate.cli.tables import print_scores, print_summaries
from curate.core.progress import progress_bars


def run_project(config: ConfigPath = DEFAULT_CONFIG) -> ProjectRun:
    """Run every stage of curate.yaml in order; work that is done already is skipped."""
    from curate.pipeline.curation import run_curation

    settings = load_config(config)  # a mistake in the file is reported before any work starts
    through_prefect = is_prefect_wanted()
    if through_prefect:
        done = print_summaries(run_flow("curation", "curation", config))
    with open_lake(settings, read_only=through_prefect) as lake:
        if not through_prefect:
            done = print_summaries(run_curation(lake, settings, track=progress_bars))
        return ProjectRun(done.stages, print_scores(lake))
