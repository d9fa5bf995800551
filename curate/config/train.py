"""The section `train` of `curate.yaml`: which reward model is trained, and how."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from curate.core.section import Section

_OF_THE_MLP = (
    *("hidden", "epochs", "patience", "batch", "learning_rate", "weight_decay", "dropout"),
    *("members", "combine", "noise"),
)
_OF_EMBEDDINGS = ("embedder", "folds", "head", *_OF_THE_MLP)


class LoraSection(Section):
    """Low-rank adapters in place of training all weights (Hu et al. 2021, arXiv 2106.09685); needs `peft`."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: str | list[str] = Field("all-linear", description="Names of the layers that get an adapter.")


class LossSection(Section):
    """What is minimised: one comparison loss, and terms that are added to it with their weight (0: left out)."""

    kind: Literal["bradley-terry", "margin", "ties", "ordinal", "best", "ranking"] = Field(
        "bradley-terry",
        description="On pairs: bradley-terry (with the label's probability), margin (the preference strength is the"
        " lead wanted), ties (Rao and Kupper), ordinal (the chosen one's level is the higher one); on lists: best"
        " (cross-entropy), ranking (Plackett and Luce).",
    )
    tie: float = Field(0.5, gt=0, description="η of `ties`: the lead below which a tie is likeliest.")
    smoothing: float = Field(0.0, ge=0, lt=0.5, description="Share of labels taken to be flipped at random.")
    confidence_scale: float = Field(
        0.0, ge=0, description="w of MM-RLHF's weight 1 + w (1 − exp(−k · strength)) of each pair."
    )
    confidence_rate: float = Field(0.5, gt=0, description="k of it.")
    centre: float = Field(0.0, ge=0, description="Weight of the squared sum of a pair's scores.")
    prior: float = Field(
        0.0, ge=0, description="Weight of PCRM's constraint: responses of like length may not be far apart."
    )
    length_invariance: float = Field(
        0.0, ge=0, description="Weight of the discrepancy (MMD) between scores of short and long responses."
    )


class BackboneSection(Section):
    """A language model with a value head, fine-tuned on the pairs or rankings."""

    model: str = Field(
        description="Folder, pypi:PACKAGE or hub id: a causal or vision-language model, an encoder or a reward model."
    )
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    head: Literal["linear", "mlp"] = Field(
        "linear", description="linear: Transformers and vLLM load it too; mlp: two layers with SiLU."
    )
    units: int = Field(1024, ge=1, description="Of the MLP head.")
    output: Literal["scalar", "ordinal", "aspects"] = Field(
        "scalar",
        description="ordinal: a distribution over levels, whose expected value is the score; aspects: a score for each"
        " of `aspects`, whose weighted mean is the score.",
    )
    levels: int = Field(5, ge=2, description="Of an ordinal output.")
    aspects: dict[str, PositiveFloat] = Field(
        {}, description="Names of the aspects that the data label, each with its weight in the score."
    )
    forward: Literal["shared-prefix", "joint"] = Field(
        "shared-prefix",
        description="shared-prefix: each response for itself, the prompt read once; joint: side by side.",
    )
    lora: LoraSection | None = Field(None, description="Adapters; null: all weights are trained.")
    loss: LossSection = LossSection()
    max_length: int = Field(2048, ge=16, description="Tokens of a prompt with one response; more is cut.")
    row_tokens: int = Field(8192, ge=16, description="Tokens per forward pass: more needs more memory.")
    batch_tokens: int = Field(32_768, ge=16, description="Tokens per step of the optimizer.")
    epochs: int = Field(1, ge=1, description="At most.")
    learning_rate: float = Field(1e-5, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(
        0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    held_out: float = Field(0.1, gt=0, lt=1, description="Share of the prompts that decide when to stop.")
    evaluate_every: int = Field(200, ge=1, description="Steps between looks at the held-out prompts.")
    patience: int = Field(3, ge=1, description="Looks without a lower held-out loss before training ends.")
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of the matrix products; weights, head and optimizer stay in float32."
    )
    gradient_checkpointing: bool = Field(False, description="Compute activations twice to save memory.")
    tensorboard: bool = Field(
        False, exclude=True, description="Metrics for TensorBoard too, beside metrics.jsonl."
    )  # left out of what identifies a model: to look on makes no other one

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.forward == "joint" and self.loss.kind == "margin":
            raise ValueError("a margin compares scores that stand alone: take another loss, or shared-prefix")
        if self.loss.kind == "ordinal" and self.output != "ordinal":
            raise ValueError("the loss `ordinal` is for levels: set `output: ordinal`")
        if bool(self.aspects) != (self.output == "aspects"):
            raise ValueError("`output: aspects` and `aspects` (name: weight) go together")
        if self.aspects and self.loss.kind not in ("bradley-terry", "margin"):
            raise ValueError("aspects are learnt beside the losses bradley-terry and margin")
        if self.row_tokens > self.batch_tokens:
            raise ValueError("row_tokens is more than batch_tokens: a step is at least one forward pass")
        return self


class NoiseSection(Section):
    """What is done about wrong labels. With a backbone, heads on embeddings judge its labels; no co-teaching."""

    method: Literal["none", "flip", "drop", "soften", "curriculum", "co-teaching"] = Field(
        "none",
        description="flip, drop, soften: by what models say that have not seen the label; curriculum, co-teaching:"
        " learn from the pairs of smallest loss (of two models each from the other's choice).",
    )
    rate: float | None = Field(
        None, ge=0, lt=0.5, description="Share of labels that are wrong; null: it is estimated."
    )

    @property
    def judges_labels(self) -> bool:
        """Whether it takes models that have not seen a label to say how likely it is right."""
        known = self.rate is not None and self.method in ("curriculum", "co-teaching")
        return self.method != "none" and not known


class TrainSection(Section):
    """The reward model: a head on frozen sentence embeddings or, with `backbone`, a fine-tuned language model."""

    path: str = Field("models/reward", description="Folder of the saved model.")
    backbone: BackboneSection | None = Field(
        None, description="A language model to fine-tune, in place of the settings of the MLP."
    )
    embedder: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="Sentence-embedding model: a folder, pypi:PACKAGE, or owner/name on the hub.",
    )
    head: Literal["mlp", "linear"] = Field(
        "mlp",
        description="On the embeddings. linear: solved at once by least squares, averaged over penalties; it has"
        " none of the settings below but folds.",
    )
    hidden: int = Field(64, ge=1, description="Units of the hidden layer.")
    epochs: int = Field(40, ge=1, description="At most; held-out loss decides how many.")
    patience: int = Field(5, ge=1, description="Epochs without a better held-out loss before training ends.")
    batch: int = Field(64, ge=1, description="Pairs per step.")
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the features hidden in each step.")
    folds: int = Field(
        5, ge=3, description="Cross-fitting folds by prompt: no model scores its own training rows."
    )
    members: int = Field(
        1, ge=1, description="Models in the ensemble, each on other random weights of the prompts."
    )
    combine: Literal["mean", "min", "lower"] = Field(
        "mean", description="One score of the members': mean, min, or lower: mean − standard deviation."
    )
    noise: NoiseSection = NoiseSection()
    seed: int = 0
    bootstrap: int = Field(1000, ge=0, description="Resamples of the prompts for the accuracy's interval.")
    judge: str | None = Field(
        "reward-model",
        min_length=1,
        description="Name under which the model joins the panel; null: it does not.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        remedied = self.noise.method != "none"
        judged = ("embedder", "folds", "noise") if remedied else ()
        stray = [name for name in _OF_EMBEDDINGS if name in self.model_fields_set and name not in judged]
        if self.backbone is not None and stray:
            raise ValueError(f"{', '.join(stray)}: with `backbone`, such settings stand inside of it")
        if self.backbone is not None and remedied:
            if self.noise.method == "co-teaching":
                raise ValueError(
                    "noise.method co-teaching: with `backbone`, take flip, drop, soften or curriculum"
                )
            if self.backbone.loss.kind not in ("bradley-terry", "ordinal"):
                raise ValueError(
                    f"noise.method {self.noise.method} is for labels of pairs: set backbone.loss.kind to bradley-terry"
                    " or ordinal"
                )
        stray = [name for name in _OF_THE_MLP if name in self.model_fields_set]
        if self.head == "linear" and stray:
            raise ValueError(f"{', '.join(stray)}: `head: linear` has no such settings")
        if self.noise.method == "co-teaching" and self.members != 2:
            raise ValueError("co-teaching is done by two models: set members: 2")
        return self
