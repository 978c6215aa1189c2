"""A tail whose relevances are contrastive: what a unit adds for a prompt more than for the mean of all.

Much of a cosine is common to all prompts: what decides between them drowns in it. The relevance of the
contrast t_c - mean over classes of t is linear in the prompt, as Eqs. 5 and 6 are, and equals

    R_j(c) - mean over classes c' of R_j(c').

Outputs y, and with them the line of high confidence, stay those of the prompt.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from reliance.tails.protocol import Active, Array, Scores, Tail

_ROUNDED = 1e-6  # a contrast that is shorter is rounding


class ContrastTail:
    """One tail, that `opened` makes, for the contrasts of text vectors [C, p], made unit, and for their mean.

    A tail scales its prompts to unit length: what it says of contrasts is multiplied by theirs. The output of
    a prompt is the sum of that of its contrast and that of the mean.
    """

    def __init__(self, opened: Callable[[np.ndarray], Tail], text: np.ndarray) -> None:
        self._opened, self._text = opened, text
        unit = text.astype(np.float64) / np.linalg.norm(text.astype(np.float64), axis=1, keepdims=True)
        mean = unit.mean(axis=0, keepdims=True)
        vectors = np.concatenate([unit - mean, mean])
        lengths = np.linalg.norm(vectors, axis=1)
        none = lengths < _ROUNDED  # prompts that are all the same have no contrast: any direction, times 0
        vectors[none], lengths[none] = unit[0], 0.0
        self._tail = opened(vectors)
        self._lengths = torch.as_tensor(lengths, device=self._tail.device)

    @property
    def forms(self) -> Sequence[str]:
        """The relevances it knows."""
        return self._tail.forms

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._tail.device

    @property
    def prompts(self) -> int:
        """C."""
        return len(self._text)

    @property
    def units(self) -> int:
        """m."""
        return self._tail.units

    def score(self, x: Array, values: Array, indices: Array, images: np.ndarray | None = None) -> Scores:
        """Outputs of the prompts and relevances of their contrasts."""
        return ContrastScores(self._tail.score(x, values, indices, images), self._lengths)

    def alone(self) -> torch.Tensor:
        """Logit Lens of the prompts [C, m]."""
        return self._plain.alone()

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> Active:
        """The active units, to be deleted and inserted, for the prompts."""
        return self._plain.activate(values, indices, images)

    @cached_property
    def _plain(self) -> Tail:
        return self._opened(self._text)


class ContrastScores:
    """Outputs for the prompts, relevances for their contrasts, from scores of C contrasts and of the mean.

    lengths : of contrasts and mean, float64 [C + 1].
    """

    def __init__(self, scores: Scores, lengths: torch.Tensor) -> None:
        self._scores, self._lengths = scores, lengths.to(scores.y)
        self.values, self.indices = scores.values, scores.indices
        mean = scores.y[:, -1:] * self._lengths[-1]
        self.y = torch.addcmul(mean, scores.y[:, :-1], self._lengths[:-1])

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k] of pairs of an image and a prompt."""
        return self._scores.relevance(form, rows, prompts).mul_(self._lengths[prompts, None])
