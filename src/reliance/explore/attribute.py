"""What the active units of one image add to the outputs of some prompts: arrays in, arrays out.

For one image the definitions of Eq. 5 are cheap enough to be computed as they stand: what stands behind the
site is evaluated once per active unit with the unit removed, and differentiated once per prompt. Where that
has a closed form (`Closed`), in float64 and without torch, which takes longer to import than all of this.
Numbers are those of `tails`, which the pipeline uses, to the rounding of float32.
"""

from typing import NamedTuple, Protocol

import numpy as np

from reliance.encoders.head import Head, project


class Seen(NamedTuple):
    """An image as the units see it."""

    x: np.ndarray  # float32 [d], at the variant's site
    component: np.ndarray  # active units, int64 [k]
    activation: np.ndarray  # float32 [k]
    place: tuple[str, int] | None = None  # (split, image_id) of a stored image
    pixels: np.ndarray | None = None  # uint8 [h, w, 3] as the encoder gets them, of one that was handed over


class Rest(Protocol):
    """The rest of a model behind the site, for one image."""

    def embed(self, x: np.ndarray) -> np.ndarray:
        """Image embeddings [n, p], of any length, with the site vector at x [n, d]."""

    def slopes(self, x: np.ndarray, text: np.ndarray) -> np.ndarray:
        """dy/dx float64 [C, d] at one site vector x [d], of unit text vectors [C, p]."""


class Closed(NamedTuple):
    """LayerNorm and projection, or nothing."""

    head: Head

    def embed(self, x: np.ndarray) -> np.ndarray:
        """As `Rest`."""
        return project(x, self.head)

    def slopes(self, x: np.ndarray, text: np.ndarray) -> np.ndarray:
        """As `Rest`."""
        return slopes(x, self.head, text)


class Relevances(NamedTuple):
    """What is asked of one image and C prompts; float64."""

    y: np.ndarray  # cosine of the image with each prompt (Eq. 4) [C]
    act_x_grad: np.ndarray  # Eq. 5, right side [C, k]
    ablation: np.ndarray  # Eq. 5, left side, exact [C, k]
    without: np.ndarray  # y with all active units at 0: of error and biases alone [C]
    bias: np.ndarray  # y with the error left out, too: of the offset b alone [C]


class Standing(NamedTuple):
    """Where an image stands before the rest of the model, and how its units move it there."""

    seen: Seen  # x float32 [d]; at a site with patches all of them in one row, [P d]
    directions: np.ndarray  # what one of each active unit adds to x, in their order [k, d]
    offset: np.ndarray  # b of x = aV + b + error [d]
    rest: Rest

    def without(self, units: np.ndarray) -> np.ndarray:
        """x float64 [d] with the activations of `units` int64 [q] at 0; the error stays as it was."""
        gone = np.isin(self.seen.component, units)
        lost = self.seen.activation[gone].astype(np.float64) @ self.directions[gone]
        moved: np.ndarray = self.seen.x.astype(np.float64) - lost
        return moved


def relevances(
    seen: Seen, directions: np.ndarray, offset: np.ndarray, rest: Rest, text: np.ndarray
) -> Relevances:
    """Relevance of the active units of an image for prompts `text` [C, p]; the rest as in `Standing`."""
    t = _units(np.atleast_2d(text))
    x, k = seen.x.astype(np.float64), len(seen.component)
    parts = seen.activation.astype(np.float64)[:, None] * directions.astype(np.float64)
    points = np.concatenate([x[None], x - parts, [x - parts.sum(0)], [offset.astype(np.float64)]])
    found = _outputs(points, rest, t)
    y = found[:, 0]
    gradient = rest.slopes(x, t) @ parts.T
    return Relevances(y, gradient, y[:, None] - found[:, 1 : k + 1], found[:, k + 1], found[:, k + 2])


def cosines(x: np.ndarray, rest: Rest, text: np.ndarray) -> np.ndarray:
    """y (Eq. 4) of one site vector [d] and text vectors [C, p] of any length, float64 [C]."""
    return _outputs(x[None].astype(np.float64), rest, _units(text))[:, 0]


def _units(text: np.ndarray) -> np.ndarray:
    wide = text.astype(np.float64)
    found: np.ndarray = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return found


def _outputs(x: np.ndarray, rest: Rest, text: np.ndarray) -> np.ndarray:
    """y (Eq. 4) of site vectors [n, d] and unit text vectors [C, p], float64 [C, n]; 0 where z is 0."""
    z = rest.embed(x).astype(np.float64)
    length = np.linalg.norm(z, axis=1)
    found: np.ndarray = text @ (z / np.where(length > 0, length, 1)[:, None]).T
    return found


def slopes(x: np.ndarray, head: Head, text: np.ndarray) -> np.ndarray:
    """dy/dx [C, d] at one site vector x [d], of unit text vectors [C, p]: cosine, projection, LayerNorm."""
    z = project(x[None], head)[0]
    length = float(np.linalg.norm(z)) or 1.0
    unit = z / length
    back: np.ndarray = (text - (text @ unit)[:, None] * unit) / length @ head.proj.T.astype(np.float64)
    if not head.normed:
        return back
    centred = x - x.mean()
    scale = np.sqrt(np.mean(centred**2) + head.eps)
    back, normal = back * head.ln_weight, centred / scale
    back = back - back.mean(1, keepdims=True) - (back @ normal)[:, None] / len(x) * normal
    found: np.ndarray = back / scale
    return found
