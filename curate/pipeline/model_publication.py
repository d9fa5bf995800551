"""A trained model as a publication: its files, and a card that is made from the model and the lake."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate import __version__
from curate.config.hub import PushTarget
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.machine_paths import hide_paths, shorten_path
from curate.core.resources import read_query
from curate.core.secrets import scrub_text
from curate.hub.model_card import ModelFacts, build_eval_results, render_model_card
from curate.hub.publication import MANIFEST, Publication, find_inside
from curate.hub.sources import list_hub_datasets
from curate.lake.lake import Lake
from curate.reward.fold_folders import FOLDS
from curate.reward.model_folder import BACKBONE, list_model_files, read_trained_kind

_MODEL_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def build_model_publication(
    config: Config, folder: Path, target: PushTarget, lake: Lake | None
) -> Publication:
    """Return what a model publishes: its files, a card, a manifest, and results for the hub's leaderboards."""
    is_backbone = read_trained_kind(folder) == BACKBONE
    description = json.loads(
        (folder / ("training.json" if is_backbone else "config.json")).read_text(encoding="utf-8")
    )
    # The models of the folds only judge the training set, which stays here.
    names = sorted(name for name in list_model_files(folder) if not name.startswith(f"{FOLDS}/"))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CurateError(f"{folder} lacks its file {missing[0]}: train the model again, then push.")
    sources = {name: find_inside(folder, name) for name in names}
    record = _read_training(lake, description["fingerprint"])
    evaluations = _read_evaluations(lake, config, folder, record)
    facts = _collect_facts(config, folder, target, description, record, evaluations, names, lake)
    pages = {"README.md": render_model_card(facts)}
    for name, result in target.results.items():
        value, measured = _find_accuracy(evaluations, name, folder)
        pages[f".eval_results/{_plain_name(name)}.yaml"] = build_eval_results(
            result, value, date=measured, notes=f"accuracy on pairs, curate {__version__}"
        )
    contents: dict[str, Path | bytes] = {
        name: scrub_text(hide_paths(text, config.resolve("."))).encode() for name, text in pages.items()
    }
    contents |= {name: path for name, path in sources.items() if name not in contents}
    manifest = {
        "curate_model": 1,
        "format": description["format"],
        "fingerprint": description["fingerprint"],
        "code_version": __version__,
        "files": [{"path": name, "sha256": _hash(content)} for name, content in sorted(contents.items())],
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    return Publication(
        kind="model",
        files={**contents, MANIFEST: text.encode()},
        manifest=manifest,
        message=f"Reward model {description['fingerprint'][:8]}",
        tag=f"model-{description['fingerprint'][:8]}",
    )


def _collect_facts(
    config: Config,
    folder: Path,
    target: PushTarget,
    description: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    evaluations: list[tuple[Any, ...]],
    names: list[str],
    lake: Lake | None,
) -> ModelFacts:
    is_backbone = "backbone" in description
    base = str(description["backbone"] if is_backbone else description["embedder"])
    base = shorten_path(base, config.resolve("."))
    settings = description.get("settings") or {}
    sources = [] if lake is None else [part for (part,) in lake.rows(read_query("push_sources"))]
    data: list[tuple[str, str]] = []
    if record is not None:
        data = [
            ("pairs", f"{record['rows_kept']:,}"),
            ("pairs left out", f"{record['rows_dropped']:,}"),
            ("lake snapshot", str(record["snapshot_in"])),
            ("trained", str(record["finished_at"])[:10]),
        ]
        data += [("source", shorten_path(source, config.resolve("."))) for source in sources]
    return ModelFacts(
        title=target.repository.rpartition("/")[2],
        kind="a fine-tuned language model with a score head"
        if is_backbone
        else "a head on sentence embeddings",
        base_model=base,
        is_on_hub=bool(_MODEL_NAME.fullmatch(base)) and not config.resolve(base).exists(),
        is_adapted=bool(settings.get("lora")),
        license=target.license,
        library="transformers" if is_backbone and "reward_head.json" not in names else None,
        fingerprint=str(description["fingerprint"]),
        data=data,
        metrics=list(_list_figures(description.get("metrics") or {})),
        evaluations=[row[:7] for row in evaluations],
        datasets=list_hub_datasets(sources),
        files=names,
    )


def _list_figures(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List the numbers of nested metrics with their path."""
    figures: list[tuple[str, str]] = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            figures += _list_figures(value, f"{prefix}{name} / ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            figures.append((f"{prefix}{name}", f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"))
    return figures


def _read_training(lake: Lake | None, fingerprint: str) -> Mapping[str, Any] | None:
    if lake is None:
        return None
    columns = ("part", "rows_kept", "rows_dropped", "snapshot_in", "started_at", "finished_at")
    rows = lake.rows(read_query("push_training"), [fingerprint])
    return dict(zip(columns, rows[0], strict=True)) if rows else None


def _read_evaluations(
    lake: Lake | None, config: Config, folder: Path, record: Mapping[str, Any] | None
) -> list[tuple[Any, ...]]:
    """Read what was measured of this very model: a folder may have held another one before it was trained."""
    if lake is None or record is None:
        return []
    home = config.resolve(".")
    names = [str(folder), record["part"]]
    if folder.is_relative_to(home):
        names.append(folder.relative_to(home).as_posix())
    names += [name for name in config.evaluate.models if config.resolve(name) == folder]
    return lake.rows(read_query("push_evaluations"), [names, record["started_at"]])


def _find_accuracy(
    evaluations: list[tuple[Any, ...]], benchmark: str, folder: Path
) -> tuple[float, str | None]:
    for name, subset, metric, value, _, _, _, measured in evaluations:
        if (name, subset, metric) == (benchmark, "all", "accuracy"):
            return float(value), str(measured)[:10] if measured else None
    raise CurateError(
        f"`hub.push` names results of the benchmark {benchmark!r}, but {folder.name} has not been measured on it "
        "since it was trained: run `curate evaluate`, then push."
    )


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.") or "result"


def _hash(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
