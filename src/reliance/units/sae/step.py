"""One training step of an SAE with a backward pass over the active latents only.

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
image (decoding) or a latent (gradients). The auxiliary term has so many entries that products over all dead
latents take less time, in bfloat16 always, in float32 unless few are dead or few of these are active.
"""

import ctypes
import platform
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from reliance.units.sae.sparse import Code, Parameters, Thresholded, fast_top_k, preactivations, top_k

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # of mallopt(3)
_FEW, _CROWDED = 1024, 8  # dead latents; dead per active one, above which entries cost less than products
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
    gradients: Parameters | Thresholded
    radial: Tensor  # v_j . dV_j [m], the part of dV that unit rows must not follow
    fired: Tensor  # bool [m], latents active in the batch
    error: Tensor  # mean |x - xhat|^2


class _Branch(NamedTuple):
    """A decoded code: the main one or that of the dead latents."""

    code: Code
    output: Tensor  # sum_j a_j v_j [n, d]
    slopes: Tensor  # dloss/da [n, k]
    upstream: Tensor  # dloss/doutput [n, d]


class _Block(NamedTuple):
    """A branch over q latents that is kept dense."""

    latents: Tensor  # int64 [q]
    code: Tensor  # [n, q]
    output: Tensor  # [n, d]
    slopes: Tensor  # [n, q]
    upstream: Tensor  # [n, d]


def keep_memory() -> None:
    """Let this process keep the memory it frees, for good; on Linux with glibc, elsewhere nothing happens.

    Each step frees some tensors of the size of V. To take them from the system anew, page by page, can
    take longer than to compute them.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)


def knows_bf16(listed: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU lists bfloat16 among what it can do; where there is no list, it may."""
    return not listed.exists() or "bf16" in listed.read_text(encoding="utf-8", errors="replace")


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
    bfloat16 the encoder's product is faster on processors that know it, and activations are such numbers; so
    are then all products of the auxiliary term.
    """
    pre = preactivations(x, parameters, buffer)
    main = _main(parameters, x, _select(pre, objective.k, x.dtype), objective)
    residual = x - (main.output + parameters.bias)
    direction, scale = _main_losses(x, residual, objective)
    auxiliary = torch.zeros_like(direction)
    others: list[_Branch | _Block] = []
    if dead is not None and len(dead) and objective.aux_weight > 0:
        dense = pre.dtype != x.dtype or _FEW <= len(dead) < _CROWDED * objective.aux_k
        form = _dense_auxiliary if dense else _auxiliary
        others.append(form(parameters, residual, pre, dead, objective))
        rest = residual - others[0].output
        auxiliary = objective.aux_weight * rest.square().sum() / residual.square().sum().clamp(min=_TINY)
    gradients, radial = _gradients(parameters, x - parameters.bias, main, others)
    fired = torch.zeros(len(parameters.encoder_bias), dtype=torch.bool, device=x.device)
    fired[main.code.indices[main.code.values > 0]] = True
    loss = Loss(direction + scale + auxiliary, direction, scale, auxiliary)
    return Step(loss, gradients, radial, fired, residual.square().sum(1).mean())


@torch.no_grad()
def update(
    parameters: Parameters | Thresholded,
    optimiser: torch.optim.Optimizer,
    found: Step,
    grad_clip: float | None,
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
    weight = _auxiliary_weight(residual, objective)
    return _backward(code, values, output, (output.detach() - residual) * weight)


def _dense_auxiliary(
    parameters: Parameters, residual: Tensor, pre: Tensor, dead: Tensor, objective: Objective
) -> _Block:
    """`_auxiliary` as products over all dead latents, in the dtype of `pre`."""
    among, rows = pre[:, dead], parameters.decoder_weight[dead].to(pre.dtype)
    # Of halves the bits: positive ones are in the order of these integers, and others are left out below.
    ordered = among.view(torch.int16) if among.dtype.itemsize == 2 else among
    chosen = ordered.topk(min(objective.aux_k, len(dead)), sorted=False).indices
    code = torch.zeros_like(among).scatter_(1, chosen, among.gather(1, chosen).clamp_(min=0))
    output = (code @ rows).to(residual.dtype)
    upstream = (output - residual) * _auxiliary_weight(residual, objective)
    slopes = (upstream.to(pre.dtype) @ rows.T).masked_fill_(code == 0, 0)
    return _Block(dead, code, output, slopes, upstream)


def _auxiliary_weight(residual: Tensor, objective: Objective) -> Tensor:
    """What turns rhat - r into dloss/drhat."""
    return 2 * objective.aux_weight / residual.square().sum().clamp(min=_TINY)


def _select(pre: Tensor, k: int, dtype: torch.dtype) -> Code:
    if pre.dtype in (torch.bfloat16, torch.float16):
        return fast_top_k(pre, k, dtype)
    code = top_k(pre, k)
    return Code(code.values.to(dtype), code.indices)


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


def _gradients(
    parameters: Parameters, centred: Tensor, main: _Branch, others: list[_Branch | _Block]
) -> tuple[Parameters, Tensor]:
    """Gradients and v_j . dV_j from all branches."""
    branches = [main, *(b for b in others if isinstance(b, _Branch))]
    encoder, encoder_bias, decoder, radial = sums = _gather(len(parameters.encoder_bias), centred, branches)
    for block in others:
        if isinstance(block, _Block):
            for total, part in zip(sums, _dense_sums(centred, block), strict=True):
                total.index_add_(0, block.latents, part.to(total.dtype))
    bias = main.upstream.sum(0) - encoder_bias @ parameters.encoder_weight
    return Parameters(encoder, encoder_bias, decoder, bias), radial


def _dense_sums(centred: Tensor, block: _Block) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What `_gather` sums, over the latents of a block."""
    dtype = block.code.dtype
    encoder, decoder = block.slopes.T @ centred.to(dtype), block.code.T @ block.upstream.to(dtype)
    wide = torch.float32 if dtype.itemsize == 2 else dtype
    bias = block.slopes.sum(0, dtype=wide)
    return encoder, bias, decoder, (block.code * block.slopes).sum(0, dtype=wide)


def _gather(m: int, centred: Tensor, branches: list[_Branch]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dE, de, dV and v_j . dV_j from the active entries of all branches, sorted by latent."""
    n = len(centred)
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
    return encoder, sums[:, 0].contiguous(), decoder, sums[:, 1].contiguous()
