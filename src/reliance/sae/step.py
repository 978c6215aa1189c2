"""One training step of the top-k SAE with a backward pass over the active latents only.

Loss of a batch x [n, d] with reconstruction xhat:

    direction   mean_n | x/|x| - xhat/|xhat| |^2                          (Eq. 10, class token)
    scale       scale_weight  mean_n |x - xhat|^2 / power                 (Eq. 10 leaves |xhat| free)
    auxiliary   aux_weight  mean_n |r - rhat|^2 / mean_n |r|^2            (Gao et al. 2024)

`power` is mean |x|^2 of the data, r = x - xhat is a constant, and rhat = sum_j a_j v_j over the
`aux_k` strongest dead latents. Only the product (x - b) E^T is dense. With G = dloss/dxhat and
s_nj = G_n . v_j on the active latents (0 elsewhere), the gradients are sums over active latents:

    dV_j = sum_n a_nj G_n     dE_j = sum_n s_nj (x_n - b)     de_j = sum_n s_nj
    db   = sum_n G_n - sum_j de_j E_j                         v_j . dV_j = sum_n a_nj s_nj

`embedding_bag` computes each of them: rows of a matrix, weighted and summed per bag, a bag being an
image (decoding) or a latent (gradients).
"""

import ctypes
import platform
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from reliance.sae.model import Code, Parameters, fast_top_k, preactivations, top_k

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # of mallopt(3)
_TINY = 1e-12  # floor of a length, so that a zero vector has no direction instead of none at all


class Objective(NamedTuple):
    """What is minimised, and for how many latents."""

    k: int  # active latents per row
    power: float  # mean |x|^2 of the data
    scale_weight: float
    aux_weight: float
    aux_k: int  # dead latents per row in the auxiliary term


class Loss(NamedTuple):
    """The loss of a batch and its weighted terms, tensors without dimensions."""

    total: Tensor
    direction: Tensor
    scale: Tensor
    auxiliary: Tensor


class Step(NamedTuple):
    """What one batch says about the parameters."""

    loss: Loss
    gradients: Parameters
    radial: Tensor  # v_j . dV_j [m], the part of dV that unit rows must not follow
    fired: Tensor  # bool [m], latents active in the batch
    error: Tensor  # mean |x - xhat|^2


class _Branch(NamedTuple):
    """A decoded code: the main one or that of the dead latents."""

    code: Code
    output: Tensor  # sum_j a_j v_j [n, d]
    slopes: Tensor  # dloss/da [n, k]
    upstream: Tensor  # dloss/doutput [n, d]


def keep_memory() -> None:
    """Let this process keep the memory it frees, for good; on Linux with glibc, elsewhere nothing happens.

    Each step frees some tensors of the size of V. To take them from the system anew, page by page, can
    take longer than to compute them.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)


@torch.no_grad()
def step(
    parameters: Parameters,
    x: Tensor,
    objective: Objective,
    dead: Tensor | None = None,
    buffer: Tensor | None = None,
) -> Step:
    """Loss and gradients of one batch.

    x [n, d] in the dtype of the parameters; `dead` are indices of dead latents, int64 [q], or None;
    `buffer` [n, m] is overwritten and saves the time of allocating it; pre-activations have its dtype. In
    bfloat16 the encoder's product is faster on processors that know it, and activations are such numbers.
    """
    pre = preactivations(x, parameters, buffer)
    code = _select(pre, objective.k, x.dtype)
    branches = [_main(parameters, x, code, objective)]
    residual = x - (branches[0].output + parameters.bias)
    direction, scale = _main_losses(x, residual, objective)
    auxiliary = torch.zeros_like(direction)
    if dead is not None and len(dead) and objective.aux_weight > 0:
        branches.append(_auxiliary(parameters, residual, pre, dead, objective))
        rest = residual - branches[1].output
        auxiliary = objective.aux_weight * rest.square().sum() / residual.square().sum().clamp(min=_TINY)
    gradients, radial = _gather(parameters, x - parameters.bias, branches)
    fired = torch.zeros(len(parameters.encoder_bias), dtype=torch.bool, device=x.device)
    fired[code.indices[code.values > 0]] = True
    loss = Loss(direction + scale + auxiliary, direction, scale, auxiliary)
    return Step(loss, gradients, radial, fired, residual.square().sum(1).mean())


@torch.no_grad()
def update(
    parameters: Parameters, optimiser: torch.optim.Optimizer, found: Step, grad_clip: float | None
) -> None:
    """Follow the gradients of a step; the rows of V keep length one (Eq. 9).

    What would change the length of a row is taken out of its gradient. If the norm of all gradients
    then exceeds `grad_clip`, they are scaled down to it.
    """
    gradients = found.gradients
    gradients.decoder_weight.addcmul_(found.radial[:, None], parameters.decoder_weight, value=-1)
    if grad_clip is not None:
        norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).norm().item()
        if norm > grad_clip:
            for gradient in gradients:
                gradient.mul_(grad_clip / norm)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()
    rows = parameters.decoder_weight
    rows.div_(torch.linalg.vector_norm(rows, dim=1, keepdim=True))


def _main_losses(x: Tensor, residual: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """The direction and scale terms, weighted."""
    target, found = normalize(x, eps=_TINY), normalize(x - residual, eps=_TINY)
    direction = (target - found).square().sum(1).mean()
    scale = residual.square().sum(1).mean() * (objective.scale_weight / objective.power)
    return direction, scale


def _main(parameters: Parameters, x: Tensor, code: Code, objective: Objective) -> _Branch:
    values, output = _decode(code, parameters)
    xhat = output.detach() + parameters.bias
    length = xhat.norm(dim=1, keepdim=True).clamp(min=_TINY)
    target, found = normalize(x, eps=_TINY), xhat / length
    inward = (target * found).sum(1, keepdim=True) * found - target
    upstream = inward * (2 / len(x) / length)
    upstream.add_(xhat - x, alpha=2 * objective.scale_weight / (len(x) * objective.power))
    return _backward(code, values, output, upstream)


def _auxiliary(
    parameters: Parameters, residual: Tensor, pre: Tensor, dead: Tensor, objective: Objective
) -> _Branch:
    """The strongest dead latents, asked to reconstruct what the others leave over."""
    chosen = _select(pre[:, dead], min(objective.aux_k, len(dead)), residual.dtype)
    code = Code(chosen.values, dead[chosen.indices])
    values, output = _decode(code, parameters)
    weight = 2 * objective.aux_weight / residual.square().sum().clamp(min=_TINY)
    return _backward(code, values, output, (output.detach() - residual) * weight)


def _select(pre: Tensor, k: int, dtype: torch.dtype) -> Code:
    return top_k(pre, k) if pre.dtype == dtype else fast_top_k(pre, k, dtype)


def _decode(code: Code, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """(values that a gradient can be asked for, sum_j a_j v_j [n, d])."""
    values = code.values.detach().requires_grad_()
    with torch.enable_grad():
        output = embedding_bag(code.indices, parameters.decoder_weight, per_sample_weights=values, mode="sum")
    return values, output


def _backward(code: Code, values: Tensor, output: Tensor, upstream: Tensor) -> _Branch:
    (slopes,) = torch.autograd.grad(output, values, upstream)
    slopes = slopes.masked_fill(code.values <= 0, 0)  # the ReLU, and the padding
    return _Branch(code, output.detach(), slopes, upstream)


def _gather(parameters: Parameters, centred: Tensor, branches: list[_Branch]) -> tuple[Parameters, Tensor]:
    """Gradients and v_j . dV_j from the active entries of all branches, sorted by latent."""
    m, n = len(parameters.encoder_bias), len(centred)
    latent, order = torch.cat([b.code.indices.flatten() for b in branches]).sort(stable=True)
    rows = torch.cat(
        [
            (i * n + torch.arange(n, device=latent.device)).repeat_interleave(b.code.indices.shape[1])
            for i, b in enumerate(branches)
        ]
    )[order]
    values = torch.cat([b.code.values.flatten() for b in branches])[order]
    slopes = torch.cat([b.slopes.flatten() for b in branches])[order]
    starts = torch.searchsorted(latent, torch.arange(m, device=latent.device))

    def per_latent(matrix: Tensor, rows: Tensor, weights: Tensor | None) -> Tensor:
        return embedding_bag(rows, matrix, starts, per_sample_weights=weights, mode="sum")

    decoder = per_latent(torch.cat([b.upstream for b in branches]), rows, values)
    encoder = per_latent(centred, rows % n, slopes)
    pairs = torch.stack([slopes, values * slopes], 1)
    sums = per_latent(pairs, torch.arange(len(pairs), device=latent.device), None)
    encoder_bias, radial = sums[:, 0].contiguous(), sums[:, 1].contiguous()
    bias = branches[0].upstream.sum(0) - encoder_bias @ parameters.encoder_weight
    return Parameters(encoder, encoder_bias, decoder, bias), radial
