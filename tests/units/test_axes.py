"""Neurons and principal axes as activations, and as units: against the definitions and sklearn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from concepts.examples import write_embeddings
from reliance.base.errors import RelianceError
from reliance.codes.statistics import component_statistics
from reliance.codes.top_samples import strongest
from reliance.encoders.stored import Embeddings
from reliance.units import axes as module
from reliance.units.axes import Basis, Centre, centre_of, covariance, open_basis, principal_axes
from reliance.units.kinds import KINDS, open_units
from reliance.units.protocol import Sources, entries_of

N, D = 70, 6
INDEX = "i" * 64


def tokens(folder: Path, x: np.ndarray, valid: np.ndarray | None = None) -> Embeddings:
    readable = {} if valid is None else {"valid": valid}
    return Embeddings(write_embeddings(folder, "train", INDEX, "w" * 64, x=x, **readable))


def random_tokens(n: int = N, d: int = D, seed: int = 0) -> np.ndarray:
    """Correlated coordinates of different sizes, far from 0."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 5).astype(np.float32)


def halves(signed: np.ndarray) -> np.ndarray:
    """The two ends of every coordinate, as columns [n, 2d]."""
    both = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=2)
    return both.reshape(len(signed), -1)


def dense(basis: Basis, block_rows: int = 1000) -> np.ndarray:
    found = np.zeros((basis.rows, basis.m))
    for start, stop in basis.blocks(block_rows):
        entries = basis.entries(start, stop)
        assert (np.diff(entries.image_id) >= 0).all()
        assert (entries.value > 0).all()
        assert entries.value.dtype == np.float32
        found[entries.image_id, entries.component] = entries.value
    return found


def test_two_neurons_by_hand(tmp_path: Path) -> None:
    found = open_basis(tokens(tmp_path, np.array([[1, 10], [3, 4]], np.float32)), "neurons", 100)
    assert (found.m, found.rows, found.readable) == (4, 2, 2)
    np.testing.assert_array_equal(dense(found), [[0, 1, 3, 0], [1, 0, 0, 3]])


def test_two_axes_by_hand(tmp_path: Path) -> None:
    x = np.array([[3, 3], [-3, -3], [1, -1], [-1, 1]], np.float32) + 7
    found = dense(open_basis(tokens(tmp_path, x), "pca", 100))
    a, b = 3 * np.sqrt(2), np.sqrt(2)
    expected = [[a, 0, 0, 0], [0, a, 0, 0], [0, 0, b, 0], [0, 0, 0, b]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_axes_are_those_of_sklearn(tmp_path: Path) -> None:
    x = random_tokens()
    parts = tokens(tmp_path, x)
    centre = centre_of(parts, 16)
    axes = principal_axes(covariance(parts, centre, 16))
    referee = PCA(svd_solver="full").fit(x.astype(np.float64))
    np.testing.assert_allclose(np.abs((axes * referee.components_).sum(1)), 1, atol=1e-9)
    largest = axes[np.arange(D), np.abs(axes).argmax(1)]
    assert (largest > 0).all()
    sign = np.sign((axes * referee.components_).sum(1))
    projected = referee.transform(x.astype(np.float64)) * sign
    np.testing.assert_allclose(dense(open_basis(parts, "pca", 16)), halves(projected), atol=2e-5)


def test_the_covariance_stands_a_mean_much_larger_than_the_spread(tmp_path: Path) -> None:
    x = (np.random.default_rng(0).standard_normal((200, 3)) * 0.01 + [1000, -500, 0]).astype(np.float32)
    parts = tokens(tmp_path, x)
    found = covariance(parts, centre_of(parts, 32), 32)
    np.testing.assert_allclose(found, np.cov(x.astype(np.float64).T, ddof=0), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("block_rows", [7, 1000])
@pytest.mark.parametrize("n", [N, 12])
def test_statistics_and_top_images_are_those_of_the_definitions(
    tmp_path: Path, n: int, block_rows: int
) -> None:
    x, valid = random_tokens(n), np.arange(n) % 9 != 4
    x[~valid] = 0
    x64 = x.astype(np.float64)
    a = halves((x64 - x64[valid].mean(0)) * valid[:, None])
    basis = open_basis(tokens(tmp_path, x, valid), "neurons", block_rows)
    assert basis.readable == valid.sum()
    top = strongest(basis, 20, block_rows)
    found = component_statistics(basis, top, block_rows)
    np.testing.assert_array_equal(found.n_active, (a > 0).sum(0))
    np.testing.assert_allclose(found.firing_rate, (a > 0).sum(0) / valid.sum())
    np.testing.assert_allclose(found.mean, a.sum(0) / valid.sum(), rtol=1e-5)
    best = -np.sort(-a, axis=0)
    np.testing.assert_allclose(found.max, best[0], rtol=1e-5)
    np.testing.assert_allclose(found.top5_mean, best[:5].mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.top20_mean, best[: min(20, valid.sum())].mean(0), rtol=1e-5)
    for j in range(2 * D):
        images = np.argsort(-a[:, j], kind="stable")[: min(20, (a[:, j] > 0).sum())]
        assert top.image_id[top.component == j].tolist() == images.tolist()


def test_of_equal_coordinates_the_first_image_is_on_top(tmp_path: Path) -> None:
    x = np.array([[1.0], [5], [5], [1], [5], [1]], np.float32)
    top = strongest(open_basis(tokens(tmp_path, x), "neurons", 2), 2, 2)
    assert top.image_id.tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize("basis", ["neurons", "pca"])
def test_directions_without_variance_never_fire(tmp_path: Path, basis: str) -> None:
    x = random_tokens(200, 4)
    x = np.column_stack([x, np.full(200, 0.1), x[:, 0] - x[:, 1]]).astype(np.float32)
    x = np.round(x * 64) / 64  # so that the last column is exactly the difference
    x[:, 5] = x[:, 0] - x[:, 1]
    found = (dense(open_basis(tokens(tmp_path, x), basis, 50)) > 0).sum(0)
    silent = {"neurons": [8, 9], "pca": [8, 9, 10, 11]}[basis]
    assert np.flatnonzero(found == 0).tolist() == silent


def test_one_image_has_no_activations(tmp_path: Path) -> None:
    for basis in ("neurons", "pca"):
        assert dense(open_basis(tokens(tmp_path / basis, random_tokens(1)), basis, 4)).sum() == 0


def test_no_readable_image(tmp_path: Path) -> None:
    parts = tokens(tmp_path, np.zeros((3, D), np.float32), np.zeros(3, bool))
    for basis in ("neurons", "pca"):
        found = open_basis(parts, basis, 4)
        assert found.readable == 0
        assert dense(found).sum() == 0


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (5, 3), elements=st.floats(-100, 100, width=32)))
def test_the_two_ends_make_up_the_coordinates(x: np.ndarray) -> None:
    class Stored:
        path, rows, stamp = Path(), len(x), None

        def read(self, name: str, start: int, stop: int) -> np.ndarray:
            return x[start:stop] if name == "x" else np.ones(stop - start, bool)

        def blocks(self, block_rows: int) -> list[tuple[int, int]]:
            return [(i, min(i + block_rows, 5)) for i in range(0, 5, block_rows)]

    mean = x.astype(np.float64).mean(0)
    stored: Any = Stored()
    a = dense(Basis(stored, Centre(mean, 5)), 2)
    np.testing.assert_allclose(a[:, ::2] - a[:, 1::2], x - mean.astype(np.float32), rtol=1e-6)
    assert (np.minimum(a[:, ::2], a[:, 1::2]) == 0).all()


def test_blocks_hold_a_bounded_number_of_activations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    basis = open_basis(tokens(tmp_path, random_tokens()), "neurons", 1000)
    assert list(basis.blocks(1000)) == [(0, N)]
    monkeypatch.setattr(module, "_ENTRIES", 30 * D)
    assert list(basis.blocks(1000)) == [(0, 30), (30, 60), (60, 70)]
    monkeypatch.setattr(module, "_ENTRIES", 1)
    assert len(list(basis.blocks(1000))) == N


@pytest.mark.parametrize("name", ["neurons", "pca"])
def test_codes_are_the_entries_and_add_up_to_x(tmp_path: Path, name: str) -> None:
    x, valid = random_tokens(), np.arange(N) % 9 != 4
    x[~valid] = 0
    units = open_units(KINDS[name], Sources(tokens(tmp_path, x, valid)))
    values, indices = units.block(10, 60)
    for ours, theirs in zip(entries_of(values, indices, 10), units.entries(10, 60), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert values.shape == indices.shape == (50, D) and units.directions.shape == (2 * D, D)
    added = (values[..., None] * units.directions[indices]).sum(1)
    np.testing.assert_allclose((added + units.offset)[valid[10:60]], x[10:60][valid[10:60]], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(units.directions, axis=1), 1, atol=1e-6)


def test_a_basis_may_be_fitted_to_another_split(tmp_path: Path) -> None:
    train, test = random_tokens(), random_tokens(20, seed=1)
    fitted = tokens(tmp_path / "train", train)
    units = open_units(KINDS["pca"], Sources(tokens(tmp_path / "test", test), fitted=fitted.path))
    own = open_basis(fitted, "pca", 100)
    np.testing.assert_array_equal(units.directions, own.directions)
    np.testing.assert_allclose(units.offset, train.mean(0), rtol=1e-6)
    assert (units.rows, units.readable) == (20, 20)
    other = open_units(KINDS["neurons"], Sources(tokens(tmp_path / "test2", test), fitted=fitted.path))
    assert units.ids != other.ids and len(units.ids) == 1


def test_a_basis_of_another_encoder_is_refused(tmp_path: Path) -> None:
    manifest = write_embeddings(tmp_path / "train", "train", INDEX, "v" * 64, x=random_tokens())
    with pytest.raises(RelianceError, match="same encoder weights"):
        open_units(KINDS["pca"], Sources(tokens(tmp_path / "test", random_tokens(9)), fitted=manifest))
