"""`curate aggregate`: from judgments to labels."""

from __future__ import annotations

from curate.cli.documents import Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars


def combine_judgments(config: ConfigPath = DEFAULT_CONFIG) -> Stages:
    """Combine judgments into preferences, rankings and a profile of each annotator."""
    from curate.pipeline.helpful_labels import aggregate_and_advise

    with open_lake(settings := load_config(config)) as lake:
        return print_summaries([aggregate_and_advise(lake, settings, track=progress_bars)])
