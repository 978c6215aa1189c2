"""Pictures that should mislead: what can be drawn, what is taken, and that only what is asked for differs."""

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import Prompts
from reliance.base.artifacts import Stamp
from reliance.encoders.model import Clip, Weights
from reliance.lens.adversarial import dense
from reliance.lens.findings import misled
from reliance.lens.generated import preferred
from reliance.lens.words import SPOKEN, dictionary
from reliance.planted import drawn, render, tiny_clip
from reliance.planted.lens_attacks import (
    PICTURES,
    STREAM,
    around,
    drawable,
    moves,
    taken,
    words_of,
)
from reliance.planted.world import vocabulary

OBJECTS = drawn.Objects(8)
NAMES = [*vocabulary(OBJECTS.world), *(f"the written word {word}" for word in OBJECTS.world.words)]


def clip() -> Clip:
    config = tiny_clip.architecture(3)
    model = tiny_clip.build(0, 3).eval().requires_grad_(False)
    record = Weights("t", "encoder", "t", config, tiny_clip.PREPROCESS, False, True, 0, "", "")
    return Clip(model, torch.device("cpu"), record, Stamp("weights", 1, "i", {}, {}))


def test_every_background_and_every_written_word_can_be_drawn() -> None:
    able = drawable(NAMES, OBJECTS)
    assert set(able.background.values()) == set(range(len(OBJECTS.world.backgrounds)))
    assert set(able.word.values()) == set(range(len(OBJECTS.world.words)))
    assert all(NAMES[i] == OBJECTS.world.backgrounds[j] for i, j in able.background.items())


def test_the_heaviest_that_can_be_drawn_and_says_no_class_is_taken() -> None:
    able = drawable(NAMES, OBJECTS)
    weights, out = np.arange(len(NAMES), dtype=float), np.zeros(len(NAMES), bool)
    best = max(able.word)
    assert taken(weights, able, out) == (able.background[max(able.background)], able.word[best])
    out[best] = True
    assert taken(weights, able, out)[1] != able.word[best]
    assert taken(weights, able, np.ones(len(NAMES), bool)) == (-1, -1)


def test_pictures_of_two_ways_differ_in_what_is_around_alone() -> None:
    first, second = (around(OBJECTS, 2, ground, word, 5) for ground, word in ((1, 1), (2, 1)))
    for name in ("subject", "drawn", "word", "band", "small", "colour"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.background == 1).all() and (second.background == 2).all()
    pictures = [render.render(OBJECTS.bank, scenes, 5, STREAM) for scenes in (first, second)]
    strip = slice(-render.STRIP, None)
    assert len(pictures[0]) == PICTURES and (pictures[0] != pictures[1]).any()
    np.testing.assert_array_equal(pictures[0][:, :, strip], pictures[1][:, :, strip])


def test_the_margin_is_the_difference_of_two_outputs() -> None:
    model = clip()
    g = torch.Generator().manual_seed(1)
    p = model.model.visual.output_dim
    vectors = torch.nn.functional.normalize(torch.randn(3, p, generator=g), dim=1).numpy()
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 48, 48), dtype=np.uint8))
    prompts = Prompts(np.arange(3), vectors, Stamp("text", 1, "i", {}, {}))
    one = preferred(model, pictures, prompts, 0, 2)
    np.testing.assert_allclose(one, -preferred(model, pictures, prompts, 2, 0), atol=1e-6)
    assert one.shape == (4,)


def test_neurons_ablated_in_a_pass_become_directions_with_words() -> None:
    model = clip()
    g = np.random.default_rng(0)
    every = torch.from_numpy(g.integers(0, 256, (30, 3, 48, 48), dtype=np.uint8))
    moved = moves(model, lambda ids: every[ids], 30, 1)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    found = words_of(moved, dictionary(g.normal(size=(40, moved.shape[1])).astype(np.float32)))[1]
    assert found.atoms.shape == (len(moved), SPOKEN) and found.atoms.max() < 40


def test_words_of_a_made_direction_are_its_own() -> None:
    atoms = dictionary(np.random.default_rng(1).normal(size=(20, 12)).astype(np.float32))
    _, found = words_of(3 * atoms[[4, 7]], atoms)
    gamma = dense(found, 20)
    assert gamma.argmax(1).tolist() == [4, 7] and np.allclose(gamma.max(1), 3, atol=1e-3)


def test_verdicts_are_over_pairs_of_classes() -> None:
    shares = {"neurons": [0.5, 0.6, 0.5, 0.6], "random": [0.1, 0.0, 0.2, 0.1], "similar": [1.0] * 4}
    shares["indirect"] = [0.5, 0.5, 0.6, 0.6]
    rows = [(i, i + 1, way, value) for way, values in shares.items() for i, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["shown_id", "target_id", "way", "success"])
    assert [finding.holds for finding in misled(frame)] == [True, False, None]
    fewer = misled(frame[frame["way"].isin(["neurons", "similar"])])
    assert [finding.name for finding in fewer] == ["lens_misled:similar"]
