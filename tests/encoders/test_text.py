"""Prompts and their vectors."""

import numpy as np
import pandas as pd
import pytest
import torch

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.encoders.model import load_model, load_tokenizer
from reliance.encoders.text import (
    TEXT,
    build_prompts,
    embed_text,
    encode_prompts,
    mean_directions,
    read_vocabulary,
)
from reliance.images.tables import CLASSES

TEMPLATES = ("{}", "an image of a {}")
FRAME = pd.DataFrame(
    {
        "class_id": [0, 1, 2],
        "folder": ["a", "b", "c"],
        "short_name": ["tench", "phone booth", "crane"],
        "full_name": ["tench, Tinca tinca", "phone booth", "crane"],
        "definition": ["", "", ""],
    }
)


@pytest.fixture
def classes(tmp_path):
    write_table(tmp_path / "classes.parquet", FRAME, CLASSES, {}, {})
    return tmp_path / "classes.parquet"


@pytest.fixture
def embed(classes, weights, tmp_path):
    """embed(prompt_set, ...) runs the stage and gives the table."""

    def run(prompt_set, **settings):
        embed_text(
            classes=classes,
            weights=weights,
            texts=[tmp_path / "t.parquet"],
            prompt_sets=[prompt_set],
            **settings,
        )
        return read_table(tmp_path / "t.parquet", TEXT)

    return run


def rows(*arguments, **settings):
    return [(row.class_id, *row.prompts) for row in build_prompts(*arguments, **settings)]


def test_prompt_sets():
    assert rows("short", FRAME) == [(0, "tench"), (1, "phone booth"), (2, "crane")]
    assert rows("extended", FRAME)[0] == (0, "tench, Tinca tinca")
    assert rows("templated", FRAME, TEMPLATES)[0] == (0, "tench", "an image of a tench")
    assert rows("both", FRAME, TEMPLATES)[0] == (0, "tench, Tinca tinca", "an image of a tench, Tinca tinca")
    assert rows("words", FRAME) == [(1, "phone"), (1, "booth")]
    assert rows("definition", FRAME) == [
        (i, d) for i, d in zip(FRAME["class_id"], FRAME["definition"], strict=True)
    ]


def test_vocabulary_starts_with_the_empty_prompt():
    found = rows("vocabulary", FRAME, vocabulary=["cat", "{odd}"], written_words=True)
    assert found == [
        (-1, ""),
        (-1, "cat"),
        (-1, "{odd}"),
        (0, "the written word tench"),
        (1, "the written word phone booth"),
        (2, "the written word crane"),
    ]
    assert rows("vocabulary", FRAME, vocabulary=["cat"])[1:] == [(-1, "cat")]


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "{0}"])
def test_templates_hold_one_place(template):
    with pytest.raises(RelianceError, match=r"holds \{\} once"):
        rows("templated", FRAME, ["{}", template])


def test_unknown_prompt_set():
    with pytest.raises(RelianceError, match="allowed: short, templated"):
        rows("shrot", FRAME)


def test_vocabularies(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffcat\n\n  Käuzchen \ncat\n", encoding="utf-8")
    assert read_vocabulary(tmp_path / "names.txt", FRAME) == ["cat", "Käuzchen"]
    assert read_vocabulary(str(tmp_path / "names.txt"), FRAME) == ["cat", "Käuzchen"]
    assert read_vocabulary("classes", FRAME) == ["tench", "phone booth", "crane"]
    assert read_vocabulary(["b", "a", "b"], FRAME) == ["b", "a"]
    found = read_vocabulary("imagenet21k", FRAME)
    assert "tench, Tinca tinca" in found and len(found) == len(set(found)) > 20000


def test_vocabularies_that_are_none(tmp_path):
    for wrong in (None, [], "classes"):
        with pytest.raises(RelianceError, match="a vocabulary has names"):
            read_vocabulary(wrong, FRAME.iloc[:0])
    with pytest.raises(RelianceError, match="FileNotFoundError"):
        read_vocabulary("no/such/file.txt", FRAME)
    (tmp_path / "latin.txt").write_bytes("Käuzchen".encode("latin-1"))
    with pytest.raises(RelianceError, match="UnicodeDecodeError"):
        read_vocabulary(tmp_path / "latin.txt", FRAME)


def test_vectors_are_the_models_normalised(embed, weights):
    frame, stamp = embed("short")
    clip = load_model(weights)
    z = clip.model.encode_text(load_tokenizer(clip.weights)(FRAME["short_name"].tolist()))
    expected = (z / z.norm(dim=-1, keepdim=True)).numpy()
    np.testing.assert_allclose(np.stack(frame["embedding"]), expected, atol=1e-6)
    assert frame["prompt_id"].tolist() == [0, 1, 2] and frame["class_id"].tolist() == [0, 1, 2]
    assert stamp.inputs["weights"] == clip.stamp.id and set(stamp.inputs) == {"classes", "weights"}


def test_templates_are_averaged_as_unit_vectors(embed, weights):
    """Two templates and three prompts: the mean of directions, not of raw vectors."""
    frame, _ = embed("templated", templates=TEMPLATES)
    clip = load_model(weights)
    tokenizer = load_tokenizer(clip.weights)
    for name, found in zip(FRAME["short_name"], frame["embedding"], strict=True):
        z = clip.model.encode_text(tokenizer([t.format(name) for t in TEMPLATES])).double()
        mean = torch.nn.functional.normalize(z, dim=-1).mean(0)
        np.testing.assert_allclose(found, (mean / mean.norm()).numpy(), atol=1e-6)
    assert [list(p) for p in frame["prompts"]][2] == ["crane", "an image of a crane"]


def test_mean_directions_with_groups_of_different_size():
    vectors = np.float32([[1, 0], [0, 1], [1, 0], [-1, 0], [0, -1]])
    found = mean_directions(vectors, [2, 1, 2])
    np.testing.assert_allclose(found, [[2**-0.5, 2**-0.5], [1, 0], [-(2**-0.5), -(2**-0.5)]], atol=1e-7)
    assert mean_directions(np.zeros((0, 2), np.float32), []).shape == (0, 2)


def test_batches_do_not_matter(weights):
    clip = load_model(weights)
    prompts = ["", "a", "b c", "d", "e f g"]
    one, all_at_once = (encode_prompts(clip.model, load_tokenizer(clip.weights), prompts, n) for n in (2, 99))
    np.testing.assert_allclose(one, all_at_once, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-6)


def test_long_prompts_are_cut_as_clip_does_and_counted(embed, weights, caplog):
    long, longer = "one two three four five six", "one two three four five six seven eight nine"
    frame, _ = embed("vocabulary", vocabulary=["short", long, longer])
    assert "1 of 4 prompts are cut to 6 tokens" in caplog.text
    vectors = np.stack(frame["embedding"])
    np.testing.assert_allclose(vectors[2], vectors[3], atol=1e-6)
    assert not np.allclose(vectors[1], vectors[2])


def test_words_of_single_words_are_an_empty_table(weights, tmp_path):
    write_table(tmp_path / "c.parquet", FRAME.iloc[[0, 2]], CLASSES, {}, {})
    embed_text(
        classes=tmp_path / "c.parquet", weights=weights, texts=[tmp_path / "w.parquet"], prompt_sets=["words"]
    )
    assert read_table(tmp_path / "w.parquet", TEXT).frame.empty


def test_identity_follows_the_prompts(embed, tmp_path):
    (tmp_path / "v.txt").write_text("cat\n")
    first = embed("vocabulary", vocabulary=str(tmp_path / "v.txt"))[1].id
    assert embed("vocabulary", vocabulary=["cat"])[1].id == first
    (tmp_path / "v.txt").write_text("dog\n")
    assert embed("vocabulary", vocabulary=str(tmp_path / "v.txt"))[1].id != first
    assert embed("templated", templates=["{}"])[1].id != embed("short")[1].id
