"""From an SAE as others have it to ours: a = f((x - b) E^T + e), xhat = a V + b with unit rows of V.

Given  a = f(y U^T + c),  y = x - b_pre,  xhat = a W + b  with any rows of W:

* E^T = U^T and e = c + (b - b_pre) U^T, so that one b serves both;
* v_j = w_j / |w_j|, and row j of U, c and theta times |w_j|: a_j is then |w_j| times what it was, and a_j v_j
  the same. That holds if f takes each pre-activation alone. Top-k compares them: there it holds if all |w_j|
  are the same, or if they are compared as multiplied already (`by_length`). Else the SAE is refused.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.errors import RelianceError
from reliance.units.sae.files import Sae
from reliance.units.sae.input_norm import InputNorm

TOP_K, SIGNED, JUMP = "topk", "signed_topk", "jumprelu"
_SAME_LENGTH = 1e-3  # lengths of rows that differ by less, relatively, are rounding


class Foreign(NamedTuple):
    """An SAE as its file has it; float32 arrays."""

    encoder: np.ndarray  # U [m, d]
    encoder_bias: np.ndarray  # c [m]
    decoder: np.ndarray  # W [m, d]
    bias: np.ndarray  # b [d]
    activation: str  # TOP_K | SIGNED | JUMP
    before: np.ndarray | None = None  # b_pre [d]; None: 0
    k: int | None = None  # of top-k
    threshold: np.ndarray | None = None  # theta [m] of JUMP; None: 0, which is ReLU
    by_length: bool = False  # whether top-k compares pre-activations times |w_j|
    input_norm: InputNorm | None = None
    model: str = ""  # what the file says of the model, and of where in it x was read
    site: str = ""
    weights: str = ""  # id of the encoder's weights, if the file was exported here
    notes: tuple[str, ...] = ()  # what is to be known of how it was read


class RefusedError(ValueError):
    """An SAE that our form cannot hold: why, and what to do."""

    def __init__(self, why: str, step: str = "train one here, or import another") -> None:
        super().__init__(why)
        self.step = step


def canonical(foreign: Foreign, width: int) -> Sae:
    """The SAE in our form; codes of kinds without k are `width` wide. Raises RefusedError."""
    m, d = foreign.encoder.shape
    shapes = {"encoder bias": foreign.encoder_bias.shape, "decoder": foreign.decoder.shape}
    if shapes != {"encoder bias": (m,), "decoder": (m, d)} or foreign.bias.shape != (d,):
        found = f"encoder {(m, d)}, {shapes}, bias {foreign.bias.shape}"
        raise RefusedError(f"its arrays do not agree in m and d: {found}")
    encoder, decoder = (a.astype(np.float64) for a in (foreign.encoder, foreign.decoder))
    lengths = np.linalg.norm(decoder, axis=1)
    own = foreign.encoder_bias.astype(np.float64)
    if not (lengths > 0).all():
        encoder[lengths == 0] = own[lengths == 0] = 0  # it adds nothing, and so never fires
        decoder[lengths == 0] = np.eye(1, d)
        _only_alone(foreign, "a row of its decoder is zero")
    lengths[lengths == 0] = 1
    if not foreign.by_length and lengths.max() > lengths.min() * (1 + _SAME_LENGTH):
        _only_alone(
            foreign, f"rows of its decoder have lengths from {lengths.min():.3g} to {lengths.max():.3g}"
        )
    before = np.zeros(d) if foreign.before is None else foreign.before.astype(np.float64)
    bias = foreign.bias.astype(np.float64)
    own = own + encoder @ (bias - before)
    theta = np.zeros(m) if foreign.threshold is None else np.broadcast_to(foreign.threshold, m)
    return Sae(
        (encoder * lengths[:, None]).astype(np.float32),
        (own * lengths).astype(np.float32),
        (decoder / lengths[:, None]).astype(np.float32),
        foreign.bias.astype(np.float32),
        k=_k(foreign, m) if foreign.activation != JUMP else min(width, m),
        activation=foreign.activation,
        threshold=np.maximum(theta * lengths, 0).astype(np.float32) if foreign.activation == JUMP else None,
        input_norm=foreign.input_norm,
    )


def _only_alone(foreign: Foreign, what: str) -> None:
    """Refuse what only holds where each pre-activation is taken alone."""
    if foreign.activation != JUMP:
        raise RefusedError(
            f"{what}, and top-k compares pre-activations as they are: with unit rows it would choose others",
            "fold the lengths into the encoder if it was trained so, and import it again",
        )


def _k(foreign: Foreign, m: int) -> int:
    if foreign.k is None:
        raise RefusedError("the file does not say k", "write k: into the section sae, beside import")
    if not 1 <= foreign.k <= m:
        raise RefusedError(f"k = {foreign.k}, of {m} latents")
    return foreign.k


def refusal(path: Path, name: str, error: RefusedError) -> RelianceError:
    """What a user is told of a refused SAE."""
    return RelianceError(
        path,
        f"an SAE in the format {name} is one that a = f((x - b) E^T + e), xhat = a V + b can hold",
        found=error,
        allowed="a linear encoder and decoder; top-k, batch top-k, JumpReLU, gated or ReLU",
        next_step=error.step,
    )
