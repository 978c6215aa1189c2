"""A neuron on its card, and an image in the words of its neurons, against what they are made from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lens.conftest import pictures, weights  # noqa: F401 - fixtures
from lens.test_store import stored
from naming.test_names import write_vocabulary
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.model import load_model
from reliance.encoders.text import TEXT
from reliance.explore import inside
from reliance.explore.inside import Described, NeuronCard, attributes_of
from reliance.explore.neuron import neuron
from reliance.explore.picture import Picture
from reliance.explore.shelf import Shelf
from reliance.lens.bridge import BRIDGE, HEADS
from reliance.lens.directions import lens_directions, read_directions
from reliance.lens.effects import coefficients, wanted
from reliance.lens.neurons import NEURONS
from reliance.lens.paths import neuron_paths
from reliance.lens.record import recording
from reliance.lens.words import WORDS, dictionary, spoken_words
from reliance.naming.names import read_vocabulary

WORD = ("sail", "wave", "mast")
BLOCKS = ("tops", "words", "neurons", "directions")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, pictures, weights) -> Shelf:  # noqa: F811
    here = tmp_path_factory.mktemp("inside") / "deep"
    here.mkdir()
    files = {name: here / f"{name}.parquet" for name in ("tops", "words", "neurons", "bridge", "heads")}
    files["directions"] = here / "directions.safetensors"
    manifest = stored(here, pictures, weights, block=1)
    lens_directions(
        weights=weights,
        coefficients=[manifest],
        directions=files["directions"],
        tops=files["tops"],
        strongest=8,
        significant=[0.3],
    )
    files["vocabulary"] = here / "vocabulary.parquet"
    write_vocabulary(files["vocabulary"], ["", *WORD], np.random.default_rng(5).normal(size=(4, 12)))
    vocabulary = read_stamp(files["vocabulary"]).id
    ids = {"directions": read_stamp(files["directions"]).id, "vocabulary": vocabulary}
    n = np.arange(128)
    words = pd.DataFrame({"component": np.repeat(n, 2), "rank": np.tile([0, 1], 128)})
    words["prompt"] = (words["component"] + words["rank"]) % 3
    words = words.assign(word=[WORD[p] for p in words["prompt"]], coefficient=0.2)
    words.loc[words["rank"] == 1, "coefficient"] = -0.5
    write_table(files["words"], words, WORDS, {}, ids)
    rows = pd.DataFrame({"component": n, "norm": 0.1, "explained": 0.8, "head": 0, "words": "", "word": ""})
    rows = rows.assign(spread=0.3, label="ship", alignment=0.2, runner_up="car", clarity=0.4)
    write_table(files["neurons"], rows, NEURONS, {}, ids)
    bridge = pd.DataFrame({"component": [4, 9], "kind": "neuron", "block": [1, 1], "unit": [5, 6]})
    write_table(files["bridge"], bridge.assign(contribution=1.0, share=0.25), BRIDGE, {}, {})
    heads = [(block, head, f"{block} and {head}", 0.5) for block in range(4) for head in range(2)]
    write_table(
        files["heads"], pd.DataFrame(heads, columns=["block", "head", "words", "explained"]), HEADS, {}, {}
    )
    blocks = {f"lens_{name}": {"-3": path} for name, path in files.items() if name in BLOCKS}
    single = {"lens_bridge": files["bridge"], "lens_heads": files["heads"], "weights": weights}
    single |= {"words": files["vocabulary"]}
    return Shelf({**blocks, **single}, "deep", here.parent)


def test_a_card_has_what_the_tables_have(shelf) -> None:
    card = neuron(shelf, 1, 5, 3)
    found = read_directions(shelf.path("lens_directions", "-3"))[0]
    assert (card.block, card.neuron, card.label, card.runner_up) == (1, 5, "ship", "car")
    few = spoken_words(
        found.direction, dictionary(read_vocabulary(shelf.path("words"))[0].vectors), words_of(shelf)
    )
    said = {WORD[a]: c for a, c in zip(few.atoms[5], few.coefficients[5], strict=True) if a >= 0}
    assert {word.text: word.score for word in card.words} == pytest.approx(said) and len(said) == 2
    assert [latent.number for latent in card.latents] == ["4"]
    assert card.threshold == pytest.approx(found.thresholds[5, 0])
    values = [value for _, value in card.examples]
    assert values == sorted(values, reverse=True) and len(values) <= 3 and min(values) > 0
    total = np.abs(found.by_head[5]).sum()
    k = int(np.abs(found.by_head[5]).argmax())
    head = card.heads[0]
    assert head.number == f"{2 + k // 2}:{k % 2}" and head.name == f"{2 + k // 2} and {k % 2}"
    assert head.score == pytest.approx(found.by_head[5, k] / total)
    assert neuron(shelf, -3, 5, 3) == card
    answer = NeuronCard(shelf, card)
    assert "neuron 5 of block 1, " in answer.text() and answer.record()["block"] == 1
    assert set(answer.table()["image_id"]) == {i for i, _ in (*card.examples, *card.against)}


def atoms_of(shelf) -> np.ndarray:
    return dictionary(read_vocabulary(shelf.path("words"))[0].vectors)


def words_of(shelf) -> pd.DataFrame:
    return read_table(shelf.path("lens_words", "-3"), WORDS).frame


@pytest.mark.parametrize(("block", "which", "said"), [(2, 0, "block 2"), (1, 128, "neuron 128")])
def test_what_there_is_not_is_told(shelf, block, which, said) -> None:
    with pytest.raises(RelianceError, match=said):
        neuron(shelf, block, which)


def test_a_variant_without_a_lens_is_told(tmp_path) -> None:
    with pytest.raises(RelianceError, match="no such section"):
        neuron(Shelf({}, "flat", tmp_path), 1, 0)


def test_an_image_in_words_is_the_sum_as_it_stands(shelf, weights, monkeypatch) -> None:  # noqa: F811
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 255, (1, 3, 24, 24), np.uint8))
    picture = Picture(None, "", -1, -1, "new.png", None)
    monkeypatch.setattr(inside, "look", lambda *_: picture)
    models = SimpleNamespace(encoder=load_model(weights), pixels=lambda _: pixels)
    found = attributes_of(shelf, models, "new.png")[0]
    with recording(models.encoder, wanted(models.encoder, 1)) as recorder:
        c = coefficients(recorder.run(pixels), 1).numpy()[0]
    directions = read_directions(shelf.path("lens_directions", "-3"))[0]
    dc = c - directions.mean
    phi = np.einsum("nk,nkp->np", dc, neuron_paths(models.encoder, 1).numpy())
    total = dict.fromkeys(WORD, 0.0)
    few = spoken_words(
        directions.direction, dictionary(read_vocabulary(shelf.path("words"))[0].vectors), words_of(shelf)
    )
    on = np.linalg.norm(phi, axis=1) > directions.thresholds[:, 0]
    for n in np.flatnonzero(on):
        a = float(phi[n] @ directions.direction[n])
        for atom, coefficient in zip(few.atoms[n], few.coefficients[n], strict=True):
            if atom >= 0:
                total[WORD[atom]] += coefficient * a
    assert 0 < on.sum() == found.significant and found.neurons == 128
    assert {each.word: each.weight for each in found.words} == {
        word: pytest.approx(value, abs=1e-5) for word, value in total.items() if value > 0
    }
    said = Described(shelf, (found, picture))
    assert f"{on.sum()} of the 128 neurons of block 1" in said.text()
    assert said.table()["word"].tolist() == [each.word for each in found.words]


def test_words_of_another_vocabulary_are_refused(shelf, tmp_path) -> None:
    other, table = tmp_path / "other.parquet", read_table(shelf.path("words"), TEXT)
    write_table(other, table.frame, TEXT, {"words": "others"}, table.stamp.inputs)
    files = {name: {"-3": shelf.path(name, "-3")} for name in (f"lens_{own}" for own in BLOCKS)}
    with pytest.raises(RelianceError, match="vocabulary"):
        neuron(Shelf({**files, "words": other, "weights": shelf.path("weights")}, "deep", tmp_path), 1, 5)
