import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from reliance.attribution.inputs import Computing
from reliance.attribution.table import ATTRIBUTIONS, OUTPUTS, attribute_block, attribute_split
from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.tails.baselines import logit_lens
from reliance.tails.relevance import attribute, latent_tables, prompt_tables

from .toy import CLASS_IDS, M, ToySplit


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"))
    split.explained = split.files()
    return split


def table(toy, folder, every_nth=1, dtype="float32"):
    paths = {"attributions": folder / "attributions.parquet", "outputs": folder / "outputs.parquet"}
    computing = Computing(block_rows=50, threads=1, dtype=dtype)
    attribute_split(toy.explained, **paths, split="train", every_nth=every_nth, computing=computing)
    return read_table(paths["attributions"], ATTRIBUTIONS)


@pytest.mark.parametrize("every_nth", [1, 5])
def test_the_table_has_every_active_latent_of_every_labelled_image(toy, tmp_path, every_nth):
    frame, stamp = table(toy, tmp_path, every_nth=every_nth, dtype="float64")
    used = [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0 and i % every_nth == 0]
    values = toy.values[used].astype(np.float64)
    text = toy.text[toy.labels[used]]
    expected = attribute(
        toy.x[used], values, toy.indices[used], toy.decoder, toy.head, text, dtype=torch.float64
    )
    tables = latent_tables(toy.decoder, toy.head, dtype=torch.float64)
    lens = logit_lens(tables, prompt_tables(tables, toy.text)).numpy()
    image, position = np.nonzero(values)
    component, label = toy.indices[used][image, position], toy.labels[used][image]
    assert frame["image_id"].tolist() == np.array(used)[image].tolist()
    assert frame["class_id"].tolist() == np.array(CLASS_IDS)[label].tolist()
    assert frame["component"].tolist() == component.tolist()
    for name, column in (
        ("activation", values[image, position]),
        ("act_x_grad", expected.act_x_grad.numpy()[image, position]),
        ("ablation", expected.ablation.numpy()[image, position]),
        ("logit_lens", lens[label, component]),
    ):
        assert frame[name].dtype == np.float32
        np.testing.assert_allclose(frame[name], column, rtol=1e-6, atol=1e-9)
    assert stamp.params == {"split": "train", "every_nth": every_nth, "dtype": "float64", "components": M}
    assert set(stamp.inputs) == {"index", "embeddings", "codes", "sae", "head", "text", "weights"}
    outputs, own = read_table(tmp_path / "outputs.parquet", OUTPUTS)
    assert own.inputs == {**stamp.inputs, "attributions": stamp.id} and own.params == stamp.params
    assert outputs["image_id"].tolist() == used
    assert outputs["class_id"].tolist() == np.array(CLASS_IDS)[toy.labels[used]].tolist()
    np.testing.assert_allclose(outputs["y"], expected.y.numpy(), rtol=1e-6)
    assert set(frame["image_id"]) <= set(used)


def test_float32_is_close_and_the_schema_is_the_declared_one(toy, tmp_path):
    double, _ = table(toy, tmp_path, dtype="float64")
    single, _ = table(toy, tmp_path)
    for name in ("act_x_grad", "ablation", "logit_lens"):
        np.testing.assert_allclose(single[name], double[name], rtol=1e-4, atol=1e-6)
    schema = pq.read_schema(tmp_path / "attributions.parquet")
    kinds = [(f.name, {"float": "float32"}.get(str(f.type), str(f.type))) for f in schema]
    assert tuple(kinds) == ATTRIBUTIONS.columns
    assert pq.ParquetFile(tmp_path / "attributions.parquet").num_row_groups > 1


def test_a_failure_leaves_no_file(toy, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("in the middle")

    monkeypatch.setattr("reliance.attribution.table.attribute_block", broken)
    with pytest.raises(RuntimeError):
        table(toy, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_image_without_active_latents_has_an_output(tmp_path):
    split = ToySplit(tmp_path, per_class=5)
    row = int(np.flatnonzero(split.valid)[3])
    split.values[row], split.indices[row] = 0, 0
    split.explained = split.files()
    frame, _ = table(split, tmp_path)
    outputs = read_table(tmp_path / "outputs.parquet", OUTPUTS).frame
    assert row not in set(frame["image_id"]) and row in set(outputs["image_id"])


@pytest.mark.parametrize(("place", "name"), [(None, "y"), (4, "act_x_grad"), (5, "ablation")])
def test_what_is_not_finite_is_refused_and_leaves_no_file(toy, tmp_path, monkeypatch, place, name):
    def broken(*arguments):
        y, columns = attribute_block(*arguments)
        (y if place is None else columns[place])[2] = np.nan
        return y, columns

    monkeypatch.setattr("reliance.attribution.table.attribute_block", broken)
    with pytest.raises(RelianceError, match=f"{name}: 1 of .* first in row 2"):
        table(toy, tmp_path)
    assert not list(tmp_path.iterdir())
