from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.base.rows import Parts
from reliance.codes.statistics import component_statistics
from reliance.codes.top_samples import strongest
from reliance.concepts import bases
from reliance.concepts.bases import (
    Basis,
    Centre,
    basis_table,
    centre_of,
    covariance,
    open_basis,
    principal_axes,
)
from reliance.naming.table import COMPONENTS

from .examples import LABELLER, write_embeddings, write_text

N, D, P = 70, 6, 5
WORDS = ["", "crane", "kite", "jay", "jaguar"]
INDEX = "i" * 64


def tokens(folder: Path, x: np.ndarray, valid: np.ndarray | None = None) -> Parts:
    readable = {} if valid is None else {"valid": valid}
    return Parts(write_embeddings(folder, "train", INDEX, "w" * 64, x=x, **readable), "embeddings")


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
    monkeypatch.setattr(bases, "_ENTRIES", 30 * D)
    assert list(basis.blocks(1000)) == [(0, 30), (30, 60), (60, 70)]
    monkeypatch.setattr(bases, "_ENTRIES", 1)
    assert len(list(basis.blocks(1000))) == N


class World:
    """All inputs of the stage in a folder."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(2)
        self.x, self.embedding = random_tokens(), rng.standard_normal((N, P)).astype(np.float32)
        text = rng.standard_normal((5, P))
        self.text = text / np.linalg.norm(text, axis=1, keepdims=True)
        self.out = folder / "components.parquet"
        self.paths: dict[str, Any] = {
            "embeddings": write_embeddings(folder / "x", "train", INDEX, "w" * 64, x=self.x),
            "labels": write_embeddings(folder / "labels", "train", INDEX, embedding=self.embedding),
            "vocabulary": folder / "vocabulary.parquet",
        }
        write_text(self.paths["vocabulary"], WORDS, self.text, [-1] * 5)

    def run(self, **changes: Any) -> Any:
        given = {**self.paths, "top_n": 5, "min_active": 4, "block_rows": 16, **changes}
        basis_table(**{"components": self.out, "basis": "neurons", **given})
        return read_table(self.out, COMPONENTS)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_table_is_that_of_the_definitions(world: World) -> None:
    frame, stamp = world.run()
    a = halves(world.x.astype(np.float64) - world.x.astype(np.float64).mean(0))
    assert frame["component"].tolist() == list(range(2 * D))
    for j in range(2 * D):
        images = np.argsort(-a[:, j], kind="stable")[:5]
        e = world.embedding[images].astype(np.float64)
        unit = e / np.linalg.norm(e, axis=1, keepdims=True)
        cosines = (unit @ unit.T)[~np.eye(5, dtype=bool)]
        mean = e.mean(0) / np.linalg.norm(e.mean(0))
        scores = (world.text[1:] - world.text[0]) @ mean
        assert frame["label"][j] == WORDS[1 + scores.argmax()]
        assert frame["alignment"][j] == pytest.approx(scores.max(), abs=1e-5)
        assert frame["clarity"][j] == pytest.approx(cosines.mean(), abs=1e-5)
    assert set(stamp.inputs) == {"embeddings", "labels", "vocabulary"}
    assert stamp.params == {"basis": "neurons", "top_n": 5, "min_active": 4}


@pytest.mark.parametrize("basis", ["neurons", "pca"])
def test_blocks_do_not_change_the_table(world: World, basis: str) -> None:
    one, many = (world.run(basis=basis, block_rows=rows).frame for rows in (1000, 7))
    pd.testing.assert_frame_equal(one, many, rtol=1e-4, atol=1e-5)


def test_bases_have_different_tables(world: World) -> None:
    neurons, pca = (world.run(basis=basis) for basis in ("neurons", "pca"))
    assert neurons.stamp.id != pca.stamp.id
    assert not np.allclose(neurons.frame["max"], pca.frame["max"])


def test_rarely_active_ends_have_no_name(world: World) -> None:
    frame = world.run(min_active=N // 2 + 1).frame
    assert (frame["label"] == "").tolist() == (frame["n_active"] < N // 2 + 1).tolist()
    assert (frame["label"] == "").sum() > 0


def test_what_does_not_belong_together_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(RelianceError, match="neurons or pca"):
        world.run(basis="ica")
    other = write_embeddings(tmp_path / "o", "train", "j" * 64, embedding=world.embedding)
    with pytest.raises(RelianceError, match="same image index"):
        world.run(labels=other)
    short = write_embeddings(tmp_path / "s", "train", INDEX, embedding=world.embedding[:60])
    with pytest.raises(RelianceError, match="60 rows"):
        world.run(labels=short)
    stranger = write_embeddings(
        tmp_path / "t", "train", INDEX, LABELLER[:-1] + "v", embedding=world.embedding
    )
    with pytest.raises(RelianceError, match="same labeller weights"):
        world.run(labels=stranger)
