"""`curate.yaml` as pydantic models; every error names the key, what was found and what is allowed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from curate.config.aggregate import AggregateSection
from curate.config.deploy import DeploySection
from curate.config.evaluate import EvaluateSection
from curate.config.export import ExportEntry
from curate.config.filter import check_filters
from curate.config.hub import HubSection
from curate.config.images import ImageAccess, ImagesSection
from curate.config.ingest import Source
from curate.config.judge import JudgeSection
from curate.config.lake import LakeSection
from curate.config.paths import FilePath
from curate.config.report import ReportSection
from curate.config.rubric import RubricSection
from curate.config.telemetry import MetricsSection, TracesSection, start_telemetry
from curate.config.train import TrainSection
from curate.config.validation import explain_errors
from curate.config.verify import VerifySection
from curate.core.errors import CurateError
from curate.core.registry import find_name_problem, split_choice
from curate.core.secrets import register_config_secrets
from curate.core.section import Section
from curate.core.yaml_file import read_yaml
from curate.lake.lake import Location

RUNNER_NAMES = ("local", "dask", "ray")
"""The runners of the package; a test holds them against the registry `RUNNERS`."""


class ModelTerms(Section):
    """Terms of a model that wrote responses."""

    license: str | None = Field(None, description="Licence of what the model writes.")


class Config(Section):
    """The whole of `curate.yaml`. Relative paths start at the file's folder."""

    workspace: FilePath = Field(
        ".curate", description="Folder of the lake and of what `curate` keeps for itself."
    )
    lake: LakeSection = LakeSection()
    engines: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Named model back ends.")
    images: ImagesSection = ImagesSection()
    ingest: list[Source] = Field(default_factory=list)
    filter: list[dict[str, Any]] = Field(
        default_factory=list,
        description="What is left out of judging and of exports, and why: a kind each, with its options.",
    )
    models: dict[str, ModelTerms] = Field(
        default_factory=dict,
        description="Models that wrote responses, by the name in the column `model`. Where any is named, responses of "
        "models that are not named have no known licence.",
    )
    licenses: list[str] | None = Field(
        None, min_length=1, description="Licences that every export is limited to; see `export[].licenses`."
    )
    judge: JudgeSection = JudgeSection()
    aggregate: AggregateSection = AggregateSection()
    export: list[ExportEntry] = Field(default_factory=list)
    train: TrainSection | None = None
    evaluate: EvaluateSection = EvaluateSection()
    verify: VerifySection = VerifySection()
    report: ReportSection = ReportSection()
    rubric: RubricSection = RubricSection()
    hub: HubSection = HubSection()
    deploy: DeploySection = Field(DeploySection(), exclude=True)  # no result depends on when a run starts
    metrics: MetricsSection | None = Field(None, exclude=True)  # nor on who looks at it
    traces: TracesSection | None = Field(None, exclude=True)
    runner: str | dict[str, Any] = Field(  # nor on where
        "local",
        exclude=True,
        description="Where chunks of questions are answered, and shards aggregated: local (this process), dask, ray, "
        "./file.py:Class for a runner of your own, or {kind: name, option: value}.",
    )

    _folder: Path = Path()
    _file_name: str = "curate.yaml"

    @field_validator("filter")
    @classmethod
    def _name_filters(cls, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return check_filters(filters)

    @field_validator("export")
    @classmethod
    def _keep_exports_apart(cls, exports: list[ExportEntry]) -> list[ExportEntry]:
        paths = [Path(os.path.normpath(entry.path)) for entry in exports]
        for number, path in enumerate(paths):
            for other in paths[:number]:
                if path.is_relative_to(other) or other.is_relative_to(path):
                    raise ValueError(
                        f"{other} and {path} are one folder or lie in each other, so an export would replace another: "
                        "give each a `path` of its own"
                    )
        return exports

    @field_validator("runner")
    @classmethod
    def _name_runner(cls, choice: str | dict[str, Any]) -> str | dict[str, Any]:
        name, _ = split_choice(choice)
        if not isinstance(name, str):
            raise ValueError("a runner with options needs its name as `kind`")  # noqa: TRY004 (pydantic reads it)
        if problem := find_name_problem(name, RUNNER_NAMES, "runner", "runner"):
            raise ValueError(problem)
        return choice

    @property
    def file_name(self) -> str:
        return self._file_name

    def resolve(self, path: str) -> Path:
        """A path of the file as an absolute path."""
        return (self._folder / path).resolve()

    def model_name(self, name: str) -> str:
        """A model's name as engines take it: a folder of the file as an absolute path, anything else as it is."""
        return str(self.resolve(name)) if self.resolve(name).is_dir() else name

    def image_access(self, folder: Path | None = None) -> ImageAccess:
        """Return which images may be opened; relative addresses start at `folder`, by default that of the file."""
        return ImageAccess(
            folder=folder or self.resolve("."),
            folders=(self.resolve("."), *map(self.resolve, self.images.folders)),
            http=self.images.http,
            hosts=frozenset(self.images.hosts),
        )

    @property
    def panel_names(self) -> list[str]:
        """The configured judges by name, and the trained reward model where it is to judge."""
        names = [str(judge["name"]) for judge in self.judge.judges]
        if self.train is not None and self.train.judge is not None:
            names.append(self.train.judge)
        return names

    def start_telemetry(self) -> None:
        """Begin to count and to trace what this process does, where the file asks for it."""
        start_telemetry(self.resolve(self.metrics.textfile) if self.metrics else None, self.traces)

    @cached_property
    def location(self) -> Location:
        default = Location.under(self.resolve(self.workspace) / "lake")
        catalog = _expand_environment(self.lake.catalog) if self.lake.catalog else default.catalog
        data = self.lake.data or default.data
        return Location(catalog, data if "://" in data else str(self.resolve(data)))


def load_config(path: Path) -> Config:
    """Read and check a `curate.yaml`."""
    try:
        document = read_yaml(path)
    except FileNotFoundError:
        raise CurateError(
            f"There is no {path}: write one with `curate init`, or name one with --config."
        ) from None
    except UnicodeDecodeError as error:
        raise CurateError(
            f"{path} is not UTF-8 (byte {error.start + 1}): save it with that encoding."
        ) from error
    except OSError as error:
        raise CurateError(f"Cannot read {path}: {error}.") from error
    if not isinstance(document, dict | None):
        raise CurateError(f"{path} must hold a mapping of sections, not a {type(document).__name__}.")
    register_config_secrets(document)
    try:
        config = Config.model_validate(document or {})
    except ValidationError as error:
        raise CurateError("\n".join(f"{path}: {line}" for line in explain_errors(error, Config))) from None
    object.__setattr__(config, "_folder", path.parent)
    object.__setattr__(config, "_file_name", path.name)
    return config


def change_sections(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return a configuration with other values of some options; all others stay as the file has them.

    Args:
        config: The configuration.
        changes: By section, the options that change.

    Raises:
        CurateError: A section is not in the file or a value is not allowed.
    """
    document: dict[str, Any] = {name: getattr(config, name) for name in config.model_fields_set}
    for name, options in changes.items():
        section = getattr(config, name)
        if section is None:
            raise CurateError(
                f"curate.yaml has no section `{name}`, so no option of it can change for one run."
            )
        document[name] = section.model_dump(exclude_unset=True) | dict(options)
    try:
        changed = Config.model_validate(document)
    except ValidationError as error:
        raise CurateError("\n".join(explain_errors(error, Config))) from None
    object.__setattr__(changed, "_folder", config._folder)
    object.__setattr__(changed, "_file_name", config._file_name)
    return changed


def _expand_environment(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise CurateError(
                f"lake.catalog names ${{{match[1]}}}, but that environment variable is not set."
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)
