"""Words from one class to another, by hand; which names say a class; captions."""

import numpy as np
import pytest

from reliance.lens.adversarial import captioned, nearest, says, similar_weights, word_weights


def test_words_weigh_what_their_neurons_move_along_the_difference() -> None:
    r = np.array([[1.0, 0.0], [0.0, -1.0], [1.0, 0.0]], np.float32)
    gamma = np.array([[0.5, 0.0, -1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.25]], np.float32)
    # pulls along (2, 3): 2, -3, 2
    np.testing.assert_allclose(word_weights(r, gamma, np.array([2.0, 3.0])), [1.0, -6.0, -1.5])


def test_only_the_neurons_that_pull_most_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reliance.lens.adversarial.STRONGEST", 1)
    weights = word_weights(np.eye(2), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.5, -2.0]))
    np.testing.assert_allclose(weights, [0, -2])


def test_the_sign_of_a_neuron_does_not_matter() -> None:
    g = np.random.default_rng(0)
    r, gamma, delta = g.normal(size=(6, 4)), g.normal(size=(6, 9)), g.normal(size=4)
    flip = g.choice([-1, 1], (6, 1))
    np.testing.assert_allclose(word_weights(r * flip, gamma * flip, delta), word_weights(r, gamma, delta))


def test_words_along_the_difference_itself() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], np.float32)
    weights = similar_weights(vectors, np.array([1.0, 0.0]))
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


def test_captions_name_what_is_shown_and_the_words() -> None:
    assert captioned("crane", []) == ""
    assert captioned("crane", ["sea"]) == "a photo of a crane, with sea"
    assert captioned("crane", ["sea", "sand", "fog", "ice"]) == "a photo of a crane, with sea, sand and fog"
