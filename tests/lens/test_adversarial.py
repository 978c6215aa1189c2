"""Words from one class to another, by hand; which names say a class; captions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.encoders.text import TEXT
from reliance.images.tables import CLASSES
from reliance.lens.adversarial import (
    ADVERSARIAL,
    STRONGEST,
    dense,
    heaviest,
    lens_adversarial_words,
    nearest,
    says,
    similar_weights,
    word_weights,
)
from reliance.lens.directions import Directions, save_directions
from reliance.lens.words import WORDS, Pursuit, dictionary, joined, pursue, table_of
from reliance.naming.names import read_vocabulary


def sparse(gamma: np.ndarray) -> Pursuit:
    """Coefficients [N, V] as a pursuit has them."""
    atoms = np.where(gamma != 0, np.arange(gamma.shape[1]), -1)
    return Pursuit(atoms, gamma.astype(np.float32))


def test_words_weigh_what_their_neurons_move_along_the_difference() -> None:
    r = np.array([[1.0, 0.0], [0.0, -1.0], [1.0, 0.0]], np.float32)
    gamma = np.array([[0.5, 0.0, -1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.25]], np.float32)
    # pulls along (2, 3): 2, -3, 2
    np.testing.assert_allclose(word_weights(r, sparse(gamma), np.array([2.0, 3.0]), 3), [1.0, -6.0, -1.5])


def test_only_the_neurons_that_pull_most_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reliance.lens.adversarial.STRONGEST", 1)
    weights = word_weights(np.eye(2), sparse(np.eye(2)), np.array([0.5, -2.0]), 2)
    np.testing.assert_allclose(weights, [0, -2])


def test_the_sign_of_a_neuron_does_not_matter() -> None:
    g = np.random.default_rng(0)
    r, gamma, delta = g.normal(size=(6, 4)), g.normal(size=(6, 9)), g.normal(size=4)
    flip = g.choice([-1, 1], (6, 1))
    turned = word_weights(r * flip, sparse(gamma * flip), delta, 9)
    np.testing.assert_allclose(turned, word_weights(r, sparse(gamma), delta, 9))


def test_weights_are_those_of_the_dense_form() -> None:
    """Several blocks with different numbers of words, and more neurons than count."""
    g = np.random.default_rng(1)
    words, counts = 300, {2 * STRONGEST: 8, STRONGEST + 7: 5}
    parts = [
        Pursuit(
            np.stack([g.choice(words, m, replace=False) for _ in range(n)]),
            g.normal(size=(n, m)).astype(np.float32),
        )
        for n, m in counts.items()
    ]
    parts[1].atoms[3, 2:] = -1  # a neuron that two words say exactly
    r = g.normal(size=(sum(counts), 16)).astype(np.float32)
    delta = g.normal(size=16)
    gamma = np.zeros((len(r), words), np.float32)  # of all neurons, by hand
    rows = [(own, values) for p in parts for own, values in zip(p.atoms, p.coefficients, strict=True)]
    for row, (own, values) in enumerate(rows):
        for atom, value in zip(own, values, strict=True):
            if atom >= 0:
                gamma[row, atom] = value
    pull = r.astype(np.float64) @ delta
    strongest = np.argsort(-np.abs(pull), kind="stable")[:STRONGEST]
    expected = pull[strongest] @ gamma[strongest].astype(np.float64)
    both = joined(parts)
    np.testing.assert_array_equal(dense(both, words), gamma)
    np.testing.assert_array_equal(word_weights(r, both, delta, words), expected)


def test_only_words_that_weigh_something_and_say_no_class_are_taken() -> None:
    weights, out = np.array([0.2, -1.0, 3.0, 0.0, 0.2]), np.array([False, False, True, False, False])
    assert heaviest(weights, out).tolist() == [0, 4]


def test_words_along_the_difference_itself() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], np.float32)
    weights = similar_weights(dictionary(vectors), np.array([1.0, 0.0]))
    np.testing.assert_allclose(weights, [1, 0, -np.sqrt(0.5)], atol=1e-6)


def test_a_name_says_a_class_by_a_whole_word_of_it() -> None:
    names = ["spade", "digging spade", "spades", "the written word Spade", "a cat", "ace"]
    called = {"short_name": "spade", "full_name": "spade (playing card)", "definition": None}
    assert says(names, called).tolist() == [True, True, True, True, False, False]


def test_a_sentence_is_no_name_and_small_words_say_nothing() -> None:
    gloss = "a tool with a flat blade that is used by people at the sea for digging"
    called = {"short_name": "spade", "full_name": "the spade for the sea side", "definition": gloss}
    assert says(["the sea", "a man with a hat", "blade", "used car"], called).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_the_nearest_other_class() -> None:
    vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    assert nearest(vectors) == [1, 0, 1]


def test_of_two_classes_with_one_prompt_the_nearest_that_differs_is_taken() -> None:
    """Of equal prompts a model prefers neither, and their difference weighs no word."""
    vectors = np.array([[1.0, 0.0], [1.0, -1e-7], [0.8, 0.6], [0.0, 1.0]])
    assert nearest(vectors) == [2, 2, 0, 2]
    assert nearest(np.ones((3, 2))) == [-1, -1, -1] and nearest(np.ones((1, 2))) == [-1]


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Any]:
    """Two blocks of neurons with directions and words, a vocabulary, and four classes of which two share a
    prompt."""
    g, p, names = np.random.default_rng(0), 8, ["", *(f"word {i}" for i in range(30)), "a red crane"]
    kinds = {name: tmp_path / f"{name}.parquet" for name in ("vocabulary", "text", "classes")}

    def texts(name: str, vectors: np.ndarray, prompts: list[str], classes: Any) -> str:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        frame = pd.DataFrame({"prompt_id": range(len(vectors)), "class_id": classes})
        frame = frame.assign(prompts=[[prompt] for prompt in prompts], embedding=list(vectors))
        return write_table(kinds[name], frame, TEXT, {"of": name}, {"weights": "w"}).id

    vocabulary = texts("vocabulary", g.normal(size=(len(names), p)), names, -1)
    vectors = g.normal(size=(4, p))
    vectors[1] = vectors[0] + 1e-7
    texts("text", vectors, ["crane"] * 4, [2, 3, 5, 8])
    rows = [(2, "a", "crane"), (3, "b", "crane"), (5, "c", "spade"), (8, "d", "heart")]
    classes = pd.DataFrame(rows, columns=["class_id", "folder", "short_name"])
    write_table(kinds["classes"], classes.assign(full_name="", definition=""), CLASSES, {}, {})
    found: dict[str, Any] = {**kinds, "directions": [], "words": []}
    for block in range(2):
        files = [tmp_path / f"{block}.{end}" for end in ("safetensors", "parquet")]
        r = g.normal(size=(70, p)).astype(np.float32)
        empty, wide = np.zeros(70, np.float32), np.zeros((70, 1), np.float32)
        own = Directions(wide, empty, r, empty, wide, np.ones(1, np.float32), wide, empty)
        stamp = save_directions(files[0], own, {"block": block}, {"weights": "w"})
        read = read_vocabulary(kinds["vocabulary"])[0]
        frame = table_of(pursue(r, dictionary(read.vectors), 4 - block), read)
        write_table(files[1], frame, WORDS, {}, {"directions": stamp.id, "vocabulary": vocabulary})
        found["directions"].append(files[0])
        found["words"].append(files[1])
    return found


def test_every_class_has_words_and_captions(tables: dict[str, Any], tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.out" for name in ("adversarial", "captions")}
    lens_adversarial_words(**tables, **files)
    frame = read_table(files["adversarial"], ADVERSARIAL).frame
    assert set(frame["shown_id"]) == {2, 3, 5, 8}
    assert not set(zip(frame["shown_id"], frame["target_id"], strict=True)) & {(2, 3), (3, 2)}
    own = frame[frame["shown_id"] == 5]
    assert own["rank"].tolist() == list(range(len(own))) and own["weight"].is_monotonic_decreasing
    assert (frame["weight"] > 0).all()
    crane = frame["shown_id"].isin([2, 3]) | frame["target_id"].isin([2, 3])
    assert "a red crane" not in set(frame.loc[crane, "word"]), "it says the class"
    captions = pd.read_csv(files["captions"])
    assert captions["folder"].is_unique and set(captions["way"]) == {
        "neurons",
        "similar",
        "random",
        "nothing",
    }
    first = captions[captions["folder"].str.startswith("neurons/c__")].iloc[0]
    assert first["caption"] == own["caption"].iloc[0] and first["shown"] == "spade"


def test_files_of_another_vocabulary_are_refused(tables: dict[str, Any], tmp_path: Path) -> None:
    frame = pd.read_parquet(tables["words"][1])
    stamp = read_table(tables["words"][1], WORDS).stamp
    write_table(tables["words"][1], frame, WORDS, {}, {**stamp.inputs, "vocabulary": "other"})
    with pytest.raises(RelianceError, match="same vocabulary"):
        lens_adversarial_words(**tables, adversarial=tmp_path / "a", captions=tmp_path / "c")
