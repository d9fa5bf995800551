"""Models run by vLLM.

Everything is sent as token ids of our own making (see chat_tokens.py), so the answers are those of the transformers
engine but for rounding.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

# Before vllm is imported: it reports its use to its makers, and writes a page of log at every start.
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

import numpy as np
from vllm import LLM, PoolingParams, SamplingParams
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.engine.exceptions import EngineDeadError as EngineDead

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.data.media import images_of, open_image
from curate.engine.base import (
    Chat,
    Choice,
    Choose,
    Completion,
    Continuation,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
    Token,
    fill_slots,
)
from curate.engine.batching import Target
from curate.engine.chat_tokens import ChatTokens
from curate.engine.choices import collect_token_queries, draw_choices, sort_by_beginning, sum_log_probs
from curate.engine.local.embedder import Float32, embed_windows, normalize_rows, split_windows
from curate.engine.vllm.options import VllmOptions
from curate.engine.vllm.vision import PlacedImageTokens
from curate.engine.weights import Task, Weights
from curate.records import Part

__all__ = ["EngineDead", "VllmCausal", "VllmEmbedder", "VllmReward", "start_vllm"]

K = TypeVar("K")
Ids = tuple[int, ...]
Shown = tuple[Part, ...]  # the images of a prompt
Prepare = Callable[
    [Sequence[int]], list[tuple[K, tuple[Ids, Shown], SamplingParams]]
]  # key, prompt, and what is asked about it
_BATCH = 256  # requests that are split into tokens together
_MANY = 1 << 20  # token ids whose log-probabilities may be asked for: as many as there are


@contextlib.contextmanager
def _watch_engine_process(llm: LLM) -> Iterator[None]:
    """Raise EngineDead in whoever waits for an answer when vLLM's engine process dies.

    vLLM (0.32) notices that its engine process was killed, but does not tell the code that waits.
    """
    client: Any = llm.llm_engine.engine_core
    done = threading.Event()

    def watch_engine() -> None:
        while not done.wait(1.0):
            if client.resources.engine_dead:
                client.outputs_queue.put_nowait(EngineDead())
                return

    if not hasattr(client, "outputs_queue"):  # the engine runs in this very process
        yield
        return
    threading.Thread(target=watch_engine, daemon=True, name="vllm-watch").start()
    try:
        yield
    finally:
        done.set()


@dataclass(slots=True)
class VllmModel:
    """A vLLM model and its tokenizer.

    Attributes:
        prompt_tokens: Tokens of all prompts so far.
        cached_tokens: Those of them that were in the prefix cache.
        images: Says which images may be opened; None: the model reads text alone.
    """

    llm: LLM
    tokens: ChatTokens
    images: ImageAccess | None = None
    prompt_tokens: int = field(init=False, default=0)
    cached_tokens: int = field(init=False, default=0)

    def close(self) -> None:
        self.llm.llm_engine.engine_core.shutdown()

    def _run_prompts(self, chats: Sequence[Chat], prepare: Prepare[K]) -> list[tuple[K, Any]]:
        """Run prompts in the order of the chats' texts, for the prefix cache.

        They go batch by batch: vLLM's process works on the first while the next one is split into tokens.

        Args:
            chats: The chats of all requests.
            prepare: Makes (key, prompt, settings) of the chats at some places.

        Returns:
            (key, vLLM's output) for each prompt.
        """
        order, keys, ids_sent = sort_by_beginning(chats), list[K](), list[str]()
        with _watch_engine_process(self.llm):
            try:
                for start in range(0, len(order), _BATCH):
                    if not (ready := prepare(order[start : start + _BATCH])):
                        continue
                    keys += [key for key, _, _ in ready]
                    prompts: list[Any] = [self._make_prompt(*prompt) for _, prompt, _ in ready]
                    ids_sent += self.llm.enqueue(
                        prompts, [settings for _, _, settings in ready], use_tqdm=False
                    )
                outputs: list[Any] = self.llm.wait_for_completion(use_tqdm=False)
            except EngineDead:
                raise
            except Exception:
                self.llm.llm_engine.abort_request(ids_sent, internal=True)
                raise
        self.prompt_tokens += sum(len(output.prompt_token_ids) for output in outputs)
        self.cached_tokens += sum(output.num_cached_tokens or 0 for output in outputs)
        return list(zip(keys, outputs, strict=True))

    def _make_prompt(self, ids: Ids, shown: Shown) -> dict[str, Any]:
        prompt: dict[str, Any] = {"prompt_token_ids": list(ids)}
        if shown and self.images is not None:
            prompt["multi_modal_data"] = {"image": [open_image(part, self.images) for part in shown]}
        return prompt


class VllmCausal(VllmModel):
    """A causal language model."""

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        slots: dict[int, list[Target] | Failure] = {}

        shown = [images_of(request.messages) for request in requests]

        def prepare_batch(
            places: Sequence[int],
        ) -> list[tuple[tuple[Ids, Shown], tuple[Ids, Shown], SamplingParams]]:
            split = self.tokens.encode_choices([requests[place] for place in places])
            slots.update(zip(places, split, strict=True))
            targets: dict[Shown, list[Target]] = {}  # the same tokens after other images are another prompt
            for place, slot in zip(places, split, strict=True):
                targets.setdefault(shown[place], []).extend([] if isinstance(slot, Failure) else slot)
            return [
                ((context, images), (context, images), _make_token_query(ids))
                for images, wanted in targets.items()
                for context, ids in collect_token_queries(wanted).items()
            ]

        log_probs: dict[Shown, dict[Ids, dict[int, float]]] = {}
        tokens_in: dict[tuple[Ids, Shown], int] = {}
        for key, output in self._run_prompts([request.messages for request in requests], prepare_batch):
            (context, images), listed = key, output.outputs[0].logprobs[0]
            tokens_in[key] = len(output.prompt_token_ids)
            log_probs.setdefault(images, {}).setdefault(context, {}).update(
                {token: listing.logprob for token, listing in listed.items()}
            )
        return [
            slot
            if isinstance(slot, Failure)
            else Choice(
                tuple(sum_log_probs(target, log_probs[shown[place]]) for target in slot),
                tokens_in[slot[0].context, shown[place]],
                0,
            )
            for place, slot in ((place, slots[place]) for place in range(len(requests)))
        ]

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        slots: dict[int, Target | Failure] = {}
        settings = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)

        def prepare_batch(places: Sequence[int]) -> list[tuple[Target, tuple[Ids, Shown], SamplingParams]]:
            split = self.tokens.encode_targets([requests[place] for place in places])
            for place, slot in zip(places, split, strict=True):
                slots[place] = slot
                if images_of(requests[place].messages):
                    slots[place] = Failure(
                        "vLLM gives no likelihood of a text after images here", permanent=True
                    )
            targets = dict.fromkeys(
                slot for slot in (slots[place] for place in places) if isinstance(slot, Target)
            )
            return [(target, (target.context + target.continuation, ()), settings) for target in targets]

        log_probs = {
            target: sum(
                output.prompt_logprobs[len(target.context) + index][token].logprob
                for index, token in enumerate(target.continuation)
            )
            for target, output in self._run_prompts([request.messages for request in requests], prepare_batch)
        }
        return [
            slot
            if isinstance(slot, Failure)
            else LogLikelihood(log_probs[slot], len(slot.continuation), len(slot.input_tokens))
            for slot in (slots[place] for place in range(len(requests)))
        ]

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        bound = [number for number, request in enumerate(requests) if request.choices is not None]
        results: dict[int, Generation | Failure] = dict(
            zip(bound, draw_choices(self.choose, [requests[number] for number in bound]), strict=True)
        )
        free = [number for number, request in enumerate(requests) if request.choices is None]
        refused = self._find_refused_schemas({requests[number].json_schema for number in free})

        def prepare_batch(places: Sequence[int]) -> list[tuple[int, tuple[Ids, Shown], SamplingParams]]:
            numbers = [free[place] for place in places]
            batch = [requests[number] for number in numbers]
            contexts = self.tokens.encode_all(
                [(request.messages, request.prefill) for request in batch],
                rooms=[request.sampling.max_tokens for request in batch],
            )
            ready = []
            for number, request, context in zip(numbers, batch, contexts, strict=True):
                ids = refused.get(request.json_schema) or context
                if isinstance(ids, Failure):
                    results[number] = ids
                else:
                    prompt = (tuple(ids), images_of(request.messages))
                    ready.append((number, prompt, self._make_sampling_params(request, tuple(ids))))
            return ready

        for number, output in self._run_prompts(
            [requests[number].messages for number in free], prepare_batch
        ):
            results[number] = _build_generation(output, requests[number])
        return [results[number] for number in range(len(requests))]

    def _make_sampling_params(self, request: Generate, context: Ids) -> SamplingParams:
        sampling, schema = request.sampling, request.json_schema
        greedy = sampling.temperature <= 0
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=1.0 if greedy else sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            n=1 if greedy else sampling.n,
            # A seed per request: the answer drawn does not depend on the other requests of the batch.
            seed=int(content_id(sampling.seed, context)[:15], 16),
            logprobs=0,
            structured_outputs=StructuredOutputsParams(json=schema, disable_any_whitespace=True)
            if schema is not None
            else None,
        )

    def _find_refused_schemas(self, schemas: set[str | None]) -> dict[str | None, Failure]:
        """Find the schemas that vLLM refuses. Each is tried on a prompt of one token: a refusal ends a whole batch."""
        refused: dict[str | None, Failure] = {}
        for schema in schemas - {None}:
            request = Generate(messages=(), json_schema=schema)
            settings = self._make_sampling_params(request, (1,))
            settings.max_tokens = 1
            try:
                self._run_prompts([()], partial(_prepare_single_prompt, settings))
            except EngineDead:
                raise
            except Exception as error:  # of many types, by the grammar library
                reason = str(error).partition("\n")[0]
                refused[schema] = Failure(f"the JSON schema cannot be used: {reason}", permanent=True)
        return refused


def _prepare_single_prompt(
    settings: SamplingParams, places: Sequence[int]
) -> list[tuple[int, tuple[Ids, Shown], SamplingParams]]:
    return [(0, ((1,), ()), settings)]


def _build_generation(output: Any, request: Generate) -> Generation:
    completions = []
    for answer in output.outputs:
        steps = zip(answer.token_ids, answer.logprobs, strict=True)
        tokens = [(token, step[token]) for token, step in steps]
        if answer.finish_reason == "stop" and answer.stop_reason is None and tokens:
            tokens.pop()  # the end token, which is no part of the answer
        pieces = tuple(Token(step.decoded_token or "", step.logprob) for _, step in tokens)
        completions.append(
            Completion(answer.text, pieces, "stop" if answer.finish_reason == "stop" else "length")
        )
    written = sum(len(completion.tokens) for completion in completions)
    if request.sampling.temperature <= 0:
        completions *= request.sampling.n
    return Generation(tuple(completions), len(output.prompt_token_ids), written)


def _make_token_query(ids: list[int]) -> SamplingParams:
    """Make the settings to ask for the log-probabilities of these next tokens."""
    return SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=ids, detokenize=False)


@dataclass(slots=True)
class VllmReward(VllmModel):
    """A sequence-classification model; `label` is the index of the output that is the reward."""

    label: int = 0

    @property
    def left_out(self) -> Counter[str]:
        return self.tokens.left_out

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        listed = tools or [None] * len(chats)
        encoded = self.tokens.encode_all([(chat, "") for chat in chats], answer=False, tools=listed)
        unique = sorted({tuple(ids) for ids in encoded if not isinstance(ids, Failure)})
        prompts: list[Any] = [{"prompt_token_ids": list(ids)} for ids in unique]
        # Without use_activation=False a model of one output answers with a sigmoid.
        with _watch_engine_process(self.llm):
            outputs = self.llm.encode(
                prompts,
                pooling_params=PoolingParams(use_activation=False),
                pooling_task="classify",
                use_tqdm=False,
            )
        values = {
            ids: float(output.outputs.data.flatten()[self.label])
            for ids, output in zip(unique, outputs, strict=True)
        }
        results = [Score(values[tuple(ids)], len(ids)) for ids in encoded if not isinstance(ids, Failure)]
        return fill_slots(encoded, results)


class VllmEmbedder(VllmModel):
    """A sentence-embedding model."""

    def embed(self, texts: Sequence[str]) -> Float32:
        if not texts:
            return np.zeros((0, self.llm.model_config.get_hidden_size()), np.float32)
        limit, tokenizer = self.tokens.max_length, self.tokens.tokenizer
        return embed_windows(texts, lambda text: split_windows(tokenizer, limit, text), self._embed_windows)

    def _embed_windows(self, pieces: Sequence[str]) -> Float32:
        with _watch_engine_process(self.llm):
            outputs = self.llm.embed(list(pieces), use_tqdm=False)
        vectors = np.asarray([output.outputs.embedding for output in outputs], np.float32)
        return normalize_rows(vectors)


def start_vllm(
    weights: Weights, task: Task, options: VllmOptions, *, images: ImageAccess | None = None
) -> VllmCausal | VllmReward | VllmEmbedder:
    """Start vLLM on a model.

    Args:
        weights: The model's place.
        task: What it is for.
        options: Options of the engine.
        images: Says which images a vision-language model may be shown; None: it reads text alone.

    Raises:
        CurateError: vLLM refuses the model or the machine.
    """
    if weights.gguf_file is not None:
        weights = _unpack_weights(weights)
    hub = {"revision": weights.hub_revision} if weights.hub_revision else {}
    arguments: dict[str, Any] = {
        "dtype": options.dtype,
        "quantization": options.quantization,
        "max_model_len": options.max_length,
        "tensor_parallel_size": options.tensor_parallel,
        "pipeline_parallel_size": options.pipeline_parallel,
        "gpu_memory_utilization": options.gpu_memory,
        "enforce_eager": options.eager,
        **hub,
    }
    if options.max_batch is not None:
        arguments["max_num_seqs"] = options.max_batch
    if options.block is not None:
        arguments["block_size"] = options.block
    if task == "causal":
        arguments |= {
            "runner": "generate",
            "max_logprobs": _MANY,
            "enable_prefix_caching": options.share_prefixes,
        }
    else:
        arguments |= {"runner": "pooling", "convert": "classify" if task == "reward" else "embed"}
    try:
        llm = LLM(weights.source, **(arguments | options.extra))
    except (OSError, ValueError, RuntimeError, TypeError, ImportError, AssertionError) as error:
        raise CurateError(
            f"vLLM cannot open the model {options.model!r} as a {task} model: {' '.join(str(error).split())[:300]} "
            "(its log above says more)."
        ) from error
    tokens = ChatTokens(llm.get_tokenizer(), llm.model_config.max_model_len)
    if task == "causal":
        if images is not None:
            from curate.engine.local.loading import load_processor

            tokens = PlacedImageTokens(load_processor(weights.source, **hub), tokens.max_length, images)
        return VllmCausal(llm, tokens, images)
    if task == "embedding":
        return VllmEmbedder(llm, tokens)
    return VllmReward(llm, tokens, label=_check_label(llm, options))


def _check_label(llm: LLM, options: VllmOptions) -> int:
    outputs = llm.model_config.hf_config.num_labels
    if options.label is None and outputs != 1:
        raise CurateError(
            f"The model {options.model!r} has {outputs} outputs: say with `label` which of them is the reward."
        )
    if options.label is not None and options.label >= outputs:
        raise CurateError(
            f"The model {options.model!r} has {outputs} outputs, so `label` is at most {outputs - 1}."
        )
    return options.label or 0


def _unpack_weights(weights: Weights) -> Weights:
    import torch

    from curate.engine.local.loading import unpack_gguf

    folder = str(unpack_gguf(weights, torch.bfloat16))
    return replace(weights, source=folder, gguf_file=None)
