"""An SAE that has learned nothing, as a control: random unit directions around the mean, and the k largest.

It is what training starts from (`sae.train`): what its components stand for and how clear they are is what
a dictionary of this size finds by chance.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from reliance.base.errors import RelianceError
from reliance.base.rows import PartRange, Parts
from reliance.encoders.stored import Embeddings
from reliance.units.axes import Centre, centre_of
from reliance.units.protocol import Entries, entries_of
from reliance.units.sae.files import Sae, check_fits, load_sae
from reliance.units.sae.sparse import Parameters, on_device, random_rows
from reliance.units.sae.threshold import active_counts
from reliance.units.sae.top_k import ENCODER

_ENTRIES = 1 << 25  # pre-activations held at a time
_COUNTED, _AT_ONCE = 4096, 256  # images that active latents are counted on, and so many at a time


class Untrained:
    """Activations of m random directions, k of them at most per image (`units.protocol.Activations`).

    tokens : x [N, d] and valid [N]; unreadable images have no activations. centre : their mean.
    """

    def __init__(self, tokens: Parts, centre: Centre, m: int, k: int, seed: int = 0) -> None:
        if not 1 <= k <= m:
            raise RelianceError(
                tokens.path,
                "an SAE has 1 <= k <= m",
                found=f"k = {k}, m = {m}",
                allowed=f"k from 1 to {m}",
                next_step="the SAE that it is held against has other numbers: make it again",
            )
        self.path, self.rows, self.stamp, self.readable = (
            tokens.path,
            tokens.rows,
            tokens.stamp,
            centre.readable,
        )
        rows = torch.from_numpy(random_rows(m, len(centre.mean), seed))
        bias = torch.from_numpy(centre.mean.astype(np.float32))
        self._tokens, self._k, self._parameters = tokens, k, Parameters(rows, torch.zeros(m), rows, bias)

    @property
    def m(self) -> int:
        """Number of components."""
        return len(self._parameters.encoder_bias)

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Ranges that cover the split, of at most `block_rows` rows and few enough pre-activations."""
        return self._tokens.blocks(min(block_rows, max(1, _ENTRIES // self.m)))

    def entries(self, start: int, stop: int) -> Entries:
        """The non-zero activations of rows [start, stop), values float32."""
        x = torch.from_numpy(self._tokens.read("x", start, stop).astype(np.float32))
        code = ENCODER.encode(x, self._parameters, self._k)
        values = code.values.numpy() * self._tokens.read("valid", start, stop)[:, None]
        return entries_of(values, code.indices.numpy(), start)


def open_untrained(tokens: Embeddings, sae: Path | None, block_rows: int) -> tuple[Untrained, dict[str, str]]:
    """An untrained SAE of as many latents as `sae`, as many of which fire on an image; and the id of `sae`.

    Raises RelianceError without an SAE, or if it belongs to other embeddings.
    """
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
