"""Names of people in texts, by a model of token classification (named entities)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Self

from curate.core.errors import CurateError
from curate.engine.local.loading import get_hub_arguments, silence_loading
from curate.engine.weights import locate_model

_OVERLAP = 64  # tokens of a long text that two windows share at most, so that no name is cut in both


class NameFinder:
    """Marks names of people. Texts longer than the model reads go through it in windows."""

    def __init__(self, pipeline: Any, labels: Collection[str], confidence: float) -> None:
        self._pipeline = pipeline
        self._labels = frozenset(labels)
        self._confidence = confidence

    @classmethod
    def load(
        cls, model: str, *, revision: str, folder: Path, labels: Collection[str], confidence: float
    ) -> Self:
        """Load a model.

        Args:
            model: A folder, or owner/name on the hub.
            revision: Branch, tag or commit of a model of the hub.
            folder: Where relative paths start.
            labels: What the model calls a person, without `B-` and `I-`.
            confidence: Least probability of a name.

        Raises:
            CurateError: There is no such model, it marks no tokens, or it knows none of the labels.
        """
        from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline

        weights = locate_model(model, revision=revision, folder=folder)
        hub = get_hub_arguments(weights)
        try:
            with silence_loading():
                loaded = AutoModelForTokenClassification.from_pretrained(
                    weights.source, dtype="float32", use_safetensors=True, **hub
                )
                tokenizer = AutoTokenizer.from_pretrained(weights.source, **hub)
                positions = getattr(loaded.config, "max_position_embeddings", None) or 514
                length = min(tokenizer.model_max_length, positions - 2)  # RoBERTa's positions begin at 2
                tokenizer.model_max_length = length
                pipeline = TokenClassificationPipeline(  # type: ignore[no-untyped-call]
                    model=loaded.eval(),
                    tokenizer=tokenizer,
                    aggregation_strategy="first",
                    stride=min(_OVERLAP, length // 4),
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise CurateError(
                f"The model {model!r} cannot be opened as one of token classification: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
        known = {
            str(label).removeprefix("B-").removeprefix("I-") for label in loaded.config.id2label.values()
        }
        if not known & set(labels):
            raise CurateError(
                f"The model {model!r} marks {', '.join(sorted(known))}, and none of the labels "
                f"{', '.join(labels)}: write what it calls a person as `labels`."
            )
        return cls(pipeline, labels, confidence)

    def find_names(self, texts: Sequence[str]) -> list[list[str]]:
        """List the names in each text, as they are written there, each once."""
        places = [at for at, text in enumerate(texts) if text.strip()]
        names: list[list[str]] = [[] for _ in texts]
        if places:
            for at, entities in zip(places, self._pipeline([texts[at] for at in places]), strict=True):
                written = [
                    texts[at][entity["start"] : entity["end"]]
                    for entity in entities
                    if entity["entity_group"] in self._labels and entity["score"] >= self._confidence
                ]
                names[at] = list(dict.fromkeys(written))
        return names
