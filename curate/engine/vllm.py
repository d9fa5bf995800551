"""vLLM in this process: the fastest way to ask a model that fits on this machine's GPUs (or, slowly, its CPU).

    engines:
      judge:  {kind: vllm, model: Qwen/Qwen3-8B, tensor_parallel: 2, max_length: 8192}
      reward: {kind: vllm, model: Skywork/Skywork-Reward-V2-Qwen3-8B}

vLLM must be installed beside `curate`, at version 0.30 or later. Where it is not, or for more replicas than one, run
`vllm serve` and declare an engine of kind `openai`. Requests go through the model in the order of their tokens, so
that those with a common beginning follow each other and its part of the prefix cache is still there.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.engine.base import (
    Capability,
    Chat,
    Choice,
    Choose,
    Continuation,
    Engine,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
    lacks,
)
from curate.engine.registry import ConfiguredEngine, EngineOptions, Engines, engine
from curate.engine.transformers import CAPABILITIES
from curate.engine.weights import Task, Weights, locate
from curate.errors import CurateError
from curate.identity import content_id

T = TypeVar("T")
_VERSION = 1  # counts changes of this engine that change answers


class VllmOptions(EngineOptions):
    """A model in this process, run by vLLM."""

    kind: str = "vllm"
    model: str = Field(description="Folder, .gguf file, pypi:PACKAGE, or hub id owner/name.")
    task: Literal["auto", "causal", "reward", "embedding"] = Field(
        "auto", description="What the model is for; auto: by its config.json."
    )
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: as the model is stored, and bfloat16 where that is float32."
    )
    quantization: str | None = Field(None, description="vLLM's name of a quantization, such as fp8.")
    max_length: int | None = Field(
        None, ge=8, description="Longest input and output together, in tokens; default: the model's own."
    )
    label: int | None = Field(
        None, ge=0, description="Which output of a classifier with several is the reward."
    )
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
    share_prefixes: bool = Field(True, description="Compute what requests begin with in common only once.")
    eager: bool = Field(False, description="Start faster, run slower: no compiled graphs.")
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of vllm.LLM; all count for the revision."
    )


@engine("vllm")
class VllmEngine(ConfiguredEngine):
    """An engine process of vLLM's that dies is started again once; when it dies again, that is an error."""

    Options = VllmOptions
    options: VllmOptions

    def __init__(self, name: str, options: VllmOptions, engines: Engines) -> None:
        super().__init__(name, options, engines)
        if importlib.util.find_spec("vllm") is None:
            raise CurateError(
                f"Engine {name!r} is of kind vllm, which is not installed beside curate: run it with `vllm serve`, "
                "and declare an engine of kind openai with its address."
            )
        self._folder = engines.folder
        self._opened: Engine | None = None

    @cached_property
    def weights(self) -> Weights:
        return locate(self.options.model, revision=self.options.revision, folder=self._folder)

    @property
    def task(self) -> Task:
        guessed = self.weights.task  # in any case: a model that is not there shall be missed at start
        return guessed if self.options.task == "auto" else self.options.task

    @property
    def capabilities(self) -> frozenset[Capability]:
        return CAPABILITIES[self.task]

    @property
    def revision(self) -> str:
        chosen = self.options
        settings = (chosen.dtype, chosen.quantization, chosen.max_length, chosen.label, chosen.extra)
        return content_id("vllm", _VERSION, self.weights.digest, self.task, *settings)

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        return self._ask("generate", lambda model: model.generate(requests))

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return self._ask("choose", lambda model: model.choose(requests))

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return self._ask("loglikelihood", lambda model: model.loglikelihood(requests))

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        return self._ask("score", lambda model: model.score(chats))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._ask("embed", lambda model: model.embed(texts))

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
            gc.collect()

    def _ask(self, capability: Capability, ask: Callable[[Engine], T]) -> T:
        if capability not in self.capabilities:
            raise lacks(self, capability)
        from curate.engine.vllm_model import EngineDead

        try:
            return ask(self._model())
        except EngineDead:
            self.close()
        except KeyboardInterrupt:
            self.close()  # what is still in its queue would be computed with the next batch
            raise
        try:
            return ask(self._model())
        except EngineDead as error:
            self.close()
            raise CurateError(
                f"Engine {self.name!r}: vLLM's process died, was started again and died again; its own log says why "
                "(VLLM_LOGGING_LEVEL=INFO says more). Most often memory: lower `max_length`, `max_batch` or "
                "`gpu_memory`. What was judged so far is kept."
            ) from error

    def _model(self) -> Engine:
        if self._opened is None:
            from curate.engine.vllm_model import open_model  # imports torch and vllm

            self._opened = cast(Engine, open_model(self.weights, self.task, self.options))
        return self._opened
