"""A tail whose relevances are contrastive: what a unit adds for a prompt more than for the mean of all.

Much of a cosine is common to all prompts: what decides between them drowns in it. The relevance of the
contrast t_c - mean over classes of t is linear in the prompt, as Eqs. 5 and 6 are, and equals

    R_j(c) - mean over classes c' of R_j(c').

Outputs y, and with them the line of high confidence, stay those of the prompt.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from reliance.tails.protocol import Active, Array, Scores, Tail


def contrasts(text: np.ndarray) -> np.ndarray:
    """t_c - mean over classes of t, float [C, p]."""
    found: np.ndarray = text - text.mean(axis=0)
    return found


class ContrastTail:
    """A tail for text vectors [C, p] that `opened` makes, and one for their contrasts.

    A tail scales its prompts to unit length, so relevances are multiplied by that of the contrasts.
    """

    def __init__(self, opened: Callable[[np.ndarray], Tail], text: np.ndarray) -> None:
        contrast = contrasts(text)
        self._plain, self._contrast = opened(text), opened(contrast)
        lengths = np.linalg.norm(contrast, axis=1)
        self._lengths = torch.as_tensor(lengths, device=self._plain.device)

    @property
    def forms(self) -> Sequence[str]:
        """The relevances it knows."""
        return self._plain.forms

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._plain.device

    @property
    def prompts(self) -> int:
        """C."""
        return self._plain.prompts

    @property
    def units(self) -> int:
        """m."""
        return self._plain.units

    def score(self, x: Array, values: Array, indices: Array, images: np.ndarray | None = None) -> Scores:
        """Outputs of the prompts and relevances of their contrasts."""
        plain, contrast = (tail.score(x, values, indices, images) for tail in (self._plain, self._contrast))
        return ContrastScores(plain, contrast, self._lengths)

    def alone(self) -> torch.Tensor:
        """Logit Lens of the prompts [C, m]."""
        return self._plain.alone()

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> Active:
        """The active units, to be deleted and inserted, for the prompts."""
        return self._plain.activate(values, indices, images)


class ContrastScores:
    """Outputs for the prompts, relevances for their contrasts, of lengths [C]."""

    def __init__(self, plain: Scores, contrast: Scores, lengths: torch.Tensor) -> None:
        self.values, self.indices, self.y = plain.values, plain.indices, plain.y
        self._contrast, self._lengths = contrast, lengths.to(plain.y)

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k] of pairs of an image and a prompt."""
        return self._contrast.relevance(form, rows, prompts) * self._lengths[prompts, None]
