"""People's names in texts, by a model that marks them: leave out what holds them, or mask them in exports."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from curate.core.extras import require_extra
from curate.data.personal_data import write_findings
from curate.filter.base import Decision, Filter, Items, Target, TextFilterOptions

if TYPE_CHECKING:
    from curate.engine.local.names import NameFinder

_BATCH = 256  # items that are read before the model is asked


class NamesOptions(TextFilterOptions):
    """Options of `names`."""

    action: Literal["drop", "report", "route", "mask"] = Field(  # type: ignore[assignment]  # one more
        "drop",
        description="drop: exports leave it out. mask: exports hold `[NAME]` in its place. report: count. route: a "
        "response is left out until people let it stay (`curate verify plan --filter NAME`).",
    )
    model: str = Field(
        description="Model of token classification: a folder, or owner/name on the hub, such as dslim/bert-base-NER."
    )
    revision: str = Field("main", description="Branch, tag or commit of a model of the hub.")
    labels: list[str] = Field(
        ["PER", "PERSON"], min_length=1, description="What the model calls a person, without `B-` and `I-`."
    )
    confidence: float = Field(0.7, ge=0, le=1, description="Least probability of a name.")


class Names(Filter):
    """Find names of people. What counts as one is the model's say: persons of novels and of history are people too."""

    Options = NamesOptions
    options: NamesOptions

    @property
    def target(self) -> Target:
        target: Target = self.options.of
        return target

    @property
    def inputs(self) -> tuple[str, ...]:
        from curate.engine.weights import locate_model

        if (self.folder / self.options.model).is_dir():
            return (locate_model(self.options.model, revision="main", folder=self.folder).digest,)
        return ()

    def find(self, items: Items) -> Iterator[Decision]:
        reading = iter(items)
        while batch := list(islice(reading, _BATCH)):
            texts = [f"{item.history}\n{item.text}" for item in batch]
            for item, names in zip(batch, self._finder.find_names(texts), strict=True):
                if names:
                    yield Decision(item, "names people", other=write_findings(names=names))

    @cached_property
    def _finder(self) -> NameFinder:
        require_extra("models", "transformers", "torch", purpose=f"The filter {self.options.name}")
        from curate.engine.local.names import NameFinder

        options = self.options
        return NameFinder.load(
            options.model,
            revision=options.revision,
            folder=self.folder,
            labels=options.labels,
            confidence=options.confidence,
        )
