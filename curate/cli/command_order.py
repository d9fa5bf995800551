"""The order of `curate --help`: what a newcomer runs first stands first, and what belongs together together."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

PANELS: dict[str, tuple[str, ...]] = {
    "A project": ("init", "run", "status", "doctor"),
    "The stages of a run": (
        "ingest",
        "filter",
        "judge",
        "rubric",
        "aggregate",
        "verify",
        "train",
        "export",
        "evaluate",
        "report",
    ),
    "Why the labels are what they are": ("explain", "rank", "runs", "diff", "sql", "certify"),
    "Models, and the way out": ("score", "best-of-n", "serve-reward", "push"),
    "The lake": ("snapshot", "check", "backup", "restore", "compact", "gc", "forget"),
    "Servers and programs": ("up", "down", "deploy", "agent-context"),
}


class OrderedCommands(TyperGroup):
    """The commands of `curate`, in panels and in their order."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for panel, names in PANELS.items():
            for name in names:
                command: Any = self.commands.pop(name)
                command.rich_help_panel = panel
                self.commands[name] = command
