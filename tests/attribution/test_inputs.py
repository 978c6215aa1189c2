import numpy as np
import pytest

from reliance.attribution.inputs import blocks, open_inputs
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.encoders.head import save_head
from reliance.encoders.stored import Embeddings
from reliance.images.tables import INDEX
from reliance.units.sae.files import Sae, save_sae

from .toy import CLASS_IDS, WEIGHTS, D, K, M, ToySplit


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), per_class=20)
    split.files = split.files()
    return split


def opened(toy, split="train", **paths):
    return open_inputs(toy.files._replace(**paths), split)


def test_labels_are_rows_of_the_classes_and_text_is_in_their_order(toy):
    inputs = opened(toy)
    assert inputs.class_ids.tolist() == list(CLASS_IDS)
    np.testing.assert_array_equal(inputs.labels, toy.labels)
    np.testing.assert_array_equal(inputs.text, toy.text)


@pytest.mark.parametrize(("every_nth", "block_rows"), [(1, 13), (4, 13), (3, 10_000), (50, 7)])
def test_blocks_hold_each_usable_image_once(toy, every_nth, block_rows):
    found = list(blocks(opened(toy), every_nth, block_rows))
    used = [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0 and i % every_nth == 0]
    for name, expected in (
        ("image_id", np.array(used)),
        ("label", toy.labels[used]),
        ("x", toy.x[used]),
        ("values", toy.values[used].astype(np.float32)),
        ("indices", toy.indices[used]),
    ):
        np.testing.assert_array_equal(np.concatenate([getattr(b, name) for b in found]), expected)
    assert max(len(b.x) for b in found) <= block_rows


def test_artifacts_of_other_origin_are_refused_naming_both(toy, tmp_path):
    head, text = tmp_path / "head.safetensors", tmp_path / "text.parquet"
    save_head(head, toy.head, "0" * 64)
    toy.write_text(text, weights="0" * 64)
    sae = tmp_path / "sae.safetensors"
    other = Sae(-toy.decoder, np.zeros(M, np.float32), -toy.decoder, np.zeros(D, np.float32), K)
    save_sae(sae, other, {}, {"encoder": WEIGHTS})
    index, stamp = read_table(toy.files.index, INDEX)
    write_table(tmp_path / "index.parquet", index, INDEX, {"other": 1}, stamp.inputs)
    for paths, what in (
        ({"head": head}, "encoder weights"),
        ({"text": text}, "encoder weights"),
        ({"sae": sae}, "SAE"),
        ({"index": tmp_path / "index.parquet"}, "image index"),
    ):
        with pytest.raises(RelianceError, match=f"same {what}") as caught:
            opened(toy, **paths)
        assert str(next(iter(paths.values()))) in str(caught.value)


def test_codes_of_other_embeddings_are_refused(toy, tmp_path):
    arrays = {"x": toy.x + 1, "valid": toy.valid}
    inputs = {"index": opened(toy).ids["index"], "weights": WEIGHTS}
    other, _ = toy.write_parts("embeddings", arrays, inputs, folder="other")
    with pytest.raises(RelianceError, match="same embeddings"):
        opened(toy, embeddings=other)


def test_embeddings_of_another_split_are_refused(toy):
    with pytest.raises(RelianceError, match="split 'test'"):
        opened(toy, split="test")


def test_class_tokens_that_are_not_finite_are_refused_by_image(toy):
    inputs = opened(toy)
    row = int(np.flatnonzero(toy.valid)[20])
    broken = toy.x.copy()
    broken[row, 3] = np.inf
    arrays = {"x": broken, "valid": toy.valid}
    manifest, _ = toy.write_parts("embeddings", arrays, inputs.embeddings.stamp.inputs, folder="broken")
    with pytest.raises(RelianceError, match=rf"image_id {row}|x: 1 of \d+ values are NaN or infinite"):
        list(blocks(inputs._replace(embeddings=Embeddings(manifest)), 1, 16))


def test_a_class_without_a_prompt_is_named(toy, tmp_path):
    from reliance.encoders.text import TEXT

    frame, stamp = read_table(toy.files.text, TEXT)
    write_table(tmp_path / "t.parquet", frame[frame["class_id"] != 5], TEXT, {}, stamp.inputs)
    with pytest.raises(RelianceError, match=r"\[5\]"):
        opened(toy, text=tmp_path / "t.parquet")
    twice = frame.assign(class_id=[2, 2, 3, 5, 9])
    write_table(tmp_path / "t.parquet", twice, TEXT, {}, stamp.inputs)
    with pytest.raises(RelianceError, match="2 for class 2"):
        opened(toy, text=tmp_path / "t.parquet")
    write_table(tmp_path / "t.parquet", frame.assign(class_id=-1), TEXT, {}, stamp.inputs)
    with pytest.raises(RelianceError, match="no class"):
        opened(toy, text=tmp_path / "t.parquet")


def test_images_without_classes_have_no_attributions(tmp_path):
    split = ToySplit(tmp_path, per_class=5)
    split.labels[:] = -1
    files = split.files()
    with pytest.raises(RelianceError, match="no image with a class"):
        open_inputs(files, "train")
