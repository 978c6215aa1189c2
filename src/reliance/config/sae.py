"""The settings of an SAE, declared once: the section `sae` of a variant, and what jobs are given of it.

It has a module of its own so that training imports nothing else of the configuration. Jobs are given its
values, and what follows from them is computed where it is used: a new bound trains nothing again.
"""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator

from reliance.config.section import INT32_MAX, Name, Positive, Section, UserPath


class SaeTraining(Section):
    """Architecture, shape, objective and schedule of a sparse autoencoder. Part of its stamp."""

    kind: Name = "top_k"  # of architecture, a row of units/sae/kinds.py
    m: Positive  # latents
    k: Positive  # active latents per image; of kinds whose images differ in that, their mean
    max_active: Positive | None = None  # most latents stored per image, of those kinds; None: 4 k
    prefixes: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (
        0.0625,
        0.125,
        0.25,
        0.5,
        1.0,
    )  # of matryoshka
    sparsity_weight: Annotated[float, Field(ge=0)] = 0.1  # of jump_relu: how firmly the mean is k
    jump_width: Annotated[float, Field(gt=0)] = 0.1  # of jump_relu: of the ramp, in mean thresholds
    lr: Annotated[float, Field(gt=0)]
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.999
    batch_size: Positive
    epochs: Positive
    epoch_share: Annotated[float, Field(gt=0, le=1)]  # of the data, drawn per epoch; at least one batch
    decay_at: tuple[Annotated[float, Field(gt=0)], ...]  # epochs after which lr is multiplied by decay
    decay: Annotated[float, Field(gt=0, le=1)]
    scale_weight: Annotated[float, Field(ge=0)]  # of |x - xhat|^2 / mean |x|^2, which Eq. 10 does not have
    aux_weight: Annotated[float, Field(ge=0)]  # of the auxiliary loss on dead latents
    aux_k: Positive  # dead latents per image in it
    dead_after: Positive | None  # images a latent may be silent before it is dead; None: one epoch's
    grad_clip: Annotated[float, Field(gt=0)] | None  # largest norm of the gradient; None: any
    weight_decay: Annotated[float, Field(ge=0)]
    adam_eps: Annotated[float, Field(gt=0)]
    precision: Literal["fp32", "bf16"] = "fp32"  # of the products in training and so of activations
    seed: Annotated[int, Field(ge=0, le=INT32_MAX)]

    @model_validator(mode="after")
    def _fits(self) -> "SaeTraining":
        if self.k > self.m:
            raise ValueError(f"k must not be larger than m, found k = {self.k} and m = {self.m}")
        if any(epoch >= self.epochs for epoch in self.decay_at):
            raise ValueError(f"decay_at lies before epochs ({self.epochs}), found {list(self.decay_at)}")
        return self


class SaeImport(Section):
    """An SAE that somebody else trained. Part of its stamp but for where the file is."""

    path: UserPath = Field(validation_alias=AliasChoices("import", "path"))  # a file, or a folder with one
    format: str = "auto"  # a row of units/sae/formats/table.py
    k: Positive | None = None  # of files that do not say it
    max_active: Positive | None = None  # most latents stored per image, of kinds without k; None: as found
    trust: bool = False  # apply it although its file says that it is of another model or site

    @property
    def kind(self) -> str:
        """The row of units/sae/kinds.py."""
        return "imported"
