"""Names under which a project is known in Prefect."""

from __future__ import annotations

import re

from curate.config.project import Config


def get_project_name(config: Config) -> str:
    """Return `deploy.name`, or the name of the project's folder in small letters, digits and hyphens."""
    if config.deploy.name is not None:
        return config.deploy.name
    name = re.sub(r"[^a-z0-9]+", "-", config.resolve(".").name.lower()).strip("-")
    return name[:40].strip("-") or "curate"
