"""Options of an engine of kind `transformers`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curate.engine.lazy import LocalOptions


class TransformersOptions(LocalOptions):
    """A model in this process."""

    kind: str = "transformers"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: float32 on a CPU, bfloat16 on a GPU."
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, …; auto: a GPU if there is one.")
    budget: int = Field(4096, ge=1, description="Tokens per forward pass: more needs more memory.")
