"""The section `train` of `curate.yaml`: the reward model, and how it is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from curate.config.paths import FilePath
from curate.config.response_order import ORDER_OPTION, ORDER_PATTERN
from curate.core.section import Section

_MLP_OPTIONS = (
    *("hidden", "epochs", "patience", "batch", "learning_rate", "weight_decay", "dropout"),
    *("members", "combine", "noise"),
)
_EMBEDDING_OPTIONS = ("embedder", "folds", "head", *_MLP_OPTIONS)


class LoraSection(Section):
    """Low-rank adapters in place of training all weights (Hu et al. 2021, arXiv 2106.09685); needs `peft`."""

    rank: int = Field(16, ge=1, description="Rank of the update of each layer.")
    alpha: float = Field(32.0, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of an adapter's inputs hidden in each step.")
    targets: str | list[str] = Field(
        "all-linear", description="Names of the layers that get an adapter; all-linear: all linear layers."
    )


class LossSection(Section):
    """The training objective: one comparison loss, and terms that are added with a weight (0: left out)."""

    kind: Literal["bradley-terry", "margin", "ties", "ordinal", "best", "ranking"] = Field(
        "bradley-terry",
        description="For pairs: bradley-terry (against the label's probability), margin (the chosen response must lead"
        " by the strength of the preference), ties (Rao and Kupper), ordinal (the chosen response must have the higher"
        " level). For lists: best (cross-entropy of the best response), ranking (Plackett and Luce).",
    )
    tie: float = Field(
        0.5,
        gt=0,
        description="For `ties`: the score difference below which a tie is more likely than a win (η).",
    )
    smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of labels assumed to be flipped at random."
    )
    confidence_scale: float = Field(
        0.0,
        ge=0,
        description="Each pair weighs 1 + w (1 − exp(−k · strength)) (MM-RLHF); this is w, 0: all alike.",
    )
    confidence_rate: float = Field(0.5, gt=0, description="k in the weight of `confidence_scale`.")
    centre: float = Field(0.0, ge=0, description="Weight of the term that holds scores near 0.")
    prior: float = Field(
        0.0, ge=0, description="Weight of PCRM's term: responses of similar length must have similar scores."
    )
    length_invariance: float = Field(
        0.0, ge=0, description="Weight of the term that makes scores of short and long responses alike (MMD)."
    )


class BackboneSection(Section):
    """A language model with a value head, fine-tuned on the pairs or rankings."""

    model: str = Field(
        description="Folder, pypi:PACKAGE or hub id: a causal or vision-language model, an encoder or a reward model."
    )
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    head: Literal["linear", "mlp"] = Field(
        "linear",
        description="linear: Transformers and vLLM can load the model too; mlp: two layers with SiLU, only curate can.",
    )
    units: int = Field(1024, ge=1, description="Hidden units of the head `mlp`.")
    output: Literal["scalar", "ordinal", "aspects"] = Field(
        "scalar",
        description="What the head computes. scalar: the score; ordinal: a distribution over levels, whose mean is the"
        " score; aspects: a score for each of `aspects`, whose weighted mean is the score.",
    )
    levels: int = Field(5, ge=2, description="Number of levels of the output `ordinal`.")
    aspects: dict[str, PositiveFloat] = Field(
        {},
        description="For the output `aspects`: aspects that the data label, each with its weight in the score.",
    )
    forward: Literal["shared-prefix", "joint"] = Field(
        "shared-prefix",
        description="shared-prefix: each response is scored alone, and the prompt is computed once. joint: all"
        " responses of a prompt stand in one sequence, and are scored in view of each other.",
    )
    lora: LoraSection | None = Field(None, description="Low-rank adapters; null: all weights are trained.")
    loss: LossSection = LossSection()
    max_length: int = Field(
        2048, ge=16, description="Longest prompt with one response, in tokens; longer ones are cut."
    )
    row_tokens: int = Field(8192, ge=16, description="Tokens of a forward pass; more need more memory.")
    batch_tokens: int = Field(32_768, ge=16, description="Tokens of an optimizer step.")
    epochs: int = Field(
        1, ge=1, description="Passes over the data at most; held-out loss may end training earlier."
    )
    learning_rate: float = Field(1e-5, gt=0, description="Highest learning rate.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Learning rate after the warm-up: it falls to 0 by a cosine, or stays."
    )
    warmup: float = Field(
        0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of AdamW.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient; larger ones are scaled down.")
    held_out: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of the prompts that are never trained on and decide when training ends. With `judge`, it "
        "judges these prompts alone: 0.5 lets it judge half of them.",
    )
    folds: int | None = Field(
        None,
        ge=2,
        exclude=True,
        description="Cross-fitting: as many further models, each trained without its part of the prompts, so that with "
        "`judge` every prompt is judged by a model that has not seen it. Costs as many further trainings, and as many "
        "further copies of the weights on disk, in memory once they judge. null: only held-out prompts are judged.",
    )  # the model itself is the same with and without
    evaluate_every: int = Field(200, ge=1, description="Steps between evaluations on the held-out prompts.")
    patience: int = Field(
        3, ge=1, description="Evaluations without a lower held-out loss before training ends."
    )
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Precision of matrix products; weights, head and optimizer stay in float32."
    )
    gradient_checkpointing: bool = Field(False, description="Save memory by computing activations twice.")
    tensorboard: bool = Field(
        False, exclude=True, description="Write metrics for TensorBoard too, beside metrics.jsonl."
    )  # no part of the model's identity: watching a training does not change its result

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.forward == "joint" and self.loss.kind == "margin":
            raise ValueError(
                "the loss `margin` needs responses that are scored alone: set another loss, or forward: shared-prefix"
            )
        if self.loss.kind == "ordinal" and self.output != "ordinal":
            raise ValueError("the loss `ordinal` is for levels: set `output: ordinal`")
        if bool(self.aspects) != (self.output == "aspects"):
            raise ValueError("`output: aspects` and `aspects` (name: weight) go together")
        if self.aspects and self.loss.kind not in ("bradley-terry", "margin"):
            raise ValueError("`aspects` can be learnt with the losses bradley-terry and margin only")
        if self.row_tokens > self.batch_tokens:
            raise ValueError("row_tokens is more than batch_tokens: a step is at least one forward pass")
        return self


class NoiseSection(Section):
    """A remedy against wrong labels. With a `backbone`, heads on embeddings judge the labels.

    Co-teaching is for training without a `backbone`.
    """

    method: Literal["none", "flip", "drop", "soften", "curriculum", "co-teaching"] = Field(
        "none",
        description="flip, drop, soften: change labels that models contradict which were not trained on them."
        " curriculum: learn from the pairs of smallest loss only; co-teaching: of two models each learns from the"
        " pairs that the other finds easy.",
    )
    rate: float | None = Field(
        None, ge=0, lt=0.5, description="Share of labels that are wrong; null: estimate it."
    )

    @property
    def judges_labels(self) -> bool:
        """True if models that were not trained on a label must estimate how likely it is right."""
        known = self.rate is not None and self.method in ("curriculum", "co-teaching")
        return self.method != "none" and not known


class TrainSection(Section):
    """The reward model: a head on frozen sentence embeddings or, with `backbone`, a fine-tuned language model."""

    path: FilePath = Field("models/reward", description="Folder where the model is saved.")
    backbone: BackboneSection | None = Field(
        None, description="Language model to fine-tune; null: train a head on sentence embeddings instead."
    )
    embedder: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="Sentence-embedding model: a folder, pypi:PACKAGE, or owner/name on the hub.",
    )
    head: Literal["mlp", "linear"] = Field(
        "mlp",
        description="Head on the embeddings. mlp: one hidden layer; linear: least squares, solved at once and averaged"
        " over penalties (of the settings below only `folds` and those from `seed` on apply).",
    )
    hidden: int = Field(64, ge=1, description="Units of the hidden layer.")
    epochs: int = Field(40, ge=1, description="Passes over the data at most; held-out loss decides how many.")
    patience: int = Field(5, ge=1, description="Epochs without a better held-out loss before training ends.")
    batch: int = Field(64, ge=1, description="Pairs of an optimizer step.")
    learning_rate: float = Field(3e-4, gt=0, description="Learning rate of AdamW.")
    weight_decay: float = Field(0.1, ge=0, description="Weight decay of AdamW.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the features hidden in each step.")
    folds: int = Field(
        5, ge=3, description="Cross-fitting folds, by prompt: no model scores rows that it was trained on."
    )
    members: int = Field(
        1, ge=1, description="Models in the ensemble, each trained with other random weights of the prompts."
    )
    combine: Literal["mean", "min", "lower"] = Field(
        "mean",
        description="How the members' scores become one: mean, min, or lower (mean − standard deviation).",
    )
    noise: NoiseSection = NoiseSection()
    seed: int = Field(0, description="Seed of all random numbers of the training.")
    bootstrap: int = Field(
        1000, ge=0, description="Bootstrap resamples of the prompts for the interval of the accuracy."
    )
    judge: str | None = Field(
        "reward-model",
        min_length=1,
        description="Name under which the model joins the panel; null: it does not join.",
    )
    order: str | None = Field(
        None, pattern=f"^({ORDER_PATTERN})$", exclude=True, description=ORDER_OPTION
    )  # of asking it; the model is the same

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        has_remedy = self.noise.method != "none"
        allowed = ("embedder", "folds", "noise") if has_remedy else ()
        stray = [name for name in _EMBEDDING_OPTIONS if name in self.model_fields_set and name not in allowed]
        if self.backbone is not None and stray:
            raise ValueError(f"{', '.join(stray)}: with `backbone`, set such options inside of it")
        if self.backbone is not None and has_remedy:
            if self.noise.method == "co-teaching":
                raise ValueError(
                    "noise.method co-teaching: with `backbone`, take flip, drop, soften or curriculum"
                )
            if self.backbone.loss.kind not in ("bradley-terry", "ordinal"):
                raise ValueError(
                    f"noise.method {self.noise.method} is for labels of pairs: set backbone.loss.kind to bradley-terry"
                    " or ordinal"
                )
        if self.order is not None and (self.backbone is None or self.backbone.forward != "joint"):
            raise ValueError("`order` is for a `backbone` with `forward: joint`")
        stray = [name for name in _MLP_OPTIONS if name in self.model_fields_set]
        if self.head == "linear" and stray:
            raise ValueError(f"{', '.join(stray)}: `head: linear` has no such settings")
        if self.noise.method == "co-teaching" and self.members != 2:
            raise ValueError("co-teaching needs two models: set members: 2")
        return self
