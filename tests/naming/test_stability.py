"""How sure names are, against draws that are made one by one."""

from pathlib import Path

import numpy as np
import pytest

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import Top, top_samples
from reliance.encoders.text import TEXT
from reliance.naming.names import Vocabulary
from reliance.naming.stability import (
    NAME_STABILITY,
    Drawn,
    half_of,
    name_stability,
    said,
    stability,
    words_drawn,
)

from .test_names import cosine, vocabulary
from .test_table import M, World


def test_half_of_the_images_of_every_component() -> None:
    component = np.repeat(np.arange(4), [6, 0, 5, 1])
    image = np.arange(len(component))
    top = Top(component, image * 0, image, np.ones(len(image)))
    draws = [half_of(top, np.random.default_rng([0, i])) for i in range(40)]
    for half in draws:
        assert np.bincount(half.component, minlength=4).tolist() == [3, 0, 3, 1]
        assert (component[half.image_id] == half.component).all()
    often = np.bincount(np.concatenate([half.image_id for half in draws]), minlength=len(image))
    assert (often[:6] > 8).all()
    assert (often[:6] < 32).all()


def test_words_come_from_halves_without_the_name_itself() -> None:
    words = vocabulary(12, p=3)
    means = np.random.default_rng(1).standard_normal((7, 3)) * 4
    given = np.array([int(np.argmax(words.vectors @ mean)) for mean in means])
    found = words_drawn(means, given, words, draws=5, near=0.5)
    shifted = words.vectors - words.empty
    for i in range(5):
        inside = set(np.flatnonzero(np.random.default_rng([1, i]).permutation(12) < 6))
        for j, mean in enumerate(means):
            allowed = sorted(inside - {int(given[j])})
            near = [t for t in allowed if cosine(shifted[t], shifted[given[j]]) >= 0.5]
            scores = [cosine(mean, words.vectors[t]) for t in allowed]
            assert found[i, j] == (allowed[int(np.argmax(scores))] if near else -1)
    assert (found >= 0).any()
    assert (found < 0).any()


def test_shares_are_counted_over_draws_that_say_something() -> None:
    vectors = np.array([[1, 0, 0], [0.99, 0.1, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    names = np.array(["cat", "kitten", "car", "sky"], object)
    words = Vocabulary(names, vectors, np.zeros(3, np.float32))
    images = np.array([[0, 2], [1, 3], [0, 3], [2, 2]])
    drawn = Drawn(images, np.array([[1, -1], [2, -1], [-1, -1], [-1, -1]]))
    found = stability(drawn, np.array([0, 2]), words, 0.9)
    np.testing.assert_allclose(found["images"][0], [3 / 4, 2 / 4])
    np.testing.assert_allclose(found["words"][0], [1 / 2, np.nan])
    np.testing.assert_allclose(found["confidence"][0], [4 / 6, 2 / 4])
    assert found["rival"][0].tolist() == ["car", "sky"]


def test_a_coin_toss_says_so() -> None:
    assert said("cat", 0.5, "car") == "a coin toss: 50%, else car"
    assert said("cat", 0.9, "car") == ""
    assert said("", float("nan"), "") == ""


class Named(World):
    """The world of the table of components with its strongest images."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        top = folder / "top.parquet"
        top_samples(codes=self.paths["codes"], top_samples=top, count=20)
        super().run(top_samples=top)
        self.paths["top_samples"] = top

    def again(self) -> object:
        out = self.folder / "stability.parquet"
        name_stability(**self.paths, name_stability=out, top_n=5, draws=6, near=0.9)
        return read_table(out, NAME_STABILITY)


def test_the_stage_writes_every_component(tmp_path: Path) -> None:
    world = Named(tmp_path)
    frame, stamp = world.again()  # type: ignore[misc]
    components, _ = World.run(world)
    assert frame["component"].tolist() == list(range(M))
    assert frame["label"].tolist() == components["label"].tolist()
    named = frame["label"] != ""
    assert frame["confidence"][~named].isna().all()
    assert frame["confidence"][named].between(0, 1).all()
    assert frame["confidence"][named].nunique() > 1
    sure = frame["images"] == 1
    assert (frame["rival"][sure & frame["words"].isna()] == "").all()
    assert (frame["rival"][named & (frame["images"] < 1)] != "").all()
    assert set(stamp.inputs) == {"components", "codes", "labels", "vocabulary"}


def test_names_of_other_words_are_refused(tmp_path: Path) -> None:
    world, other = Named(tmp_path / "a"), Named(tmp_path / "b")
    world.paths["components"] = other.paths["components"]
    world.again()  # the same inputs have the same names
    frame, stamp = read_table(world.paths["vocabulary"], TEXT)
    write_table(world.paths["vocabulary"], frame, TEXT, {"words": "others"}, stamp.inputs)
    with pytest.raises(RelianceError, match="vocabulary"):
        world.again()
