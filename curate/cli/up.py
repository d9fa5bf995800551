"""`curate up` and `curate down`: what a laptop needs, started and stopped with one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import Service, Services
from curate.cli.opening import load_config
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.prefect_flows import prepare_environment
from curate.core.terminal import new_console, new_table, print_line


def start_stack(
    prefect_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the Prefect server; if it is taken, another one.")
    ] = 4200,
    report_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the report; if it is taken, another one.")
    ] = 4280,
    label_studio: Annotated[
        Path | None,
        typer.Option(
            help="The program `label-studio` of the environment that has it; default: CURATE_LABEL_STUDIO, the PATH, "
            ".venvs/label-studio."
        ),
    ] = None,
    without_label_studio: Annotated[
        bool, typer.Option("--no-label-studio", help="Start no Label Studio.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Services:
    """Start Prefect with a worker, Label Studio and the report on this machine, and print their addresses."""
    from curate.core.extras import require_extra

    settings = load_config(config)
    require_extra("flows", "prefect", "psutil", purpose="`curate up`")
    prepare_environment(os.environ)
    from curate.deploy.services import LABEL_STUDIO, UpOptions, start_services

    running = start_services(
        settings,
        UpOptions(
            prefect_port=prefect_port,
            report_port=report_port,
            label_studio=label_studio,
            with_label_studio=not without_label_studio,
        ),
    )
    table = new_table("service", "address", "process>", "log")
    for record in running.records:
        table.add_row(record.name, record.url, str(record.pid), _shorten_path(record.log))
    new_console().print(table)
    for line in (*running.changes, *running.notes):
        print_line(line)
    if any(record.name == LABEL_STUDIO for record in running.records):
        from curate.deploy.label_studio import USER

        secrets_file = _shorten_path(str(running.environment.with_name("label-studio.json")))
        print_line(f"sign in to Label Studio as {USER}; the password is in {secrets_file}")
    print_line(f"connect a terminal: source {_shorten_path(str(running.environment))}")
    print_line("stop all of it: curate down")
    started = [Service(record.name, record.url, record.pid, record.log) for record in running.records]
    return Services(started, [*running.changes, *running.notes], str(running.environment))


def stop_stack(config: ConfigPath = DEFAULT_CONFIG) -> Services:
    """Stop what `curate up` has started in this project, and nothing else."""
    from curate.core.extras import require_extra

    settings = load_config(config)
    require_extra("flows", "prefect", "psutil", purpose="`curate down`")
    from curate.deploy.services import stop_services

    ended = stop_services(settings)
    for name, was_running in ended:
        print_line(f"{name}: {'stopped' if was_running else 'had ended already'}")
    if not ended:
        print_line("nothing is running that `curate up` has started here")
    return Services([Service(name, was_running=was_running) for name, was_running in ended])


def _shorten_path(path: str) -> str:
    absolute = Path(path)
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else path
