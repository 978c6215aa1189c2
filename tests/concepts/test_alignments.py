from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.concepts.alignments import alignment_baseline
from reliance.concepts.schema import ALIGNMENTS
from reliance.naming.names import align

from .examples import LABELLER, write_embeddings, write_index, write_text

P = 4
CLASS_OF = [7, 2, 2, -1, 7, 2, 5, 7, 2, 5, 7]  # of test images; class 9 has none


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


class World:
    """All inputs of the stage in a folder."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(3)
        self.folder, n = folder, len(CLASS_OF)
        self.embedding = (rng.standard_normal((n, P)) * rng.uniform(1, 5, (n, 1))).astype(np.float32)
        self.embedding[4] = 0  # unreadable
        text = rng.standard_normal((5, P)).astype(np.float32)
        text /= np.linalg.norm(text, axis=1, keepdims=True)
        self.empty, self.text = text[0], dict(zip((2, 5, 7, 9), text[1:], strict=True))
        self.index = write_index(folder / "index.parquet", train=[2, 5, 7], test=CLASS_OF)
        write_text(folder / "names.parquet", ["a", "b", "c", "d"], text[1:], [2, 5, 7, 9])
        write_text(folder / "vocabulary.parquet", ["", "e"], text[:2], [-1, -1])
        self.paths: dict[str, Any] = {
            "index": folder / "index.parquet",
            "labels": write_embeddings(folder / "labels", "test", self.index, embedding=self.embedding),
            "names": folder / "names.parquet",
            "vocabulary": folder / "vocabulary.parquet",
        }

    def run(self, **changes: Any) -> Any:
        out = self.folder / "alignments.parquet"
        alignment_baseline(**{**self.paths, "alignments": out, "block_rows": 3, **changes})
        return read_table(out, ALIGNMENTS)

    def expected(self, embedding: np.ndarray, readable: np.ndarray) -> list[float]:
        found = []
        for c in (2, 5, 7):
            mean = embedding[(np.array(CLASS_OF) == c) & readable].astype(np.float64).mean(0)
            found.append(cosine(mean, self.text[c]) - cosine(mean, self.empty))
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_alignment_by_hand() -> None:
    mean = np.array([[0.0, 5], [3, 0], [2, 2]])
    text, empty = np.array([[0, 1.0], [0, 1], [0, 1]]), np.array([1.0, 0])
    np.testing.assert_allclose(align(mean, text, empty), [1, -1, 0], atol=1e-15)


@pytest.mark.parametrize("block_rows", [1, 3, 1000])
def test_classes_with_images_are_aligned_with_their_names(world: World, block_rows: int) -> None:
    frame, stamp = world.run(block_rows=block_rows)
    assert frame["class_id"].tolist() == [2, 5, 7]
    assert frame["n"].tolist() == [4, 2, 3]  # one image of class 7 is unreadable
    readable = world.embedding.any(1)
    np.testing.assert_allclose(frame["alignment"], world.expected(world.embedding, readable), atol=1e-6)
    assert set(stamp.inputs) == {"index", "labels", "names", "vocabulary"}
    assert stamp.params == {"split": "test"}


def test_unreadable_images_of_a_labeller_are_left_out(world: World) -> None:
    valid = np.arange(len(CLASS_OF)) != 1
    embedding = np.where(valid[:, None], world.embedding, 0)
    arrays = {"x": embedding[:, :2], "embedding": embedding, "valid": valid}
    labels = write_embeddings(world.folder / "tokens", "test", world.index, **arrays)
    frame, _ = world.run(labels=labels)
    assert frame["n"].tolist() == [3, 2, 3]
    np.testing.assert_allclose(frame["alignment"], world.expected(embedding, embedding.any(1)), atol=1e-6)


def test_a_class_whose_images_are_all_unreadable_has_no_row(world: World) -> None:
    world.embedding[np.array(CLASS_OF) == 5] = 0
    labels = write_embeddings(world.folder / "l", "test", world.index, embedding=world.embedding)
    frame = world.run(labels=labels).frame
    assert frame["class_id"].tolist() == [2, 7]
    with np.errstate(invalid="ignore"):  # class 5 has no mean
        expected = world.expected(world.embedding, np.ones(len(CLASS_OF), bool))
    del expected[1]
    np.testing.assert_allclose(frame["alignment"], expected, atol=1e-6)


def test_images_without_classes_have_no_baseline(world: World) -> None:
    index = write_index(world.folder / "none.parquet", test=[-1, -1])
    labels = write_embeddings(world.folder / "l", "test", index, embedding=world.embedding[:2])
    assert len(world.run(index=world.folder / "none.parquet", labels=labels).frame) == 0


def test_what_does_not_belong_together_is_refused(world: World) -> None:
    folder, embedding = world.folder, world.embedding

    def labels(name: str, split: str = "test", index: str = world.index, weights: str = LABELLER) -> Path:
        return write_embeddings(folder / name, split, index, weights, embedding=embedding)

    with pytest.raises(RelianceError, match="same image index"):
        world.run(labels=labels("a", index="j" * 64))
    with pytest.raises(RelianceError, match="same labeller weights"):
        world.run(labels=labels("b", weights="v" * 64))
    with pytest.raises(RelianceError, match="rows of split 'train'"):
        world.run(labels=labels("c", split="train"))
    names = folder / "other.parquet"
    vectors = np.stack(list(world.text.values()))
    write_text(names, ["a", "c"], vectors[:2], [2, 7])
    with pytest.raises(RelianceError, match=r"none for 1 classes, the first \[5\]"):
        world.run(names=names)
    write_text(names, ["a", "b", "c"], vectors[:3], [2, 5, 7], weights="v" * 64)
    with pytest.raises(RelianceError, match="same labeller weights"):
        world.run(names=names)
    write_text(names, ["", "c"], vectors[:2], [-1, -1], weights="v" * 64)
    with pytest.raises(RelianceError, match="same labeller weights"):
        world.run(vocabulary=names)
