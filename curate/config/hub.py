"""`hub`: the repositories of the Hugging Face Hub that `curate push` brings up to date."""

from __future__ import annotations

from pydantic import Field

from curate.core.section import Section


class HubResult(Section):
    """The task of a benchmark on the hub, under which a model's result is filed (`.eval_results`)."""

    dataset: str = Field(description="Data set of the benchmark on the hub, as owner/name.")
    task: str = Field(description="Name of the task, as the data set's eval.yaml has it.")


class PushTarget(Section):
    """Where one folder goes."""

    repository: str = Field(description="Name on the hub, as owner/name.")
    private: bool | None = Field(None, description="As `hub.private`, for this repository.")
    license: str | None = Field(None, description="SPDX name for the card of a model.")
    results: dict[str, HubResult] = Field(
        default_factory=dict,
        description="Of a model: benchmark of `evaluate.benchmarks` → where the hub files its accuracy.",
    )


class HubSection(Section):
    """Where folders go when they are pushed; no other command sends anything without being told to."""

    push: dict[str, str | PushTarget] = Field(
        default_factory=dict,
        description="Folder of an export or of a trained model → repository, as owner/name. `curate push` brings all "
        "of them up to date, `curate push FOLDER` one.",
    )
    private: bool = Field(
        True, description="Make repositories private, and refuse to push to public ones; false allows both."
    )

    def find_target(self, folder: str) -> PushTarget | None:
        """Return the target of a folder, as the file names it."""
        target = self.push.get(folder)
        return PushTarget(repository=target) if isinstance(target, str) else target
