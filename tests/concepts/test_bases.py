from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.concepts.bases import basis_table
from reliance.naming.table import COMPONENTS
from reliance.units.axes import random_axes
from reliance.units.sae.files import Sae, save_sae
from reliance.units.sae.sparse import random_rows

from .examples import LABELLER, write_embeddings, write_text

N, D, P = 70, 6, 5
WORDS = ["", "crane", "kite", "jay", "jaguar"]
INDEX = "i" * 64


def random_tokens(n: int = N, d: int = D, seed: int = 0) -> np.ndarray:
    """Correlated coordinates of different sizes, far from 0."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 5).astype(np.float32)


def halves(signed: np.ndarray) -> np.ndarray:
    """The two ends of every coordinate, as columns [n, 2d]."""
    both = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=2)
    return both.reshape(len(signed), -1)


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


@pytest.mark.parametrize("basis", ["neurons", "pca", "random"])
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
    with pytest.raises(RelianceError, match="neurons, pca or random"):
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


def test_an_untrained_sae_is_where_training_starts(world: World, tmp_path: Path) -> None:
    """Activations by hand: the k largest of m random directions, of what is left of the mean."""
    m, k = 9, 2
    rows = random_rows(m, D, 0)
    saved = Sae(rows, np.ones(m, np.float32), rows, np.zeros(D, np.float32), k)  # only its size counts
    stamp = save_sae(tmp_path / "sae.safetensors", saved, {}, {"encoder": "w" * 64})
    found = world.run(basis="untrained", sae=tmp_path / "sae.safetensors", min_active=1)
    a = np.maximum((world.x - world.x.mean(0)) @ rows.T, 0)
    a[a < np.sort(a, axis=1)[:, -k][:, None]] = 0
    np.testing.assert_array_equal(found.frame["n_active"], (a > 0).sum(0))
    np.testing.assert_allclose(found.frame["max"], a.max(0), rtol=1e-3)
    assert found.stamp.inputs["sae"] == stamp.id
    with pytest.raises(RelianceError, match="as many latents as the trained one"):
        world.run(basis="untrained")


def test_random_directions_are_at_right_angles_and_not_the_axes() -> None:
    axes = random_axes(D)
    np.testing.assert_allclose(axes @ axes.T, np.eye(D), atol=1e-12)
    assert np.abs(axes).max() < 0.99
    np.testing.assert_array_equal(axes, random_axes(D))
