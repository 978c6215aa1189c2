from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codes.examples import as_dense, random_codes, write_codes
from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.codes.store import open_codes
from reliance.codes.top_samples import top_samples
from reliance.naming.table import COMPONENTS, component_table
from units.sae.examples import write_split

from .test_names import cosine, write_vocabulary

N, M, K, P = 90, 25, 4, 6
LABELLER = "l" * 64
WORDS = ["", "crane", "kite", "jay", "jaguar"]


class World:
    """All inputs of the stage in a folder, and what they hold."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(5)
        self.folder = folder
        values, indices = random_codes(N, M, K)
        values[indices == 3] = 0  # component 3 never fires
        self.dense = as_dense(values, indices, M)
        self.embedding = (rng.standard_normal((N, P)) * rng.uniform(1, 5, (N, 1))).astype(np.float32)
        self.text = rng.standard_normal((5, P)).astype(np.float32)
        self.paths: dict[str, Path] = {
            "codes": write_codes(folder / "codes", values, indices, M),
            "labels": write_split(folder / "labels", {"embedding": self.embedding}, weights=LABELLER),
            "vocabulary": folder / "vocabulary.parquet",
            "components": folder / "components.parquet",
        }
        write_vocabulary(self.paths["vocabulary"], WORDS, self.text)

    def run(self, **changes: Any) -> Any:
        component_table(**{**self.paths, "top_n": 5, "min_active": 4, "block_rows": 16, **changes})
        return read_table(self.paths["components"], COMPONENTS)

    def expected(self, embedding: np.ndarray, top_n: int, min_active: int) -> list[tuple[Any, ...]]:
        """(clarity, label, alignment, runner_up) of every component, by the definitions."""
        found: list[tuple[Any, ...]] = []
        for j in range(M):
            a = self.dense[:, j]
            if (a != 0).sum() < min_active:
                found.append((np.nan, "", np.nan, ""))
                continue
            images = sorted(np.flatnonzero(a), key=lambda i: (-a[i], i))[:top_n]
            e = embedding[images].astype(np.float64)
            pairs = [cosine(e[i], e[k]) for i in range(len(e)) for k in range(len(e)) if i != k]
            scores = [cosine(e.mean(0), t) - cosine(e.mean(0), self.text[0]) for t in self.text[1:]]
            best, second = np.argsort(scores)[::-1][:2]
            found.append((np.mean(pairs), WORDS[1 + best], scores[best], WORDS[1 + second]))
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def check(frame: Any, expected: list[tuple[Any, ...]]) -> None:
    assert list(frame["label"]) == [row[1] for row in expected]
    assert list(frame["runner_up"]) == [row[3] for row in expected]
    np.testing.assert_allclose(frame["clarity"], [row[0] for row in expected], atol=1e-5)
    np.testing.assert_allclose(frame["alignment"], [row[2] for row in expected], atol=1e-5)


def test_the_table_is_that_of_the_definitions(world: World) -> None:
    frame, stamp = world.run()
    assert list(frame["component"]) == list(range(M))
    assert frame["n_active"].iloc[3] == 0
    np.testing.assert_array_equal(frame["n_active"], (world.dense != 0).sum(0))
    np.testing.assert_allclose(frame["mean"], world.dense.mean(0), rtol=1e-6)
    np.testing.assert_allclose(frame["top5_mean"], -np.sort(-world.dense, axis=0)[:5].mean(0), rtol=1e-6)
    unnamed = (world.dense != 0).sum(0) < 4
    assert unnamed.sum() > 1
    assert not unnamed.all()
    check(frame, world.expected(world.embedding, 5, 4))
    assert set(stamp.inputs) == {"codes", "labels", "vocabulary"}
    assert stamp.params == {"top_n": 5, "min_active": 4}


@pytest.mark.parametrize("block_rows", [7, 1000])
def test_stored_top_samples_give_the_same_table(world: World, block_rows: int) -> None:
    without = world.run().frame
    path = world.folder / "top.parquet"
    top_samples(codes=world.paths["codes"], top_samples=path, count=30, block_rows=50)
    found = world.run(top_samples=path, block_rows=block_rows).frame
    assert found.drop(columns=["clarity", "alignment"]).equals(without.drop(columns=["clarity", "alignment"]))
    np.testing.assert_allclose(found["clarity"], without["clarity"], rtol=1e-6)
    np.testing.assert_allclose(found["alignment"], without["alignment"], rtol=1e-6)


def test_a_labeller_that_stores_class_tokens_too(world: World) -> None:
    arrays = {"x": world.embedding[:, :2], "embedding": world.embedding}
    labels = write_split(world.folder / "tokens", arrays, weights=LABELLER)
    check(world.run(labels=labels).frame, world.expected(world.embedding, 5, 4))
    without = write_split(world.folder / "old", {"x": world.embedding[:, :2]}, weights=LABELLER)
    with pytest.raises(RelianceError, match="stored beside what is read inside the encoder"):
        world.run(labels=without)


def test_images_that_the_labeller_could_not_read_are_left_out(world: World) -> None:
    j = int(np.argmax((world.dense != 0).sum(0)))
    best = min(np.flatnonzero(world.dense[:, j]), key=lambda i: (-world.dense[i, j], i))
    valid = np.arange(N) != best
    arrays = {"embedding": np.where(valid[:, None], world.embedding, 0), "valid": valid}
    labels = write_split(world.folder / "labelled", arrays, weights=LABELLER)
    frame = world.run(labels=labels, top_n=2).frame
    assert np.isnan(frame["clarity"][j])  # one image is left
    assert frame["label"][j] != ""


def test_inputs_that_do_not_belong_together_are_refused(world: World, tmp_path: Path) -> None:
    def labels(name: str, **changes: Any) -> Path:
        given = {"weights": LABELLER, "rows": N, **changes}
        rows = {"embedding": world.embedding[: given.pop("rows")]}
        return write_split(tmp_path / name, rows, **given)

    with pytest.raises(RelianceError, match="same labeller weights"):
        world.run(labels=labels("a", weights="v" * 64))
    with pytest.raises(RelianceError, match="same image index"):
        world.run(labels=labels("b", index="j" * 64))
    with pytest.raises(RelianceError, match="80 rows"):
        world.run(labels=labels("c", rows=80))


def test_top_samples_of_other_codes_or_too_few_are_refused(world: World, tmp_path: Path) -> None:
    values, indices = random_codes(N, M, K, seed=1)
    other = write_codes(tmp_path / "other", values, indices, M)
    path = tmp_path / "top.parquet"
    top_samples(codes=other, top_samples=path, count=30)
    assert open_codes(other).stamp.id != open_codes(world.paths["codes"]).stamp.id
    with pytest.raises(RelianceError, match="same codes"):
        world.run(top_samples=path)
    top_samples(codes=world.paths["codes"], top_samples=path, count=19)
    with pytest.raises(RelianceError, match="at least 20"):
        world.run(top_samples=path)
    top_samples(codes=world.paths["codes"], top_samples=path, count=20)
    with pytest.raises(RelianceError, match="at least 21"):
        world.run(top_samples=path, top_n=21)


def test_a_split_without_any_name(world: World) -> None:
    frame = world.run(min_active=1000).frame
    assert set(frame["label"]) == {""}
    assert frame["clarity"].isna().all()
