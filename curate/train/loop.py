"""The training loop, on any number of devices.

    accelerate launch --no_python curate train DATA   # DDP, as `accelerate config` says
    curate train DATA                                 # this process alone

The same data, settings and seed give the same weights: bit for bit on one machine with the same number of threads,
also after a kill; up to rounding on other machines.
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
from curate.reward.tokens import VisionResponseEncoder
from curate.train import objective
from curate.train.batches import build_batch, count_group_tokens, group_into_steps, pack_rows
from curate.train.checkpoints import Checkpoints, TrainingProgress
from curate.train.examples import PromptGroup
from curate.train.load_backbone import LoadedBackbone
from curate.train.metrics import MetricsLog
from curate.train.throughput import ThroughputMeter, count_flops_per_token, measure_attainable_flops

Step = list[list[int]]
"""Rows of a step, each the numbers of its groups."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All steps of all epochs, known before training starts: `steps[i]` is a step of `epochs[i]`."""

    steps: tuple[Step, ...]
    epochs: tuple[int, ...]

    @classmethod
    def build(cls, sizes: Sequence[int], section: BackboneSection, seed: int) -> Schedule:
        """Pack groups into rows and steps, in another order each epoch.

        Args:
            sizes: Tokens of each group.
            section: Epochs, tokens of a row and of a step.
            seed: Decides the order.
        """
        all_steps: list[Step] = []
        epochs: list[int] = []
        for epoch in range(section.epochs):
            generator = np.random.default_rng((seed, epoch))
            rows = pack_rows(sizes, most=section.row_tokens, generator=generator)
            steps = group_into_steps(rows, sizes, least=section.batch_tokens)
            all_steps += steps
            epochs += [epoch] * len(steps)
        return cls(tuple(all_steps), tuple(epochs))


def compute_learning_rate(step: int, total: int, section: BackboneSection) -> float:
    """Return the learning rate of a step: a linear warm-up, then constant, or half a cosine down to 0.

    Args:
        step: 0 … total − 1.
        total: Number of steps.
        section: Highest learning rate, share of warm-up steps, kind of schedule.
    """
    warmup = math.ceil(section.warmup * total)
    if step < warmup:
        return section.learning_rate * (step + 1) / (warmup + 1)
    if section.schedule == "constant":
        return section.learning_rate
    return section.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class Trainer:
    """Trains a model, and keeps the weights of lowest held-out loss.

    A row's loss is the sum over its comparisons, divided by the weight of all comparisons of the step. So neither
    packing nor the number of processes changes the gradient.
    """

    def __init__(
        self,
        loaded: LoadedBackbone,
        train: Sequence[PromptGroup],
        held_out: Sequence[PromptGroup],
        section: BackboneSection,
        checkpoints: Checkpoints,
        metrics: MetricsLog,
        accelerator: Any,
        *,
        seed: int,
        left_out_share: float = 0.0,
    ) -> None:
        """Prepare model, optimizer and schedule.

        Args:
            loaded: Model to train, in place.
            train: Prompts to train on.
            held_out: Prompts that decide when training ends and which weights are kept.
            section: Loss, optimizer and schedule.
            checkpoints: Where training goes on from, and where its state is kept.
            metrics: Where a line a step is written.
            accelerator: Of `accelerate`: devices and processes.
            seed: Decides order and dropout.
            left_out_share: Share of labels to leave out, those of largest loss in each forward pass (a curriculum).
        """
        self._loaded, self._section, self._seed = loaded, section, seed
        self._left_out_share = left_out_share
        self._train, self._held_out = train, held_out
        self._checkpoints, self._metrics, self._accelerator = checkpoints, metrics, accelerator
        self._sizes = count_group_tokens(train, separator=loaded.separator)
        self.schedule = Schedule.build(self._sizes, section, seed)
        trainable = [parameter for parameter in loaded.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trainable, lr=section.learning_rate, betas=(0.9, 0.95), weight_decay=section.weight_decay
        )
        flops = count_flops_per_token(loaded.model)
        self._model, self._optimizer = accelerator.prepare(loaded.model, optimizer)
        dtype = torch.bfloat16 if section.precision == "bfloat16" else torch.float32
        attainable = measure_attainable_flops(accelerator.device, dtype) * accelerator.num_processes
        self._meter = ThroughputMeter(flops, attainable)

    @property
    def shape(self) -> HeadShape:
        """Outputs of the model's head."""
        return self._loaded.model.shape

    def run(self, advance: Advance) -> TrainingProgress:
        """Train from the last checkpoint to the end, and give the model the best weights.

        `advance` is called once a step, with tokens per second and utilisation.
        """
        section, total = self._section, len(self.schedule.steps)
        progress = self._checkpoints.load(self._model, self._optimizer)
        self._metrics.resume_after(progress.step)
        advance(progress.step)
        while progress.step < total and progress.evaluations_since_best < section.patience:
            number = progress.step
            metrics = self._take_step(number, compute_learning_rate(number, total, section))
            tokens = sum(self._sizes[group] for row in self.schedule.steps[number] for group in row)
            progress = replace(progress, step=number + 1, tokens=progress.tokens + tokens)
            speed = self._meter.add_tokens(tokens)
            position = {
                "step": progress.step,
                "epoch": self.schedule.epochs[number],
                "tokens": progress.tokens,
            }
            self._metrics.log_row(position | metrics | speed)
            is_last = progress.step == total
            if is_last or progress.step % section.evaluate_every == 0:
                progress = self._evaluate_held_out(progress)
            if not is_last and progress.step % section.checkpoint_every == 0:
                self._checkpoints.save(self._model, self._optimizer, progress)
            advance(1, f"{speed['tokens_per_second']:,.0f} tokens/s, MFU {speed['mfu']:.0%}")
        self._metrics.close()
        self._accelerator.wait_for_everyone()
        self._checkpoints.load_best(self._model)
        return progress

    def measure_held_out(self) -> tuple[float, float]:
        """Return mean loss and accuracy on the held-out prompts."""
        sizes = count_group_tokens(self._held_out, separator=self._loaded.separator)
        self._model.eval()
        sums = torch.zeros(4, dtype=torch.float64, device=self._accelerator.device)
        with torch.no_grad():
            for row, counts in self._iterate_own_rows(pack_rows(sizes, most=self._section.row_tokens)):
                row_sums = self._compute_row_loss([self._held_out[group] for group in row], seed=None)
                if counts:
                    values = [float(row_sums.loss), row_sums.weight, row_sums.correct, row_sums.pairs]
                    sums += torch.tensor(values).to(sums)
        loss, weight, correct, pairs = self._accelerator.reduce(sums, "sum").tolist()
        return loss / weight, correct / pairs

    @torch.no_grad()
    def compute_outputs(self, groups: Sequence[PromptGroup]) -> list[Tensor]:
        """Return the head's outputs float32[N, K] for each group; every process computes all of them."""
        sizes = count_group_tokens(groups, separator=self._loaded.separator)
        self._model.eval()
        all_outputs: list[Tensor] = []
        for row in pack_rows(sizes, most=self._section.row_tokens):
            members = [groups[group] for group in row]
            outputs = self._compute_row_outputs(members, seed=None).cpu()
            all_outputs += [output[: len(group)] for output, group in zip(outputs, members, strict=True)]
        return all_outputs

    def _take_step(self, number: int, learning_rate: float) -> dict[str, float]:
        """Take the optimizer step `number`, and return its metrics."""
        accelerator, step = self._accelerator, self.schedule.steps[number]
        for parameter_group in self._optimizer.param_groups:
            parameter_group["lr"] = learning_rate
        weight = sum(
            objective.weigh_group(self._train[group], self._section.loss) for row in step for group in row
        )
        self._model.train()
        sums = torch.zeros(3, dtype=torch.float64, device=accelerator.device)
        own_rows = list(self._iterate_own_rows(step))
        for place, (row, counts) in enumerate(own_rows):
            sequence = np.random.SeedSequence((self._seed, number, place, accelerator.process_index))
            seed = int(sequence.generate_state(1)[0])
            torch.manual_seed(seed)  # dropout and the order in joint rows
            more_rows = place + 1 < len(own_rows)
            with accelerator.no_sync(self._model) if more_rows else contextlib.nullcontext():
                members = [self._train[group] for group in row]
                row_sums = self._compute_row_loss(members, seed=seed, share=self._compute_share(number))
                # DDP takes the mean over processes, and a step's loss is a sum.
                scale = accelerator.num_processes / weight if counts else 0.0
                accelerator.backward(row_sums.loss * scale)
            if counts:
                values = [float(row_sums.loss.detach()), row_sums.correct, row_sums.pairs]
                sums += torch.tensor(values).to(sums)
        norm = accelerator.clip_grad_norm_(self._model.parameters(), self._section.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        loss, correct, pairs = accelerator.reduce(sums, "sum").tolist()
        return {
            "loss": loss / weight,
            "accuracy": correct / pairs,
            "learning_rate": learning_rate,
            "gradient_norm": float(norm),
        }

    def _iterate_own_rows(self, rows: Sequence[list[int]]) -> Iterator[tuple[list[int], bool]]:
        """Yield the rows of this process, and whether each counts.

        All processes must have equally many: one that lacks a row computes the first one again, which does not count.
        """
        processes, index = self._accelerator.num_processes, self._accelerator.process_index
        for start in range(0, len(rows), processes):
            exists = start + index < len(rows)
            yield rows[start + index] if exists else rows[0], exists

    def _compute_share(self, number: int) -> float:
        """Return the fraction of labels used at a step; it falls linearly during the first quarter of training."""
        return 1.0 - self._left_out_share * min(1.0, 4.0 * (number + 1) / len(self.schedule.steps))

    def _compute_row_loss(
        self, groups: Sequence[PromptGroup], *, seed: int | None, share: float = 1.0
    ) -> objective.LossSums:
        """Compute the loss of a row; `share`: fraction of its labels that is used."""
        outputs = self._compute_row_outputs(groups, seed=seed)
        return objective.compute_loss(
            outputs, groups, self._section.loss, self._loaded.model.shape, share=share
        )

    def _compute_row_outputs(self, groups: Sequence[PromptGroup], *, seed: int | None) -> Tensor:
        """Return float32[B, N, K]: outputs of the head, −inf where a group has fewer than N responses."""
        encoder, device = self._loaded.encoder, self._accelerator.device
        batch = build_batch(
            groups,
            separator=self._loaded.separator,
            seed=seed,
            padding=encoder.padding or 0,
            images=encoder.images,
            packer=encoder.packer if isinstance(encoder, VisionResponseEncoder) else None,
        ).to(device)
        half_precision = self._section.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision):
            outputs = self._model(batch)
        return batch.scatter_scores(outputs.float())

    def _evaluate_held_out(self, progress: TrainingProgress) -> TrainingProgress:
        """Measure the held-out loss, and keep the weights if it is the lowest so far."""
        loss, accuracy = self.measure_held_out()
        progress = progress.record_evaluation(loss)
        if progress.best_step == progress.step:
            self._checkpoints.save_best(self._model)
        self._metrics.log_row({"step": progress.step, "held_out_loss": loss, "held_out_accuracy": accuracy})
        return progress
