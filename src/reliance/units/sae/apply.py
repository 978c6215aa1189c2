"""An SAE, applied: codes and reconstructions of x, whatever its kind, normalised input or not."""

from typing import NamedTuple

from torch import Tensor

from reliance.units.sae.input_norm import InputNorm
from reliance.units.sae.sparse import Code, Encoder, Parameters, Thresholded, decode


class Applied(NamedTuple):
    """All that codes follow from."""

    encoder: Encoder
    parameters: Parameters | Thresholded
    k: int  # active latents per image, at most
    norm: InputNorm | None = None

    def encode(self, x: Tensor) -> Code:
        """The code of x [n, d]: how much each active latent adds to x."""
        return self._encode(x)[0]

    def reconstruct(self, x: Tensor) -> tuple[Code, Tensor]:
        """The code of x [n, d], and xhat [n, d]."""
        code, scale, shift = self._encode(x)
        xhat = decode(code, self.parameters)
        if scale is not None and shift is not None:
            xhat = xhat + (scale - 1) * self.parameters.bias + shift
        return code, xhat

    def _encode(self, x: Tensor) -> tuple[Code, Tensor | None, Tensor | None]:
        if self.norm is None:
            return self.encoder.encode(x, self.parameters, self.k), None, None
        scale, shift = self.norm.statistics(x)
        code = self.encoder.encode((x - shift) / scale, self.parameters, self.k)
        return Code(code.values * scale, code.indices), scale, shift
