"""What the rest of a model behind a site must offer: from activations of units at the site to outputs y.

A tail is opened for m units and C prompts, on a device in a dtype. Images come as their site vectors x
[n, d] and the activations of their k active units: values [n, k] (0 is inactive) and indices int64 [n, k].
y is the cosine of the image embedding with a prompt (Eq. 4). `tails.head_tail` does all of it in closed
form. A tail that has to run the remaining blocks of a network offers the same: act x grad by autograd (or
k forward products per image, which serve all prompts), leave one out and walks by running the blocks again.
It may know fewer `forms`; what is asked of it must be in there.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

Array = np.ndarray | torch.Tensor

ACT_X_GRAD, ABLATION = "act_x_grad", "ablation"  # every tail has both: Eq. 5, right and left side
INTEGRATED = "integrated_gradients"
EQUATION_6 = "equation_6"  # act x grad without the bias of a LayerNorm; a tail may have none


class Tail(Protocol):
    """The rest of a model, as it takes m units and C prompts."""

    @property
    def forms(self) -> Sequence[str]:
        """The relevances it knows."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def prompts(self) -> int:
        """C."""

    @property
    def units(self) -> int:
        """m."""

    def score(self, x: Array, values: Array, indices: Array, images: np.ndarray | None = None) -> "Scores":
        """Outputs and relevances of n images.

        images : int64 [n], their rows in the split, for a tail that looks at them again.
        """

    def alone(self) -> torch.Tensor:
        """y of each unit by itself, without an image [C, m] (Logit Lens, Eq. 3)."""

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> "Active":
        """The active units of n images, to be deleted and inserted; `images` as in `score`."""


class Scores(Protocol):
    """Outputs and relevances of n images."""

    values: torch.Tensor  # [n, k]
    indices: torch.Tensor  # int64 [n, k]
    y: torch.Tensor  # [n, C]

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k] of q pairs of an image (`rows` int64 [q]) and a prompt (`prompts` int64 [q]).

        `form` is one of the tail's. A unit that is not active has relevance 0. The numbers are
        the caller's to change.
        """


class Active(Protocol):
    """The active units of n images."""

    values: torch.Tensor  # [n, k]
    indices: torch.Tensor  # int64 [n, k]
    sum: torch.Tensor  # what all of them add at the site [n, d]
    energy: torch.Tensor  # |what each of them adds| [n, k]

    def at(self, x: torch.Tensor) -> torch.Tensor:
        """What is moved where the site vectors are x [n, d]: x itself, or many tokens in one row [n, T d]."""

    def stretch(self, start: torch.Tensor, end: torch.Tensor) -> "Stretch":
        """From `start`, where all active units are at 0, to `end` = start + sum; [n, d], see `at`."""


class Stretch(Protocol):
    """n images between all of their active units at 0 and at their activations."""

    def relevances(self, forms: Sequence[str], rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """R [n, c, k] at the end by form, for the prompts `rows` int64 [n, c] of each image."""

    def walks(self, rows: torch.Tensor) -> tuple["Walk", "Walk"]:
        """Walks from the start and from the end, for one prompt `rows` int64 [n] of each image."""


class Walk(Protocol):
    """n images at one point each, ready to move along their active units; one prompt per image."""

    @property
    def values(self) -> torch.Tensor:
        """[n, k], 0 is inactive."""

    def output(self) -> torch.Tensor:
        """y [n]."""

    def curve(self, positions: torch.Tensor, sign: int) -> torch.Tensor:
        """y [n, S + 1] before and after each of S moves; places int64 [n, S] in the codes, -1 moves nothing.

        sign : -1 deletes (a walk from the end), +1 inserts (one from the start).
        """

    def single_moves(self, sign: int) -> torch.Tensor:
        """y [n, k] after moving each unit alone."""

    def advance(self, position: torch.Tensor, sign: int) -> "Walk":
        """The walk after moving the unit at `position` int64 [n] of each image; -1 stays."""
