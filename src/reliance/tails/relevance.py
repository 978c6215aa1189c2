"""Relevance of every active latent in closed form: act x grad and exact leave-one-out (Eq. 5).

Notation of App. B.1: x [d] class token, v_j decoder row, a_j its activation, t unit text vector,
LayerNorm with weight g, bias beta and eps, projection W [d, p]. c(.) subtracts the mean over the
elements, s = sqrt(|c(x)|^2 / d + eps) and b = beta W. With

    u   = (g * c(x)) W + s b           the projected embedding is u / s, so y = u.t / |u|   (Eq. 4)
    B_j = (g * c(v_j)) W               the only direction, beside b, in which a_j moves u

    act x grad:     R_j = a_j / |u| (B_j + s_j b).(t - y u/|u|),   s_j = ds/da_j = v_j.c(x) / (d s)
    leave-one-out:  R_j = y - u'.t / |u'|,   u' = u - a_j B_j + (s' - s) b,   s' = s at x - a_j v_j

"Exact" means given the stored x and a: the reconstruction error stays as it was, and deleting
latent j turns x into x - a_j v_j. Eq. 31 is the first line for beta = 0 and eps = 0.

For a fixed image both lines are linear in three numbers of a prompt, B_j.t, y and b.t, and their
coefficients do not depend on the prompt. So images cost one gather of decoder rows each
(B_j.u = v_j.c(g * (W u)) needs no other table), and every further prompt costs O(k).

A head without LayerNorm (`normed` false: z = x W, as behind the site `embedding`) is the same with c the
identity, g = 1, beta = 0 and s = 1: the projected embedding is linear in x, and s does not move.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch

from reliance.encoders.head import Head

Array = np.ndarray | torch.Tensor


class LatentTables(NamedTuple):
    """What the head makes of every decoder row; independent of images and prompts."""

    weight: torch.Tensor  # g [d]
    projection: torch.Tensor  # W [d, p]
    bias: torch.Tensor  # b = beta W [p]
    eps: float  # of the LayerNorm
    decoder: torch.Tensor  # v [m, d]
    lens: torch.Tensor  # B [m, p]
    spread: torch.Tensor  # |c(v_j)|^2 [m]
    length: torch.Tensor  # |B_j|^2 [m]
    bias_dot: torch.Tensor  # B_j . b [m]
    normed: bool = True  # whether a LayerNorm stands before the projection


class PromptTables(NamedTuple):
    """What C prompts add: the numbers that a relevance is linear in."""

    text: torch.Tensor  # t [C, p], unit rows
    along: torch.Tensor  # B_j . t [C, m]
    bias: torch.Tensor  # b . t [C]


class ImageTerms(NamedTuple):
    """What n images add; independent of prompts. Inactive positions have value 0."""

    values: torch.Tensor  # a [n, k]
    indices: torch.Tensor  # j int64 [n, k]
    unit: torch.Tensor  # u / |u| [n, p]
    length: torch.Tensor  # |u| [n]
    scale: torch.Tensor  # s [n]
    bias_along: torch.Tensor  # b . u / |u| [n]
    shift: torch.Tensor  # v_j . c(x) [n, k]
    toward: torch.Tensor  # B_j . u / |u| [n, k]


class Coefficients(NamedTuple):
    """R_j = along B_j.t + output y + bias b.t, each [n, k]; zero where the latent is inactive."""

    along: torch.Tensor
    output: torch.Tensor
    bias: torch.Tensor


class Attribution(NamedTuple):
    """Relevance of the active latents of n images for one prompt each."""

    y: torch.Tensor  # cos(head(x), t) [n]
    act_x_grad: torch.Tensor  # [n, k]
    ablation: torch.Tensor  # [n, k]


def latent_tables(
    decoder: Array, head: Head, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> LatentTables:
    """Tables of a decoder [m, d] and a head, on a device in a dtype (float32, float64 to check)."""
    v, g, beta, w = (
        torch.as_tensor(a).to(device, dtype) for a in (decoder, head.ln_weight, head.ln_bias, head.proj)
    )
    eps = float(head.eps)
    if not head.normed:  # s^2 = |c(x)|^2 / d + eps is 1 with lengths |c| that are 0
        g, beta, eps = torch.ones_like(g), torch.zeros_like(beta), 1.0
    centred = v - v.mean(1, keepdim=True) if head.normed else v
    lens, bias = (centred * g) @ w, beta @ w
    spread = centred.square().sum(1) if head.normed else v.new_zeros(len(v))
    return LatentTables(g, w, bias, eps, v, lens, spread, lens.square().sum(1), lens @ bias, head.normed)


def centre(tables: LatentTables, x: torch.Tensor) -> torch.Tensor:
    """c(x) [..., d]: x minus its mean over the elements; x itself for a head without LayerNorm."""
    return x - x.mean(-1, keepdim=True) if tables.normed else x


def slopes(
    tables: LatentTables, indices: torch.Tensor, centred: torch.Tensor, projected: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(v_j . c(x), B_j . projected), each [n, k], of c(x) [n, d] and projected vectors [n, p].

    Without LayerNorm s does not depend on x, and the first is 0.
    """
    back = (projected @ tables.projection.T) * tables.weight  # B_j . u = v_j . c(g * (W u))
    if tables.normed:
        shift, toward = row_dots(tables.decoder, indices, [centred, centre(tables, back)])
        return shift, toward
    (toward,) = row_dots(tables.decoder, indices, [back])
    return torch.zeros_like(toward), toward


def prompt_tables(tables: LatentTables, text: Array) -> PromptTables:
    """Tables of text vectors [C, p]; rows are scaled to unit norm, as Eq. 4 does."""
    t = torch.as_tensor(text).to(tables.lens)
    t = t / t.norm(dim=1, keepdim=True)
    return PromptTables(t, t @ tables.lens.T, t @ tables.bias)


def image_terms(tables: LatentTables, x: Array, values: Array, indices: Array) -> ImageTerms:
    """Terms of class tokens x [n, d] and their codes: values [n, k] (0 is inactive), indices [n, k]."""
    x, values = (torch.as_tensor(a).to(tables.lens) for a in (x, values))
    indices = torch.as_tensor(indices).to(tables.lens.device, torch.int64)
    centred = centre(tables, x)
    scale = (centred.square().mean(1) + tables.eps).sqrt() if tables.normed else x.new_ones(len(x))
    u = (centred * tables.weight) @ tables.projection + scale[:, None] * tables.bias
    length = u.norm(dim=1)
    unit = u / length[:, None]
    shift, toward = slopes(tables, indices, centred, unit)
    return ImageTerms(values, indices, unit, length, scale, unit @ tables.bias, shift, toward)


def row_dots(
    rows: torch.Tensor, indices: torch.Tensor, vectors: Iterable[torch.Tensor]
) -> list[torch.Tensor]:
    """Products [n, k] of rows `indices` int64 [n, k] of a matrix [m, d] with each of some vectors [n, d].

    They are the gradient of a weighted sum of rows (torch's embedding_bag) by its weights. Its kernel is
    called by name: it copies no rows, which takes most of the time otherwise, and needs no sum first. It
    reads whatever an index points at, hence the check. Raises IndexError for an index that is no row.
    """
    n, k = indices.shape
    if indices.numel() and not (indices.min() >= 0 and indices.max() < len(rows)):
        raise IndexError(f"rows {indices.min()} to {indices.max()} of a matrix of {len(rows)}")
    flat, image = indices.flatten(), torch.arange(n, device=indices.device)
    places = flat, image * k, image.repeat_interleave(k)  # where an image starts, and whose a row is
    dots = torch.ops.aten._embedding_bag_per_sample_weights_backward
    return [dots(v, rows, *places, 0).view(n, k) for v in vectors]


def act_x_grad(tables: LatentTables, terms: ImageTerms) -> Coefficients:
    """Coefficients of a_j dy/da_j, the right side of Eq. 5."""
    along = terms.values / terms.length[:, None]
    growth = terms.shift / (tables.weight.shape[0] * terms.scale[:, None])
    output = -along * (terms.toward + growth * terms.bias_along[:, None])
    return Coefficients(along, output, along * growth)


def ablation(tables: LatentTables, terms: ImageTerms) -> Coefficients:
    """Coefficients of y - y|a_j=0, the left side of Eq. 5, exact.

    Differences are formed before the roots, so that float32 does not lose small relevances.
    """
    a, j, d = terms.values, terms.indices, tables.weight.shape[0]
    left = 4 * torch.finfo(a.dtype).eps - 1  # a cosine has no direction left where u' or s' would be 0
    s, length = terms.scale[:, None], terms.length[:, None]
    variance = (a * a * tables.spread[j] - 2 * a * terms.shift) / d
    variance = variance.clamp(min=left * s.square())
    change = variance / ((s.square() + variance).sqrt() + s)
    squares = (
        2 * length * (change * terms.bias_along[:, None] - a * terms.toward)
        + a * a * tables.length[j]
        - 2 * a * change * tables.bias_dot[j]
        + change.square() * tables.bias.square().sum()
    )
    squares = squares.clamp(min=left * length.square())
    new = (length.square() + squares).sqrt()
    coefficients = a / new, squares / (new * (new + length)), -change / new
    return Coefficients(*(torch.where(a != 0, c, torch.zeros_like(c)) for c in coefficients))


FORMS = {"act_x_grad": act_x_grad, "ablation": ablation}  # by their names in the configuration


def outputs(terms: ImageTerms, prompts: PromptTables) -> torch.Tensor:
    """y of every image and prompt (Eq. 4) [n, C]."""
    return terms.unit @ prompts.text.T


def pair_relevance(
    coefficients: Coefficients,
    indices: torch.Tensor,
    prompts: PromptTables,
    rows: torch.Tensor,
    classes: torch.Tensor,
    y: torch.Tensor,
) -> torch.Tensor:
    """R [q, k] of q pairs: image `rows` [q], prompt `classes` [q], output `y` [q] of the pair."""
    m = prompts.along.shape[1]
    table = prompts.along.reshape(-1).take(indices[rows] + classes[:, None] * m)
    return (
        coefficients.along[rows] * table
        + coefficients.output[rows] * y[:, None]
        + coefficients.bias[rows] * prompts.bias[classes][:, None]
    )


def attribute(
    x: Array,
    values: Array,
    indices: Array,
    decoder: Array,
    head: Head,
    text: Array,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Attribution:
    """Both relevances of n images for text [p] (one for all) or [n, p] (one each), in one call.

    x [n, d], values and indices [n, k], decoder [m, d]. For many images or prompts build the
    tables once instead.
    """
    tables = latent_tables(decoder, head, device, dtype)
    terms = image_terms(tables, x, values, indices)
    t = torch.as_tensor(text)
    prompts = prompt_tables(tables, t.reshape(-1, t.shape[-1]))
    rows = torch.arange(len(terms.unit), device=terms.unit.device)
    classes = rows if t.ndim == 2 else torch.zeros_like(rows)
    y = (terms.unit * prompts.text[classes]).sum(1)
    gradient, exact = (
        pair_relevance(form(tables, terms), terms.indices, prompts, rows, classes, y)
        for form in (act_x_grad, ablation)
    )
    return Attribution(y, gradient, exact)
