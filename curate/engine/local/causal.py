"""A causal language model in this process: exact probabilities of continuations, and generated text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from curate.core.identity import content_id
from curate.engine.base import (
    Choice,
    Choose,
    Completion,
    Continuation,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Sampling,
    Token,
    fill_slots,
)
from curate.engine.batching import (
    ForwardPass,
    Target,
    pad_rows_left,
    plan_padded_passes,
    plan_tree_passes,
    split_batches,
)
from curate.engine.chat_tokens import ChatTokens
from curate.engine.choices import draw_choices
from curate.engine.threads import map_on_cores

if TYPE_CHECKING:
    from curate.engine.local.structured import Constraint, SchemaCompiler

_SELF_TEST = 0.25  # nats: rounding in bfloat16 stays below, a mask that is not heeded goes far above
_ATTENTION = (
    5.0  # how much longer a multiplication takes in masked attention than in a linear layer (measured)
)
_GENERATE_BUDGET = 8  # × budget: tokens a batch may hold while generating: a step feeds one token a row


@dataclass(slots=True)
class CausalModel:
    """A causal language model. Which tokens share a pass depends on the call alone, so it gives the same bits again.

    Args:
        model: A Transformers causal LM in eval mode.
        tokens: Encodes chats.
        budget: Tokens of a forward pass.
        tree: Compute common beginnings once, which needs a model whose attention takes any mask.
    """

    model: Any
    tokens: ChatTokens
    budget: int
    tree: bool = False
    _schemas: SchemaCompiler | None = field(init=False, default=None)

    # Probabilities ---------------------------------------------------------------------------------------

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        slots = self.tokens.encode_choices(requests)
        log_probs = iter(
            self.compute_log_probs(
                [target for slot in slots if not isinstance(slot, Failure) for target in slot]
            )
        )
        return [
            slot
            if isinstance(slot, Failure)
            else Choice(tuple(float(next(log_probs).sum()) for _ in slot), len(slot[0].context), 0)
            for slot in slots
        ]

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        slots = self.tokens.encode_targets(requests)
        targets = [slot for slot in slots if isinstance(slot, Target)]
        results = [
            LogLikelihood(float(log_probs.sum()), len(log_probs), len(target.input_tokens))
            for target, log_probs in zip(targets, self.compute_log_probs(targets), strict=True)
        ]
        return fill_slots(slots, results)

    def compute_log_probs(self, targets: Sequence[Target]) -> list[NDArray[np.float64]]:
        """Return for each target float64[tokens]: the log-probability of each token of its continuation."""
        if self.tree:
            passes = plan_tree_passes(targets, budget=self.budget, attention_cost=self._attention_cost)
        else:
            passes = plan_padded_passes(targets, budget=self.budget)
        return self._run_passes(passes, len(targets))

    @property
    def _attention_cost(self) -> float:
        """The cost of attending to a token, in units of what a token costs otherwise.

        It is the number of multiplications per pair of tokens over that per token; those of attention are slower. A GPU
        gains more from full passes than from few multiplications, so there it is 0.
        """
        if self.model.device.type != "cpu":
            return 0.0
        config = self.model.config.get_text_config()
        weights = sum(value.numel() for name, value in self.model.named_parameters() if ".layers." in name)
        attention = 2.0 * config.num_hidden_layers * config.hidden_size
        return float(_ATTENTION * attention / max(weights, 1))

    def _run_passes(self, passes: Iterable[ForwardPass], n: int) -> list[NDArray[np.float64]]:
        by_target: list[NDArray[np.float64]] = [np.empty(0)] * n
        for results in map_on_cores(self._run_pass, passes, device=self.model.device):
            for number, log_probs in results:
                by_target[number] = log_probs
        return by_target

    def enable_trees(self) -> CausalModel:
        """Return this model, computing common beginnings once if a test shows that its attention takes any mask."""
        config = self.model.config.get_text_config()
        # A window counts positions of the sequence, not steps up the tree.
        windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
        if windowed or self.model.config._attn_implementation not in ("sdpa", "eager"):
            return self
        step = max(1, config.vocab_size // 50)
        shared = tuple(step * number for number in range(1, 9))
        tests = [Target(shared, (step * 20, step * (30 + branch), step * 40)) for branch in range(2)]
        try:
            together = self._run_passes(plan_tree_passes(tests, budget=64), 2)
        except (RuntimeError, ValueError, TypeError, IndexError):  # each architecture objects in its own way
            return self
        alone = [self._run_passes(plan_padded_passes([test], budget=64), 1)[0] for test in tests]
        same = np.allclose(together, alone, atol=_SELF_TEST, rtol=0)
        return dataclasses.replace(self, tree=same)

    def _run_pass(self, work: ForwardPass) -> list[tuple[int, NDArray[np.float64]]]:
        device = self.model.device
        with torch.inference_mode():
            logits = self.model(
                input_ids=torch.from_numpy(work.ids).to(device),
                position_ids=torch.from_numpy(work.positions).to(device),
                attention_mask=torch.from_numpy(work.mask).to(device),
                logits_to_keep=work.keep
                if isinstance(work.keep, int)
                else torch.from_numpy(work.keep).to(device),
                use_cache=False,
            ).logits.flatten(0, 1)
            rows = torch.from_numpy(np.concatenate([readout.rows for readout in work.readouts])).to(device)
            tokens = torch.from_numpy(np.concatenate([readout.tokens for readout in work.readouts])).to(
                device
            )
            log_total = logits.float().logsumexp(-1)
            log_probs = (logits[rows, tokens].float() - log_total[rows]).double().cpu().numpy()
        ends = np.cumsum([len(readout.tokens) for readout in work.readouts])
        return [
            (readout.number, log_probs[end - len(readout.tokens) : end])
            for readout, end in zip(work.readouts, ends, strict=True)
        ]

    # Text ------------------------------------------------------------------------------------------------

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        free = [number for number, request in enumerate(requests) if request.choices is None]
        bound = [number for number, request in enumerate(requests) if request.choices is not None]
        results: dict[int, Generation | Failure] = dict(
            zip(bound, draw_choices(self.choose, [requests[number] for number in bound]), strict=True)
        )
        groups: dict[tuple[Sampling, str | None], list[int]] = {}
        for number in free:
            settings = (requests[number].sampling, requests[number].json_schema)
            groups.setdefault(settings, []).append(number)
        for (sampling, schema), numbers in groups.items():
            generations = self._generate_alike([requests[number] for number in numbers], sampling, schema)
            results.update(zip(numbers, generations, strict=True))
        return [results[number] for number in range(len(requests))]

    def _generate_alike(
        self, requests: Sequence[Generate], sampling: Sampling, schema: str | None
    ) -> list[Generation | Failure]:
        try:
            self._build_constraints(schema)
        except ValueError as error:
            return [Failure(f"the JSON schema cannot be used: {error}", permanent=True) for _ in requests]
        contexts = self.tokens.encode_all(
            [(request.messages, request.prefill) for request in requests], rooms=repeat(sampling.max_tokens)
        )
        prompts = [tuple(context) for context in contexts if not isinstance(context, Failure)]
        outputs: dict[tuple[int, ...], list[list[int]]] = {}
        budget = self.budget * _GENERATE_BUDGET // sampling.n
        for batch in split_batches(list(dict.fromkeys(prompts)), budget=budget):
            outputs.update(zip(batch, self._generate_batch(batch, sampling, schema), strict=True))
        return fill_slots(
            contexts, [self._build_generation(prompt, outputs[prompt], sampling) for prompt in prompts]
        )

    def _build_constraints(self, schema: str | None) -> list[Constraint]:
        """Return the logits processors that keep answers to the schema; ValueError where it cannot be compiled."""
        if schema is None:
            return []
        if self._schemas is None:
            from curate.engine.local.structured import SchemaCompiler

            self._schemas = SchemaCompiler(
                self.tokens.tokenizer, self._end_tokens, self.model.get_output_embeddings().weight.shape[0]
            )
        return [self._schemas.build_constraint(schema)]

    @property
    def _end_tokens(self) -> list[int]:
        """The tokens that end an answer."""
        ends = self.model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [ends]

    def _generate_batch(
        self, batch: list[tuple[int, ...]], sampling: Sampling, schema: str | None
    ) -> list[list[list[int]]]:
        """Return for each prompt `n` lists of new token ids."""
        from transformers import GenerationConfig

        ids, mask = pad_rows_left(batch)
        settings: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            settings = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": 0,
                "num_return_sequences": sampling.n,
            }
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=sampling.max_tokens,
            eos_token_id=self._end_tokens,
            pad_token_id=self._end_tokens[0],
            stop_strings=list(sampling.stop) or None,
            **settings,
        )
        with torch.inference_mode(), torch.random.fork_rng():
            # A seed per batch of prompts: the answers drawn do not depend on earlier calls.
            torch.manual_seed(int(content_id(sampling.seed, batch)[:15], 16))
            drawn = self.model.generate(
                input_ids=torch.from_numpy(ids).to(self.model.device),
                attention_mask=torch.from_numpy(mask).to(self.model.device),
                generation_config=config,
                logits_processor=self._build_constraints(schema),
                tokenizer=self.tokens.tokenizer,
                **self._make_inputs(torch.from_numpy(ids)),
            )[:, ids.shape[1] :].tolist()
        if sampling.temperature <= 0:
            return [[row] * sampling.n for row in drawn]
        return [drawn[start : start + sampling.n] for start in range(0, len(drawn), sampling.n)]

    def _make_inputs(self, tokens: torch.Tensor) -> dict[str, Any]:
        """Return what the model reads besides tokens int64[B, L]: nothing, where it reads text."""
        return {}

    def _build_generation(
        self, prompt: tuple[int, ...], answers: list[list[int]], sampling: Sampling
    ) -> Generation:
        ended = [self._cut_answer(answer, sampling) for answer in answers]
        # At temperature 1, in a pass of its own: keeping the logits of every step would not fit in memory.
        targets = [Target(prompt, tuple(answer)) for answer, _ in ended if answer]
        log_probs = dict(zip(targets, self.compute_log_probs(targets), strict=True))
        completions = []
        for answer, finish in ended:
            values = log_probs[Target(prompt, tuple(answer))] if answer else np.empty(0)
            decoded = [self.tokens.tokenizer.decode([token]) for token in answer]
            text = self.tokens.tokenizer.decode(answer)
            for stop in sampling.stop:
                text = text.partition(stop)[0]
            steps = tuple(Token(piece, float(value)) for piece, value in zip(decoded, values, strict=True))
            completions.append(Completion(text, steps, "stop" if finish else "length"))
        return Generation(tuple(completions), len(prompt), sum(len(answer) for answer, _ in ended))

    def _cut_answer(self, answer: list[int], sampling: Sampling) -> tuple[list[int], bool]:
        """Return the answer before its end token, and whether it ended by itself."""
        stops = set(self._end_tokens)
        end = next((number for number, token in enumerate(answer) if token in stops), None)
        if end is not None:
            return answer[:end], True
        text = self.tokens.tokenizer.decode(answer)
        return answer, any(stop in text for stop in sampling.stop)
