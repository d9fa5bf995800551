"""`lake`: where the tables live."""

from __future__ import annotations

from pydantic import Field

from curate.config.paths import FilePath
from curate.core.section import Section


class LakeSection(Section):
    """Where the tables live."""

    catalog: str | None = Field(
        None,
        description="PostgreSQL URL of the catalog; ${NAME} is read from the environment. Default: SQLite.",
    )
    data: FilePath | None = Field(
        None, description="Folder or bucket of the Parquet files. Default: inside the workspace."
    )
