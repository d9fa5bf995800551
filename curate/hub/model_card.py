"""The card of a reward model, and its results in the form that the hub's leaderboards read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from curate import __version__
from curate.config.hub import HubResult
from curate.core.markdown import escape_markdown
from curate.hub.licenses import build_license_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The facts that the card of a model states.

    Attributes:
        title: Title of the card.
        kind: What sort of reward model it is, in words.
        base_model: The model that it was made from; `is_on_hub` where that is a name on the hub.
        license: SPDX name, if one was given.
        library: Library that loads the model, where one does.
        fingerprint: Identifies data and settings of the training.
        data: Name → value of what is known about the training data.
        metrics: Name → value of what the training measured.
        evaluations: Rows of benchmark, subset, metric, value, low, high, n.
        datasets: Data sets on the hub that the training data come from.
        files: Files of the model.
    """

    title: str
    kind: str
    base_model: str | None
    is_on_hub: bool
    is_adapted: bool
    license: str | None
    library: str | None
    fingerprint: str
    data: Sequence[tuple[str, str]]
    metrics: Sequence[tuple[str, str]]
    evaluations: Sequence[tuple[str, str, str, float, float | None, float | None, int]]
    datasets: Sequence[str]
    files: Sequence[str]


def render_model_card(facts: ModelFacts) -> str:
    """Return README.md of a model."""
    import jinja2

    environment = jinja2.Environment(  # Markdown: what comes from users goes through the filter `md`
        loader=jinja2.PackageLoader("curate.hub", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    fields = {name: getattr(facts, name) for name in facts.__slots__}
    return environment.get_template("model_card.md.j2").render(
        **fields, version=__version__, front_matter=_build_front_matter(facts)
    )


def _build_front_matter(facts: ModelFacts) -> str:
    document: dict[str, Any] = {
        **build_license_fields(facts.license),
        "pipeline_tag": "text-classification",
        "tags": ["reward-model", "preference", "rlhf", "curate"],
    }
    if facts.library is not None:
        document["library_name"] = facts.library
    if facts.base_model is not None and facts.is_on_hub:
        document["base_model"] = facts.base_model
        document["base_model_relation"] = "adapter" if facts.is_adapted else "finetune"
    if facts.datasets:
        document["datasets"] = list(facts.datasets)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def build_eval_results(result: HubResult, value: float, *, date: str | None, notes: str) -> str:
    """Return the content of `.eval_results/NAME.yaml`: one result of the model on a task of the hub.

    Args:
        result: The benchmark's data set and task on the hub.
        value: The accuracy, 0 to 1.
        date: ISO 8601 date of the evaluation, where it is known.
        notes: How it was measured.
    """
    entry: dict[str, Any] = {"dataset": {"id": result.dataset, "task_id": result.task}, "value": value}
    if date is not None:
        entry["date"] = date
    entry["notes"] = notes
    return yaml.safe_dump([entry], sort_keys=False, allow_unicode=True)
