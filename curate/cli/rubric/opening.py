"""Settings of a project, or defaults where there is none, and files that `curate rubric` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from curate.cli.opening import load_config
from curate.core.errors import CurateError

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.config.rubric import RubricSelection
    from curate.data.rubric import Rubric
    from curate.rubric import LabelledPairs, PairMatrix, SelectionOptions
    from curate.rubric.combination import Combination
    from curate.rubric.redundancy import Embed
    from curate.rubric.selection import Float64

MODEL = typer.Option(
    "--model", help="Say what the criteria add to a reward model: a folder, pypi:PACKAGE or a hub id."
)

METHOD = typer.Option("--method", help="How criteria are selected: stability or coding-rate.")


def find_config(source: Path) -> Path | None:
    """Return the curate.yaml that `source` is or holds; None: it is data."""
    config = source / "curate.yaml" if source.is_dir() else source
    return config if config.suffix in (".yaml", ".yml") and config.is_file() else None


def load_settings(source: Path) -> Config:
    """Return the settings of the project that `source` is, or the defaults for data alone."""
    from curate.config.project import Config

    config = find_config(source)
    return Config() if config is None else load_config(config)


def write_new_rubric(path: Path, rubric: Rubric, *, comment: str, force: bool) -> None:
    """Write a rubric; a file that is there and that people may have edited is not replaced without `force`."""
    from curate.data.rubric import write_rubric

    if path.exists() and not force:
        raise CurateError(
            f"{path} is there already, and may have been edited: name another file, or use --force."
        )
    write_rubric(path, rubric, comment=comment)


def name_after(path: Path) -> str:
    """Return the name of a rubric that is written to `path`: the file's, in small letters with hyphens."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in path.stem.lower())
    name = "-".join(piece for piece in kept.split("-") if piece)[:80].rstrip("-")
    if not name:
        raise CurateError(f"{path} gives no name for a rubric: call the file by letters or numbers.")
    return name


def set_selection(section: RubricSelection, **given: object) -> RubricSelection:
    """Return `rubric.select` with the options of the command in place of its keys; None: as it is."""
    from curate.config.rubric import RubricSelection
    from curate.config.validation import validate_options

    changes = {key: value for key, value in given.items() if value is not None}
    return validate_options(RubricSelection, section.model_dump() | changes, where="rubric.select")


def open_embedder(name: str | None, settings: Config) -> Embed | None:
    """Return what embeds sentences with a model; a relative folder starts at curate.yaml. None: no model is named."""
    if name is None:
        return None
    from curate.engine.local.embeddings import CachedEmbedder

    return CachedEmbedder(settings.model_name(name)).embed


def show_combination(
    pairs: LabelledPairs, rows: PairMatrix, margin: Float64, model: str, options: SelectionOptions
) -> tuple[Combination, list[str]]:
    """Return what criteria add to a reward model, and the sentences that say so."""
    from curate.core.extras import require_extra

    require_extra("models", "torch", "transformers", purpose="Scoring with a reward model")
    from curate.core.progress import progress_bars
    from curate.rubric.combination import combine_with_model, list_combination_findings

    combination = combine_with_model(pairs, rows, margin, model, options, track=progress_bars)
    return combination, list_combination_findings(combination)
