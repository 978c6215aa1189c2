import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.units.sae.apply import Applied
from reliance.units.sae.quality import measure_quality
from reliance.units.sae.sparse import Code, Parameters, decode, fast_top_k, preactivations, top_k
from reliance.units.sae.top_k import ENCODER, encode

from .examples import random_sae


def brute_top_k(row: np.ndarray, k: int, signed: bool) -> tuple[list[float], list[int]]:
    order = sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]
    kept = [(float(row[j]), j) for j in order if row[j] != 0 and (signed or row[j] > 0)]
    values, indices = [v for v, _ in kept], [j for _, j in kept]
    if signed:  # a zero among the k largest keeps its place, without an index
        values = [float(row[j]) for j in order]
        indices = [j if row[j] != 0 else 0 for j in order]
    return values + [0.0] * (k - len(values)), indices + [0] * (k - len(indices))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6), st.booleans())
def test_top_k_is_the_sorted_row_with_low_indices_first(m: int, k: int, seed: int, signed: bool) -> None:
    k = min(k, m)
    pre = np.random.default_rng(seed).integers(-3, 4, (3, m)).astype(np.float32)  # full of ties
    code = top_k(torch.from_numpy(pre), k, signed)
    for row, values, indices in zip(pre, code.values.tolist(), code.indices.tolist(), strict=True):
        assert (values, indices) == brute_top_k(row, k, signed)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([1, 3, 8, 40, 48, 64, 97, 160, 320]), st.integers(1, 12), st.integers(0, 10**6))
def test_fast_top_k_finds_the_same_values(m: int, k: int, seed: int) -> None:
    """And where they are: equal ones are many in half precision, so that places may differ."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([1.0, 1e-3, 1e4])
    pre = torch.from_numpy(scale * rng.normal(rng.choice([-2.0, 0.0]), 1, (3, m)).round(1)).bfloat16()
    found, exact = fast_top_k(pre, k, torch.float32), top_k(pre.float(), min(k, m))
    assert torch.equal(found.values, exact.values)
    on = found.values > 0
    assert torch.equal(pre.float().gather(1, found.indices)[on], found.values[on])
    assert all(len(set(row[o].tolist())) == o.sum() for row, o in zip(found.indices, on, strict=True))
    assert not found.indices[~on].any()


def test_fewer_than_k_positive_preactivations_are_filled_up_with_zeros() -> None:
    code = top_k(torch.tensor([[-1.0, 0.5, -0.2, 2.0]]), 3)
    assert code.values.tolist() == [[2.0, 0.5, 0.0]]
    assert code.indices.tolist() == [[3, 1, 0]]


def test_signed_top_k_keeps_negative_values() -> None:
    code = top_k(torch.tensor([[-1.0, -3.0, -2.0]]), 2, signed=True)
    assert code.values.tolist() == [[-1.0, -2.0]]
    assert code.indices.tolist() == [[0, 2]]


def test_equal_latents_are_chosen_by_index(device: str) -> None:
    x = torch.randn(4, 6, generator=torch.manual_seed(0))
    row = torch.randn(1, 6)
    same = Parameters(row.expand(9, 6), torch.full((9,), 50.0), row.expand(9, 6), torch.zeros(6))
    same = Parameters(*(t.to(device) for t in same))
    assert encode(x.to(device), same, 3).indices.tolist() == [[0, 1, 2]] * 4


def test_encode_and_decode_are_the_equations(device: str) -> None:
    sae = random_sae(30, 8, 4)
    p = Parameters(*(torch.from_numpy(a).to(device) for a in sae.arrays.values()))
    x = torch.randn(7, 8, generator=torch.manual_seed(1)).to(device)
    code = encode(x, p, sae.k)
    dense = torch.zeros(7, 30, device=device).scatter_(1, code.indices, code.values)
    pre = (x - p.bias) @ p.encoder_weight.T + p.encoder_bias
    kept = torch.where(pre >= pre.topk(4).values[:, -1:], pre, 0).relu()
    torch.testing.assert_close(dense, kept)
    torch.testing.assert_close(decode(code, p), kept @ p.decoder_weight + p.bias)


def test_a_buffer_changes_nothing() -> None:
    sae = random_sae(30, 8, 4)
    p = Parameters(*(torch.from_numpy(a) for a in sae.arrays.values()))
    x = torch.randn(7, 8)
    buffer = torch.full((7, 30), torch.nan)
    torch.testing.assert_close(preactivations(x, p, buffer), preactivations(x, p), rtol=0, atol=0)
    assert not buffer.isnan().any()


def test_padding_adds_nothing() -> None:
    sae = random_sae(5, 3, 2)
    p = Parameters(*(torch.from_numpy(a) for a in sae.arrays.values()))
    nothing = Code(torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.int64))
    assert torch.equal(decode(nothing, p)[0], p.bias)


def test_quality_is_that_of_all_rows_together() -> None:
    sae = random_sae(20, 6, 3)
    p = Parameters(*(torch.from_numpy(a) for a in sae.arrays.values()))
    x = np.random.default_rng(2).standard_normal((50, 6)).astype(np.float32) + 3
    code = encode(torch.from_numpy(x), p, 3)
    xhat = decode(code, p).numpy().astype(np.float64)
    lengths, found = np.linalg.norm(x, axis=1), np.linalg.norm(xhat, axis=1)
    expected = {
        "explained_variance": 1 - ((x - xhat) ** 2).sum() / ((x - x.mean(0)) ** 2).sum(),
        "cosine": ((x * xhat).sum(1) / lengths / found).mean(),
        "scale_ratio": (found / lengths).mean(),
        "l0": (code.values > 0).sum().item() / 50,
        "n": 50,
    }
    measured = measure_quality(Applied(ENCODER, p, 3), [torch.from_numpy(x[:7]), torch.from_numpy(x[7:])])
    assert measured == pytest.approx(expected, rel=1e-5)


def test_quality_needs_rows_that_differ() -> None:
    p = Parameters(*(torch.from_numpy(a) for a in random_sae(5, 3, 2).arrays.values()))
    with pytest.raises(ValueError, match="differ"):
        measure_quality(Applied(ENCODER, p, 2), [])
    with pytest.raises(ValueError, match="differ"):
        measure_quality(Applied(ENCODER, p, 2), [torch.ones(1, 3)])
