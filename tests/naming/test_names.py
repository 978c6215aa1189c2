from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import Top
from reliance.encoders.text import TEXT
from reliance.naming import names
from reliance.naming.names import Vocabulary, name_components, pool_top, read_vocabulary


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def vocabulary(words: int, p: int = 5, seed: int = 0) -> Vocabulary:
    vectors = np.random.default_rng(seed).standard_normal((words + 1, p)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.array([f"name {i}" for i in range(words)], dtype=object)
    return Vocabulary(names, vectors[1:], vectors[0])


def write_vocabulary(path: Path, names: list[str], vectors: np.ndarray, **changes: Any) -> None:
    frame = pd.DataFrame(
        {
            "prompt_id": np.arange(len(names)),
            "class_id": -1,
            "prompts": [[name] for name in names],
            "embedding": list(vectors),
        }
    )
    write_table(path, frame.assign(**changes), TEXT, {}, {"weights": "l" * 64})


@pytest.mark.parametrize("scores", [1, 30, 1 << 25])
def test_names_have_the_largest_score(monkeypatch: pytest.MonkeyPatch, scores: int) -> None:
    monkeypatch.setattr(names, "_SCORES", scores)
    words = vocabulary(9)
    means = np.random.default_rng(1).standard_normal((12, 5)) * 7
    found = name_components(means, words)
    for j, mean in enumerate(means):
        s = [cosine(mean, t) - cosine(mean, words.empty) for t in words.vectors]
        order = np.argsort(s)[::-1]
        assert found.label[j] == words.names[order[0]]
        assert found.runner_up[j] == words.names[order[1]]
        assert found.alignment[j] == pytest.approx(s[order[0]], abs=1e-6)


def test_of_equal_scores_the_first_name_wins() -> None:
    words = vocabulary(3)
    same = words._replace(vectors=np.repeat(words.vectors[:1], 3, axis=0))
    found = name_components(np.ones((2, 5)), same)
    assert found.label.tolist() == ["name 0"] * 2
    assert found.runner_up.tolist() == ["name 1"] * 2


def test_one_name_has_no_runner_up() -> None:
    found = name_components(np.ones((2, 5)), vocabulary(1))
    assert (found.label.tolist(), found.runner_up.tolist()) == (["name 0"] * 2, [""] * 2)


def test_no_components_have_no_names() -> None:
    assert [len(column) for column in name_components(np.zeros((0, 5)), vocabulary(3))] == [0, 0, 0]


@pytest.mark.parametrize("block_rows", [4, 1000])
def test_pooling_is_the_mean_over_the_top_images(block_rows: int) -> None:
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((30, 5)).astype(np.float16) * 3
    embedding[[4, 17]] = 0  # unreadable for the labeller
    images = [[3, 29, 4], [], [0, 1, 2, 3, 17, 5, 6], [29], [4]]
    component = np.repeat(np.arange(5), [len(i) for i in images])
    image_id = np.concatenate([np.array(i, dtype=np.int64) for i in images])
    top = Top(component, image_id * 0, image_id, image_id.astype(np.float32))
    found = pool_top(top, 5, lambda start, stop: embedding[start:stop], 30, block_rows)
    for j, chosen in enumerate(images):
        e = embedding[[i for i in chosen if i not in (4, 17)]].astype(np.float64)
        assert found.n[j] == len(e)
        if len(e):
            np.testing.assert_allclose(found.mean[j], e.mean(0))
            unit = e / np.linalg.norm(e, axis=1, keepdims=True)
            np.testing.assert_allclose(found.mean_unit[j], unit.mean(0))


def test_pooling_many_images_at_once() -> None:
    rng = np.random.default_rng(1)
    embedding = rng.standard_normal((500, 3))
    image_id, component = rng.integers(0, 500, 9000), rng.integers(0, 40, 9000)
    top = Top(component, component, image_id, np.ones(9000))
    found = pool_top(top, 40, lambda start, stop: embedding[start:stop], 500, 500)
    expected = np.stack([embedding[image_id[component == j]].mean(0) for j in range(40)])
    np.testing.assert_allclose(found.mean, expected, atol=1e-12)


def test_a_vocabulary_is_read_without_its_empty_prompt_and_repetitions(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    write_vocabulary(tmp_path / "v.parquet", ["", "crane", "kite", "crane", "jay"], vectors)
    found, stamp = read_vocabulary(tmp_path / "v.parquet")
    assert found.names.tolist() == ["crane", "kite", "jay"]
    assert stamp.inputs == {"weights": "l" * 64}
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors, unit[[1, 2, 4]])
    np.testing.assert_allclose(found.empty, unit[0])


@pytest.mark.parametrize(
    ("names", "changes"), [(["crane", "kite"], {}), ([""], {}), (["", "kite"], {"prompt_id": [1, 2]})]
)
def test_other_prompt_sets_are_refused(tmp_path: Path, names: list[str], changes: dict[str, Any]) -> None:
    write_vocabulary(tmp_path / "v.parquet", names, np.ones((len(names), 4), np.float32), **changes)
    with pytest.raises(RelianceError, match="the empty prompt as prompt_id 0"):
        read_vocabulary(tmp_path / "v.parquet")
