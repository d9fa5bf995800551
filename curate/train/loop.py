"""The training loop: one screen of steps, on any number of devices.

    accelerate launch --no_python curate train DATA   # DDP, as `accelerate config` says
    curate train DATA                                 # this process alone

The same data, settings and seed give the same weights: bit for bit on one machine with the same number of threads
(also when it was killed and goes on), to rounding elsewhere.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from curate.config.train import BackboneSection
from curate.core.progress import Advance
from curate.engine.local.reward_head import HeadShape
from curate.train import objective
from curate.train.batches import build_batch, count_group_tokens, group_into_steps, pack_rows
from curate.train.checkpoints import Checkpoints, TrainingProgress
from curate.train.examples import PromptGroup
from curate.train.load_backbone import LoadedBackbone
from curate.train.metrics import MetricsLog
from curate.train.throughput import ThroughputMeter, count_flops_per_token, measure_attainable_flops

Step = list[list[int]]  # rows of numbers of groups


@dataclass(frozen=True, slots=True)
class Schedule:
    """All steps of all epochs, known beforehand. `steps[i]` is the i-th, of `epochs[i]`."""

    steps: tuple[Step, ...]
    epochs: tuple[int, ...]

    @classmethod
    def of(cls, tokens: Sequence[int], section: BackboneSection, seed: int) -> Schedule:
        made: list[Step] = []
        epochs: list[int] = []
        for epoch in range(section.epochs):
            packed = pack_rows(
                tokens, most=section.row_tokens, generator=np.random.default_rng((seed, epoch))
            )
            added = group_into_steps(packed, tokens, least=section.batch_tokens)
            made += added
            epochs += [epoch] * len(added)
        return cls(tuple(made), tuple(epochs))


def compute_learning_rate(step: int, total: int, section: BackboneSection) -> float:
    """Of step 0 … total − 1: a linear rise over the warm-up, then constant, or half a cosine down to 0."""
    warmup = math.ceil(section.warmup * total)
    if step < warmup:
        return section.learning_rate * (step + 1) / (warmup + 1)
    if section.schedule == "constant":
        return section.learning_rate
    return section.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class Trainer:
    """Trains `opened.model` on `train`, and keeps the weights that predict `held_out` best.

    A row's loss is the sum over its comparisons divided by what all comparisons of the step weigh, so that neither
    packing nor the number of processes changes the gradient.
    """

    def __init__(
        self,
        opened: LoadedBackbone,
        train: Sequence[PromptGroup],
        held_out: Sequence[PromptGroup],
        section: BackboneSection,
        checkpoints: Checkpoints,
        metrics: MetricsLog,
        accelerator: Any,
        *,
        seed: int,
        wrong: float = 0.0,
    ) -> None:
        """`wrong`: the share of labels to leave out, those of largest loss in each forward pass (a curriculum)."""
        self._opened, self._section, self._seed, self._wrong = opened, section, seed, wrong
        self._train, self._held_out = train, held_out
        self._checkpoints, self._metrics, self._accelerator = checkpoints, metrics, accelerator
        self._tokens = count_group_tokens(train, separator=opened.separator)
        self.schedule = Schedule.of(self._tokens, section, seed)
        trained = [each for each in opened.model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=section.learning_rate, betas=(0.9, 0.95), weight_decay=section.weight_decay
        )
        flops = count_flops_per_token(opened.model)
        self._model, self._optimizer = accelerator.prepare(opened.model, optimizer)
        dtype = torch.bfloat16 if section.precision == "bfloat16" else torch.float32
        self._meter = ThroughputMeter(
            flops, measure_attainable_flops(accelerator.device, dtype) * accelerator.num_processes
        )

    @property
    def shape(self) -> HeadShape:
        return self._opened.model.shape

    def run(self, advance: Advance) -> TrainingProgress:
        """Go on from the last checkpoint to the end; the model then has the best weights."""
        section, total = self._section, len(self.schedule.steps)
        progress = self._checkpoints.load(self._model, self._optimizer)
        self._metrics.begin(progress.step)
        advance(progress.step)
        while progress.step < total and progress.looks < section.patience:
            number = progress.step
            metrics = self._step(number, compute_learning_rate(number, total, section))
            tokens = sum(self._tokens[group] for row in self.schedule.steps[number] for group in row)
            progress = replace(progress, step=number + 1, tokens=progress.tokens + tokens)
            speed = self._meter.add(tokens)
            self._metrics.log(
                {"step": progress.step, "epoch": self.schedule.epochs[number], "tokens": progress.tokens}
                | metrics
                | speed
            )
            last = progress.step == total
            if last or progress.step % section.evaluate_every == 0:
                progress = self._look(progress)
            if not last and progress.step % section.checkpoint_every == 0:
                self._checkpoints.save(self._model, self._optimizer, progress)
            advance(1, f"{speed['tokens_per_second']:,.0f} tokens/s, MFU {speed['mfu']:.0%}")
        self._metrics.close()
        self._accelerator.wait_for_everyone()
        self._checkpoints.load_best(self._model)
        return progress

    def held_out(self) -> tuple[float, float]:
        """Mean loss and accuracy on the held-out prompts."""
        tokens = count_group_tokens(self._held_out, separator=self._opened.separator)
        self._model.eval()
        sums = torch.zeros(4, dtype=torch.float64, device=self._accelerator.device)
        with torch.no_grad():
            for row, counts in self._mine(pack_rows(tokens, most=self._section.row_tokens)):
                value = self._value([self._held_out[group] for group in row], seed=0)
                if counts:
                    sums += torch.tensor([float(value.loss), value.weight, value.correct, value.pairs]).to(
                        sums
                    )
        loss, weight, correct, pairs = self._accelerator.reduce(sums, "sum").tolist()
        return loss / weight, correct / pairs

    @torch.no_grad()
    def outputs(self, groups: Sequence[PromptGroup]) -> list[Tensor]:
        """float32[N, K] of the head for each group, all of them by every process."""
        tokens = count_group_tokens(groups, separator=self._opened.separator)
        self._model.eval()
        found: list[Tensor] = []
        for row in pack_rows(tokens, most=self._section.row_tokens):
            part = [groups[group] for group in row]
            outputs = self._outputs(part, seed=0).cpu()
            found += [each[: len(group)] for each, group in zip(outputs, part, strict=True)]
        return found

    def _step(self, number: int, rate: float) -> dict[str, float]:
        accelerator, step = self._accelerator, self.schedule.steps[number]
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        weight = sum(
            objective.weigh_group(self._train[each], self._section.loss) for row in step for each in row
        )
        self._model.train()
        sums = torch.zeros(3, dtype=torch.float64, device=accelerator.device)
        mine = list(self._mine(step))
        for at, (row, counts) in enumerate(mine):
            seed = int(
                np.random.SeedSequence((self._seed, number, at, accelerator.process_index)).generate_state(1)[
                    0
                ]
            )
            torch.manual_seed(seed)  # dropout and the order in joint rows
            waits = at + 1 < len(mine)
            with accelerator.no_sync(self._model) if waits else contextlib.nullcontext():
                value = self._value(
                    [self._train[group] for group in row], seed=seed, share=self._share(number)
                )
                scale = (
                    accelerator.num_processes / weight if counts else 0.0
                )  # DDP takes the mean of processes
                accelerator.backward(value.loss * scale)
            if counts:
                sums += torch.tensor([float(value.loss.detach()), value.correct, value.pairs]).to(sums)
        norm = accelerator.clip_grad_norm_(self._model.parameters(), self._section.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        loss, correct, pairs = accelerator.reduce(sums, "sum").tolist()
        return {
            "loss": loss / weight,
            "accuracy": correct / pairs,
            "learning_rate": rate,
            "gradient_norm": float(norm),
        }

    def _mine(self, every: Sequence[list[int]]) -> Iterator[tuple[list[int], bool]]:
        """The rows of this process. All have as many: where one is missing the first is taken, and does not count."""
        processes, index = self._accelerator.num_processes, self._accelerator.process_index
        for start in range(0, len(every), processes):
            there = start + index < len(every)
            yield every[start + index] if there else every[0], there

    def _share(self, number: int) -> float:
        """Of the labels that step `number` learns from: falling over the first quarter of the steps."""
        return 1.0 - self._wrong * min(1.0, 4.0 * (number + 1) / len(self.schedule.steps))

    def _value(self, groups: Sequence[PromptGroup], *, seed: int, share: float = 1.0) -> objective.LossSums:
        outputs = self._outputs(groups, seed=seed)
        return objective.compute_loss(
            outputs, groups, self._section.loss, self._opened.model.shape, share=share
        )

    def _outputs(self, groups: Sequence[PromptGroup], *, seed: int) -> Tensor:
        """float32[B, N, K]."""
        opened, device = self._opened, self._accelerator.device
        padding = opened.texts.padding or 0
        batch = build_batch(
            groups, separator=opened.separator, seed=seed, padding=padding, images=opened.texts.images
        ).to(device)
        half = self._section.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = self._model(batch)
        return batch.table(outputs.float())

    def _look(self, progress: TrainingProgress) -> TrainingProgress:
        loss, accuracy = self.held_out()
        seen = progress.seen(loss)
        if seen.best_step == seen.step:
            self._checkpoints.save_best(self._model)
        self._metrics.log({"step": seen.step, "held_out_loss": loss, "held_out_accuracy": accuracy})
        return seen
