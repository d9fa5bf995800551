"""Options of an engine of kind `vllm`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from curate.engine.lazy import LocalOptions


class VllmOptions(LocalOptions):
    """A model in this process, run by vLLM."""

    kind: str = "vllm"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="auto: vLLM's rule, which is as the model is stored, and where that is float32 bfloat16 for a"
        " language model, float16 for a reward or embedding model.",
    )
    quantization: str | None = Field(None, description="vLLM's name of a quantization, such as fp8.")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share each layer.")
    pipeline_parallel: int = Field(1, ge=1, description="Groups of GPUs that hold different layers.")
    gpu_memory: float = Field(0.9, gt=0, le=1, description="Share of each GPU's memory that vLLM may take.")
    max_batch: int | None = Field(
        None, ge=1, description="Most requests at a time; default: vLLM's, by the GPU."
    )
    block: int | None = Field(
        None,
        ge=1,
        description="Tokens per block of the prefix cache; default: vLLM's (16; on a CPU 128, and a multiple of 32).",
    )
    eager: bool = Field(False, description="Start faster, run slower: no compiled graphs.")
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of vllm.LLM; all count for the revision."
    )
