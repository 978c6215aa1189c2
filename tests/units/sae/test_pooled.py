"""Codes of patches, pooled: against loops over images, patches and latents."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.units.sae import batch_top_k, top_k
from reliance.units.sae.apply import Applied
from reliance.units.sae.pooled import on_patches, pooled
from reliance.units.sae.sparse import Parameters, Thresholded, random_rows

M, D, K = 30, 8, 3


def sae_of(kind: str = "top_k") -> Applied:
    rows = torch.from_numpy(random_rows(M, D, 1))
    parameters = Parameters(rows, torch.full((M,), 0.1), rows, torch.full((D,), 0.2))
    if kind == "top_k":
        return Applied(top_k.ENCODER, parameters, K)
    return Applied(batch_top_k.ENCODER, Thresholded(*parameters, torch.full((M,), 0.9)), 2 * K)


def patches_of(n: int, count: int, seed: int) -> torch.Tensor:
    found = torch.randn(n, count, D, generator=torch.Generator().manual_seed(seed))
    found[:, count // 2] = found[:, 0]  # equals: the first of them is the place
    return found


def dense(patches: torch.Tensor, sae: Applied) -> np.ndarray:
    """Activations [P, m] of the patches of one image, one patch at a time."""
    out = np.zeros((len(patches), M), np.float32)
    for p, patch in enumerate(patches):
        code = sae.encode(patch[None])
        for value, index in zip(code.values[0].tolist(), code.indices[0].tolist(), strict=True):
            if value > 0:
                out[p, index] = value
    return out


@pytest.mark.parametrize("kind", ["top_k", "batch_top_k"])
@given(st.integers(1, 4), st.integers(2, 7), st.integers(1, M + 3), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_pooled_codes_are_those_of_a_loop(kind: str, n: int, count: int, width: int, seed: int) -> None:
    patches, sae = patches_of(n, count, seed), sae_of(kind)
    for pooling in ("max", "mean"):
        found = pooled(patches, sae, width, pooling)
        assert found.values.shape[1] == min(width, M)
        for i in range(n):
            activations = dense(patches[i], sae)
            whole = activations.max(0) if pooling == "max" else activations.sum(0) / np.float32(count)
            order = np.argsort(-whole, kind="stable")[: min(width, M)]
            np.testing.assert_allclose(found.values[i].numpy(), whole[order], rtol=1e-5)
            for value, unit, place in zip(*(part[i].tolist() for part in found), strict=True):
                if value == 0:
                    assert unit == place == 0
                    continue
                np.testing.assert_allclose(whole[unit], value, rtol=1e-5)
                assert place == activations[:, unit].argmax()


def test_activations_on_every_patch() -> None:
    patches, sae = patches_of(3, 5, 0), sae_of()
    wanted = torch.tensor([[0, 5, 9], [1, 2, 3], [29, 28, 0]])
    found = on_patches(patches, sae, wanted)
    for i in range(3):
        np.testing.assert_allclose(found[i].numpy(), dense(patches[i], sae)[:, wanted[i].numpy()], rtol=1e-5)
    assert on_patches(patches[:0], sae, wanted[:0]).shape == (0, 5, 3)
