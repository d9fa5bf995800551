"""A message to people when a run fails or crashes, through the Prefect block that `deploy.notify` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.blocks.core import Block

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.core.secrets import scrub_text
from curate.deploy.names import get_project_name


def send_failure_notice(flow: Any, flow_run: Any, state: Any) -> None:
    """Send the name of the project, the run and the reason; a hook of flows (`on_failure`, `on_crashed`).

    Raises:
        CurateError: The block is not there or can send nothing; Prefect logs that, and the run's state stays.
    """
    config = load_config(Path(flow_run.parameters.get("config", "curate.yaml")))
    if config.deploy.notify is None:
        return
    subject = f"curate: {flow.name} of {get_project_name(config)} {state.name.lower()}"
    reason = scrub_text(state.message or "no reason was given")
    load_notifier(config.deploy.notify).notify(body=f"Run {flow_run.name}: {reason}", subject=subject)


def load_notifier(name: str) -> Any:
    """Load a notification block, as type/name.

    Raises:
        CurateError: There is no such block, or it sends no messages.
    """
    try:
        block: Any = Block.load(name)
    except Exception as error:
        raise CurateError(
            f"`deploy.notify` is {name!r}, but the Prefect server has no such block: make it on the page Blocks of its "
            "user interface, or leave the key out."
        ) from error
    if not hasattr(block, "notify"):
        raise CurateError(f"`deploy.notify` is {name!r}, which is a block that sends no messages.")
    return block
