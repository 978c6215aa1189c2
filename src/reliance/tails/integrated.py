"""Integrated Gradients of every active latent in closed form, and relevances for many prompts at once.

The path of Integrated Gradients leads from x with all activations zero, x - aV, to x; bias and
reconstruction error stay as they are. At a share tau of it the class token is x(tau) = x - (1 - tau) aV,
and the relevance is the mean of act x grad over the midpoints of n equal stretches,

    IG_j = 1/n sum_i a_j dy/da_j at x((i + 1/2) / n),    sum_j IG_j -> y(x) - y(x - aV).

Everything act x grad asks of a point but |c(x)|^2 is linear in x, so both ends of the path give all of
it: n points cost no more decoder rows than two. Notation as in `head`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.nn.functional import embedding_bag

from reliance.tails.relevance import (
    Coefficients,
    ImageTerms,
    LatentTables,
    PromptTables,
    act_x_grad,
    centre,
    slopes,
)

_GATHER = {"cpu": 1 << 21, "cuda": 1 << 27}  # decoder elements per gather: fits a CPU's cache


class Points(NamedTuple):
    """What the head makes of n class tokens x, and how the latents of each image stand to it."""

    projected: torch.Tensor  # (g * c(x)) W [n, p]
    square: torch.Tensor  # |c(x)|^2 [n], 0 for a head without LayerNorm
    shift: torch.Tensor  # v_j . c(x) [n, k]
    toward: torch.Tensor  # B_j . projected [n, k]


class Form(NamedTuple):
    """A relevance up to the prompt: R_j = along B_j.t + sum_q output_q y_q + bias b.t.

    y_q = unit_q . t is the output at point q; relevances that look at one point have Q = 1.
    """

    along: torch.Tensor  # [n, k]
    output: torch.Tensor  # [n, Q, k]
    bias: torch.Tensor  # [n, k]
    unit: torch.Tensor  # [n, Q, p]


class Prompted(NamedTuple):
    """C prompts per image, as the image's latents see them."""

    text: torch.Tensor  # t [n, C, p], unit rows
    along: torch.Tensor  # B_j . t [n, C, k]
    bias: torch.Tensor  # b . t [n, C]


def row_blocks(tables: LatentTables, indices: torch.Tensor) -> Iterator[slice]:
    """Ranges of images whose decoder rows are gathered together; indices [n, k]."""
    size = _GATHER[tables.decoder.device.type]
    step = max(1, size // max(1, indices.shape[1] * tables.decoder.shape[1]))
    for start in range(0, len(indices), step):
        yield slice(start, min(start + step, len(indices)))


def reconstruct(tables: LatentTables, values: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """a V [n, d] of codes: values [n, k], indices int64 [n, k]."""
    return embedding_bag(indices, tables.decoder, per_sample_weights=values, mode="sum")


def locate(tables: LatentTables, x: torch.Tensor, indices: torch.Tensor) -> Points:
    """Points of class tokens x [n, d] with respect to latents `indices` int64 [n, k]."""
    centred = centre(tables, x)
    projected = (centred * tables.weight) @ tables.projection
    square = centred.square().sum(1) if tables.normed else x.new_zeros(len(x))
    return Points(projected, square, *slopes(tables, indices, centred, projected))


def terms_at(tables: LatentTables, points: Points, values: torch.Tensor, indices: torch.Tensor) -> ImageTerms:
    """The terms that `head` takes, of points and codes: values and indices [n, k].

    Where the projected embedding is 0 it has no direction: its unit vector, hence y, is 0 there.
    """
    scale = (points.square / tables.weight.shape[0] + tables.eps).sqrt()
    u = points.projected + scale[:, None] * tables.bias
    length = u.norm(dim=1)
    length = torch.where(length > 0, length, torch.inf)
    unit = u / length[:, None]
    toward = (points.toward + scale[:, None] * tables.bias_dot[indices]) / length[:, None]
    return ImageTerms(values, indices, unit, length, scale, unit @ tables.bias, points.shift, toward)


def at_point(coefficients: Coefficients, terms: ImageTerms) -> Form:
    """The form of a relevance that looks at one point; 0 where the output has no direction."""
    along, output, bias = (torch.nan_to_num(c, 0.0, 0.0, 0.0) for c in coefficients)
    return Form(along, output[:, None], bias, terms.unit[:, None])


def integrated_gradients(
    tables: LatentTables,
    start: Points,
    end: Points,
    values: torch.Tensor,
    indices: torch.Tensor,
    steps: int,
) -> Form:
    """The form of Integrated Gradients by the midpoint rule.

    Parameters
    ----------
    start, end : the points of x - aV and x, located with respect to `indices`.
    values, indices : the codes [n, k]; 0 is inactive.
    steps : number of points Q on the path.
    """
    n, k = values.shape
    tau = (torch.arange(steps, dtype=values.dtype, device=values.device) + 0.5) / steps
    between = [
        torch.lerp(a[:, None], b[:, None], tau[:, None]).flatten(0, 1)
        for a, b in ((start.projected, end.projected), (start.shift, end.shift), (start.toward, end.toward))
    ]
    cross = (values * start.shift).sum(1, keepdim=True)
    length = (values * (end.shift - start.shift)).sum(1, keepdim=True)  # |c(aV)|^2
    square = start.square[:, None] + 2 * tau * cross + tau.square() * length
    points = Points(between[0], square.clamp(min=0).flatten(), between[1], between[2])
    repeated = [a.repeat_interleave(steps, 0) for a in (values, indices)]
    terms = terms_at(tables, points, repeated[0], repeated[1])
    form = at_point(act_x_grad(tables, terms), terms)
    along, output, bias = (c.view(n, steps, k) / steps for c in (form.along, form.output, form.bias))
    return Form(along.sum(1), output, bias.sum(1), form.unit.view(n, steps, -1))


def see_prompts(prompts: PromptTables, rows: torch.Tensor, indices: torch.Tensor) -> Prompted:
    """The prompts `rows` int64 [n, C] of images with latents `indices` int64 [n, k]."""
    along = prompts.along[rows[:, :, None], indices[:, None, :]]
    return Prompted(prompts.text[rows], along, prompts.bias[rows])


def relevance(form: Form, prompted: Prompted) -> torch.Tensor:
    """R [n, C, k] of the latents of n images for C prompts each."""
    y = torch.bmm(prompted.text, form.unit.transpose(1, 2))
    return (
        form.along[:, None] * prompted.along + y @ form.output + form.bias[:, None] * prompted.bias[..., None]
    )
