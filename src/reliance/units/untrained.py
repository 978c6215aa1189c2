"""An SAE that has learned nothing, as a control: random unit directions around the mean, and the k largest.

It is what training starts from (`sae.train`): what its components stand for and how clear they are is what
a dictionary of this size finds by chance.
"""

from collections.abc import Iterator

import numpy as np
import torch

from reliance.base.errors import RelianceError
from reliance.base.rows import PartRange, Parts
from reliance.units.axes import Centre
from reliance.units.protocol import Entries, entries_of
from reliance.units.sae.sparse import Parameters, random_rows
from reliance.units.sae.top_k import ENCODER

_ENTRIES = 1 << 25  # pre-activations held at a time


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
