"""Stage `basis_table`: other components of class tokens, named as an SAE's latents are.

Neurons and principal axes, and two controls that have learned nothing: random directions, and an SAE of the
same size before its training.
"""

from pathlib import Path

import numpy as np
import torch

from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.encoders.stored import Embeddings
from reliance.naming.table import COMPONENTS, open_labeller, table_of
from reliance.units.axes import centre_of, open_basis
from reliance.units.protocol import Activations
from reliance.units.sae.files import Sae, check_fits, load_sae
from reliance.units.sae.sparse import on_device
from reliance.units.sae.threshold import active_counts
from reliance.units.untrained import Untrained

UNTRAINED = "untrained"
_COUNTED, _AT_ONCE = 4096, 256  # images that active latents are counted on, and so many at a time


def basis_table(
    *,
    embeddings: Path,
    labels: Path,
    vocabulary: Path,
    components: Path,
    basis: str,
    sae: Path | None = None,
    top_n: int = 20,
    min_active: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write statistics, clarity and name of every component of a basis of class tokens, as COMPONENTS.

    embeddings : class tokens of a split.
    basis : "neurons" | "pca" | "random", fitted to this split, or "untrained", of as many latents as `sae`,
        as many of which fire on an image.
    labels, vocabulary, top_n, min_active : as for `component_table`.
    Raises RelianceError if the inputs do not belong together.
    """
    tokens = Embeddings(embeddings)
    found, ids = _open(tokens, basis, sae, block_rows)
    labeller = open_labeller(found, labels, vocabulary)
    frame = table_of(found, labeller, None, top_n, min_active, block_rows)
    params = {"basis": basis, "top_n": top_n, "min_active": min_active}
    write_table(components, frame, COMPONENTS, params, {"embeddings": tokens.stamp.id, **ids, **labeller.ids})


def _open(
    tokens: Embeddings, basis: str, sae: Path | None, block_rows: int
) -> tuple[Activations, dict[str, str]]:
    """The activations of a basis, and the ids of what they follow beside the class tokens."""
    if basis != UNTRAINED:
        return open_basis(tokens, basis, block_rows), {}
    if sae is None:
        raise RelianceError(
            tokens.path,
            "an untrained SAE has as many latents as the trained one",
            found="no SAE",
            allowed="the SAE of the variant",
            next_step="give the input `sae`",
        )
    trained, stamp = load_sae(sae)
    check_fits(sae, trained, stamp, tokens)
    k = _active(trained, tokens)
    return Untrained(tokens, centre_of(tokens, block_rows), trained.m, k), {"sae": stamp.id}


def _active(sae: Sae, tokens: Embeddings) -> int:
    """Latents of the trained SAE that fire on an image: k of top-k; the mean where there are thresholds.

    What a code of these has room for is about four times that.
    """
    if sae.threshold is None:
        return sae.k
    chosen = np.unique(np.linspace(0, tokens.rows - 1, min(_COUNTED, tokens.rows)).astype(np.int64))
    x, valid = tokens.take("x", chosen), tokens.take("valid", chosen)
    rows, parameters = torch.from_numpy(x[valid].astype(np.float32)), on_device(sae.arrays, "cpu")
    if sae.input_norm is not None:
        scale, shift = sae.input_norm.statistics(rows)
        rows = (rows - shift) / scale
    counts = [active_counts(block, parameters).clamp(max=sae.k) for block in torch.split(rows, _AT_ONCE)]
    return max(1, round(torch.cat(counts).double().mean().item()))
