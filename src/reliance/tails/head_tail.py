"""`HeadTail`: LayerNorm and projection, or the projection alone, as a tail in closed form."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from reliance.encoders.head import Head
from reliance.tails.baselines import equation_6, logit_lens
from reliance.tails.integrated import (
    Form,
    at_point,
    integrated_gradients,
    locate,
    reconstruct,
    relevance,
    see_prompts,
    terms_at,
)
from reliance.tails.protocol import EQUATION_6, INTEGRATED
from reliance.tails.relevance import (
    FORMS,
    Array,
    Coefficients,
    ImageTerms,
    image_terms,
    latent_tables,
    outputs,
    pair_relevance,
    prompt_tables,
)
from reliance.tails.walk import Grams, HeadWalk, grams, walk


class HeadTail:
    """The head of an encoder with units of directions [m, d] and text vectors [C, p].

    Parameters
    ----------
    path_steps : points on the path of Integrated Gradients.
    """

    def __init__(
        self,
        head: Head,
        directions: Array,
        text: Array,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        path_steps: int = 10,
    ) -> None:
        self.tables = latent_tables(directions, head, device, dtype)
        self.texts = prompt_tables(self.tables, text)
        self.norms = self.tables.decoder.norm(dim=1)
        self.path_steps = path_steps
        at_one_point = {**FORMS, EQUATION_6: equation_6} if head.normed else FORMS
        self.at_one_point = at_one_point
        self.forms = (*at_one_point, INTEGRATED)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.tables.lens.device

    @property
    def prompts(self) -> int:
        """C."""
        return len(self.texts.text)

    @property
    def units(self) -> int:
        """m."""
        return len(self.tables.lens)

    def score(
        self, x: Array, values: Array, indices: Array, images: np.ndarray | None = None
    ) -> "HeadScores":
        """Outputs and relevances of n images."""
        return HeadScores(self, x, values, indices)

    def alone(self) -> torch.Tensor:
        """Logit Lens [C, m] (Eq. 3)."""
        return logit_lens(self.tables, self.texts)

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> "HeadActive":
        """The active units of n images, to be deleted and inserted."""
        return HeadActive(self, values, indices)


class HeadScores:
    """Outputs and relevances of n images, by coefficients that serve all prompts."""

    def __init__(self, tail: HeadTail, x: Array, values: Array, indices: Array) -> None:
        self._tail, self._terms = tail, image_terms(tail.tables, x, values, indices)
        self.values, self.indices = self._terms.values, self._terms.indices
        self.y = outputs(self._terms, tail.texts)
        self._coefficients: dict[str, Coefficients] = {}

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k] of pairs of an image and a prompt."""
        if form not in self._coefficients:
            self._coefficients[form] = self._tail.at_one_point[form](self._tail.tables, self._terms)
        y = self.y[rows, prompts]
        return pair_relevance(self._coefficients[form], self.indices, self._tail.texts, rows, prompts, y)


class HeadActive:
    """The active units of n images; their inner products are made once for all stretches."""

    def __init__(self, tail: HeadTail, values: Array, indices: Array) -> None:
        self.tail = tail
        self.values = torch.as_tensor(values).to(tail.norms)
        self.indices = torch.as_tensor(indices, device=tail.device)
        self.sum = reconstruct(tail.tables, self.values, self.indices)
        self.energy = self.values * tail.norms[self.indices]

    def at(self, x: torch.Tensor) -> torch.Tensor:
        """x itself."""
        return x

    @cached_property
    def grams(self) -> Grams:
        """Inner products of the units of each image."""
        return grams(self.tail.tables, self.indices)

    def stretch(self, start: torch.Tensor, end: torch.Tensor) -> "HeadStretch":
        """From all active units at 0 to their activations."""
        return HeadStretch(self, start, end)


class HeadStretch:
    """n images between all of their active units at 0 and at their activations."""

    def __init__(self, active: HeadActive, start: torch.Tensor, end: torch.Tensor) -> None:
        self._active, self._tail = active, active.tail
        self._ends = tuple(locate(active.tail.tables, x, active.indices) for x in (start, end))
        self._forms: dict[str, Form] = {}

    def relevances(self, forms: Sequence[str], rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """R [n, c, k] at the end by form, for prompts int64 [n, c]; what does not depend on them is kept."""
        self._forms |= {form: self._form(form) for form in forms if form not in self._forms}
        prompted = see_prompts(self._tail.texts, rows, self._active.indices)
        return {form: relevance(self._forms[form], prompted) for form in forms}

    def walks(self, rows: torch.Tensor) -> tuple[HeadWalk, HeadWalk]:
        """Walks from the start and from the end, for one prompt per image, int64 [n]."""
        tables, active = self._tail.tables, self._active
        prompted = see_prompts(self._tail.texts, rows[:, None], active.indices)
        start, end = (
            walk(tables, active.grams, point, active.values, active.indices, prompted) for point in self._ends
        )
        return start, end

    @cached_property
    def _terms(self) -> ImageTerms:
        active = self._active
        return terms_at(self._tail.tables, self._ends[1], active.values, active.indices)

    def _form(self, form: str) -> Form:
        tables, values, indices = self._tail.tables, self._active.values, self._active.indices
        start, end = self._ends
        if form == INTEGRATED:
            return integrated_gradients(tables, start, end, values, indices, self._tail.path_steps)
        return at_point(self._tail.at_one_point[form](tables, self._terms), self._terms)
