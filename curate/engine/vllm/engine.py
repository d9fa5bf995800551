"""vLLM in this process: the fastest way to ask a model that fits on this machine's GPUs (or, slowly, its CPU).

    engines:
      judge:  {kind: vllm, model: Qwen/Qwen3-8B, tensor_parallel: 2, max_length: 8192}
      reward: {kind: vllm, model: Skywork/Skywork-Reward-V2-Qwen3-8B}

vLLM must be installed beside `curate`, at version 0.30 or later. Where it is not, or for more replicas than one, run
`vllm serve` and declare an engine of kind `openai`. Requests go through the model in the order of their tokens, so
that those with a common beginning follow each other and its part of the prefix cache is still there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TypeVar, cast

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.engine.base import Capability, Engine
from curate.engine.lazy import LocalEngine
from curate.engine.registry import Engines, engine
from curate.engine.vllm.options import VllmOptions

T = TypeVar("T")
_VERSION = 1  # counts changes of this engine that change answers


@engine("vllm")
class VllmEngine(LocalEngine):
    """A model run by vLLM. If its engine process dies, it is started again once; a second death is an error."""

    Options = VllmOptions
    options: VllmOptions

    def __init__(self, name: str, options: VllmOptions, engines: Engines) -> None:
        super().__init__(name, options, engines)
        if importlib.util.find_spec("vllm") is None:
            raise CurateError(
                f"Engine {name!r} is of kind vllm, which is not installed beside curate: run it with `vllm serve`, "
                "and declare an engine of kind openai with its address."
            )

    @property
    def revision(self) -> str:
        chosen = self.options
        settings = (chosen.dtype, chosen.quantization, chosen.max_length, chosen.label, chosen.extra)
        return content_id("vllm", _VERSION, self.weights.digest, self.task, *settings)

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
        super().close()

    def _call_model(self, capability: Capability, call: Callable[[Engine], T]) -> T:
        from curate.engine.vllm.model import EngineDead

        try:
            return super()._call_model(capability, call)
        except EngineDead:
            self.close()
        except KeyboardInterrupt:
            self.close()  # requests still in its queue would be computed with the next batch
            raise
        try:
            return call(self._get_model())
        except EngineDead as error:
            self.close()
            raise CurateError(
                f"Engine {self.name!r}: vLLM's process died, was started again and died again; its own log says why "
                "(VLLM_LOGGING_LEVEL=INFO says more). Most often memory: lower `max_length`, `max_batch` or "
                "`gpu_memory`. What was judged so far is kept."
            ) from error

    def _open_model(self) -> Engine:
        from curate.engine.vllm.model import start_vllm  # imports torch and vllm

        return cast(
            Engine,
            start_vllm(
                self.weights, self.task, self.options, images=self._images if self.reads_images else None
            ),
        )
