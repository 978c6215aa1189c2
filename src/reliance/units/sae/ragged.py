"""A training step of SAEs whose images have as many active latents as it happens, over the active ones only.

The loss is that of `step`, for one or several nested dictionaries: prefix g holds the latents before m_g, and

    loss = mean_g L(x, xhat_g) + auxiliary        xhat_g = sum of a_j v_j over j < m_g, plus b

with L the direction and scale terms. An active latent j of image n adds to all prefixes that hold it; so with
G_g = dL/dxhat_g / number of prefixes, U_g = sum of G_h over h >= g, and g(j) the first prefix that holds j,

    s_nj = U_g(j),n . v_j   dV_j = sum_n a_nj U_g(j),n   dE_j = sum_n s_nj (x_n - b)   de_j = sum_n s_nj
    db = sum_n U_0,n - sum_j de_j E_j

Entries are pairs (image, latent) sorted by image; `embedding_bag` sums rows over bags of them, as in `step`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from reliance.units.sae.sparse import Parameters, Thresholded, preactivations, top_k
from reliance.units.sae.step import Loss, Objective, Step

_TINY = 1e-12  # floor of a length


class Active(NamedTuple):
    """The active latents of n images, by image in ascending order."""

    row: Tensor  # int64 [e]
    latent: Tensor  # int64 [e]
    value: Tensor  # [e], positive


Select = Callable[[Tensor, Objective], Active]  # from pre-activations [n, m]


class Passed(NamedTuple):
    """What a step leaves for terms of the loss that only its kind has."""

    upstream: Tensor  # dloss/dxhat [n, d]
    active: int  # active latents of the batch


@torch.no_grad()
def ragged_step(
    parameters: Parameters | Thresholded,
    x: Tensor,
    objective: Objective,
    dead: Tensor | None,
    buffer: Tensor | None,
    select: Select,
    prefixes: Sequence[int] = (),
) -> tuple[Step, Passed]:
    """Loss and gradients of one batch; arguments as those of `step.step`.

    select : which latents are active. prefixes : m_g of nested dictionaries, ascending to m; none: m alone.
    """
    m = len(parameters.encoder_bias)
    pre = preactivations(x, parameters, buffer)
    active = select(pre, objective)
    prefixes = tuple(prefixes) or (m,)
    group = _groups(active.latent, prefixes)
    upstream, residual, direction, scale = _through(parameters, x, active, group, objective, prefixes)
    auxiliary = torch.zeros_like(direction)
    rows, latents, values = active.row + group * len(x), active.latent, active.value
    own = upstream.flatten(0, 1)
    if dead is not None and len(dead) and objective.aux_weight > 0:
        extra, slope, auxiliary = _auxiliary(parameters, residual, pre, dead, objective)
        rows = torch.cat([rows, extra.row + len(own)])
        latents, values = torch.cat([latents, extra.latent]), torch.cat([values, extra.value])
        own = torch.cat([own, slope])
    gradients, radial = _gradients(parameters, x, own, upstream[0], rows, latents, values)
    fired = torch.zeros(m, dtype=torch.bool, device=x.device)
    fired[active.latent] = True
    loss = Loss(direction + scale + auxiliary, direction, scale, auxiliary)
    found = Step(loss, gradients, radial, fired, residual.square().sum(1).mean())
    return found, Passed(upstream[0], len(active.row))


def among_all(pre: Tensor, objective: Objective) -> Active:
    """Batch top-k: the n k largest positive entries of pre-activations [n, m], of equal ones any.

    They lie in the n k groups of entries with the largest maxima, so that most entries are seen once.
    """
    n, m = pre.shape
    count = min(n * objective.k, n * m)
    size = max(1, min(16, m // max(objective.k, 1)))
    while m % size:  # groups of one row are of one size
        size -= 1
    groups = m // size
    parts = pre.view(n, size, groups)
    if size > 1:
        strongest = parts.amax(1).view(-1).topk(count, sorted=False).indices
        row, column = strongest // groups, strongest % groups
        among = parts[row, :, column].reshape(-1)
    else:
        among = pre.reshape(-1)
    found = among.topk(count, sorted=False)
    place = found.indices
    if size > 1:
        chosen = place // size
        place = row[chosen] * m + place % size * groups + column[chosen]
    positive = found.values > 0
    place, order = place[positive].sort()
    values = found.values[positive][order]
    return Active(place // m, place % m, values.to(torch.float32 if pre.dtype.itemsize == 2 else pre.dtype))


def _groups(latent: Tensor, prefixes: Sequence[int]) -> Tensor:
    """g(j): the first prefix that holds each latent."""
    if len(prefixes) == 1:
        return torch.zeros_like(latent)
    return torch.bucketize(latent, torch.tensor(prefixes, device=latent.device), right=True)


def _through(
    parameters: Parameters | Thresholded,
    x: Tensor,
    active: Active,
    group: Tensor,
    objective: Objective,
    prefixes: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(U [g, n, d], x - xhat of the whole dictionary, direction, scale)."""
    n, g = len(x), len(prefixes)
    bag = active.row * g + group  # by image, then by prefix
    order = bag.argsort(stable=True) if g > 1 else slice(None)
    starts = torch.searchsorted(bag[order].contiguous(), torch.arange(n * g, device=x.device))
    latent, value = active.latent[order], active.value[order]
    added = embedding_bag(latent, parameters.decoder_weight, starts, per_sample_weights=value, mode="sum")
    xhat = added.view(n, g, -1).cumsum(1) + parameters.bias
    target = normalize(x, eps=_TINY)[:, None]
    length = xhat.norm(dim=2, keepdim=True).clamp(min=_TINY)
    unit = xhat / length
    direction = (target - unit).square().sum(2).mean()
    error = x[:, None] - xhat
    weight = objective.scale_weight / objective.power
    scale = error.square().sum(2).mean() * weight
    inward = (target * unit).sum(2, keepdim=True) * unit - target
    slope = (inward / length - weight * error) * (2 / (n * g))
    upstream = slope.flip(1).cumsum(1).flip(1).transpose(0, 1).contiguous()
    return upstream, error[:, -1], direction, scale


def _auxiliary(
    parameters: Parameters | Thresholded, residual: Tensor, pre: Tensor, dead: Tensor, objective: Objective
) -> tuple[Active, Tensor, Tensor]:
    """The strongest dead latents, dloss/drhat [n, d], and the weighted loss."""
    found = top_k(pre[:, dead], min(objective.aux_k, len(dead)))
    on = found.values > 0
    row = torch.arange(len(pre), device=pre.device)[:, None].expand_as(on)[on]
    values = found.values[on].to(residual.dtype)
    extra = Active(row, dead[found.indices[on]], values)
    starts = torch.searchsorted(row, torch.arange(len(pre), device=pre.device))
    output = embedding_bag(
        extra.latent, parameters.decoder_weight, starts, per_sample_weights=values, mode="sum"
    )
    rest, size = output - residual, residual.square().sum().clamp(min=_TINY)
    return extra, rest * (2 * objective.aux_weight / size), objective.aux_weight * rest.square().sum() / size


def _gradients(
    parameters: Parameters | Thresholded,
    x: Tensor,
    upstream: Tensor,
    whole: Tensor,
    rows: Tensor,
    latents: Tensor,
    values: Tensor,
) -> tuple[Parameters, Tensor]:
    """Gradients and v_j . dV_j from entries: `rows` of `upstream`, whose bias gets that of `whole`."""
    m, n = len(parameters.encoder_bias), len(x)
    latent, order = latents.sort(stable=True)
    rows, values = rows[order], values[order]
    slopes = row_products(upstream, parameters.decoder_weight, rows, latent)
    starts = torch.searchsorted(latent, torch.arange(m, device=x.device))

    def per_latent(matrix: Tensor, of: Tensor, weights: Tensor | None) -> Tensor:
        return embedding_bag(of, matrix, starts, per_sample_weights=weights, mode="sum")

    decoder = per_latent(upstream, rows, values)
    encoder = per_latent(x - parameters.bias, rows % n, slopes)
    pairs = torch.stack([slopes, values * slopes], 1)
    sums = per_latent(pairs, torch.arange(len(pairs), device=x.device), None)
    bias = whole.sum(0) - sums[:, 0] @ parameters.encoder_weight
    return Parameters(encoder, sums[:, 0].contiguous(), decoder, bias), sums[:, 1].contiguous()


def row_products(left: Tensor, right: Tensor, rows: Tensor, others: Tensor) -> Tensor:
    """left[rows] . right[others] for each entry [e], without the rows themselves in memory.

    The gradient of a weighted sum of rows of `right` by its weights, one bag per entry's row of `left`.
    """
    order = rows.argsort(stable=True)
    starts = torch.searchsorted(rows[order], torch.arange(len(left), device=left.device))
    with torch.enable_grad():
        weights = torch.zeros(len(rows), dtype=right.dtype, device=right.device, requires_grad=True)
        summed = embedding_bag(others[order], right, starts, per_sample_weights=weights, mode="sum")
        (found,) = torch.autograd.grad(summed, weights, left)
    back = torch.empty_like(found)
    back[order] = found
    return back
