"""Options of judges that read text, and pictures: what they are shown of trajectories (see `trajectory.py`)."""

from __future__ import annotations

from pydantic import Field

from curate.data.video import FrameSampling
from curate.judge.base import JudgeOptions
from curate.judge.trajectory import TextView

_DEFAULTS = TextView()


class ViewOptions(JudgeOptions):
    """Options of a judge that reads prompts and responses as text."""

    show_reasoning: bool = Field(
        _DEFAULTS.show_reasoning,
        description="Show the reasoning before an answer; a response that is nothing else is always shown.",
    )
    show_calls: bool = Field(_DEFAULTS.show_calls, description="Show calls of tools and their results.")
    whole: bool = Field(
        _DEFAULTS.whole,
        description="Show trajectories whole; else from where they branch, with what they begin with in common as "
        "part of the request.",
    )

    @property
    def view(self) -> TextView:
        """View that the options stand for."""
        return TextView(self.show_reasoning, self.show_calls, self.whole)

    def list_unchanged_views(self) -> frozenset[str]:
        """List the options of the view at their defaults: revisions of before do not have them."""
        names = TextView.__dataclass_fields__
        return frozenset(name for name in names if getattr(self, name) == getattr(_DEFAULTS, name))


class SeeingOptions(ViewOptions):
    """Options of a judge that is shown images and videos, where its engine reads images."""

    frames: int = Field(
        8,
        ge=1,
        le=256,
        description="Frames of a video that an engine with images is shown; with `fps`, the most.",
    )
    fps: float | None = Field(
        None, gt=0.0, description="Frames of a video a second; default: `frames` evenly spaced."
    )

    @property
    def sampling(self) -> FrameSampling:
        """Frames of a video that are shown."""
        return FrameSampling(self.frames, self.fps)
