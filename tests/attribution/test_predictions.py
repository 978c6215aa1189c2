"""The labelled and the winning class of each image in one table."""

import numpy as np
import pandas as pd
import pytest

from reliance.attribution.inputs import Computing
from reliance.attribution.predictions import PREDICTIONS, explain_predictions
from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.attribution.table import attribute_split
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.head import project
from reliance.images.tables import CLASSES
from reliance.naming.table import COMPONENTS
from reliance.tails.relevance import attribute

from .toy import CLASS_IDS, M, ToySplit


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    split = ToySplit(folder, per_class=20)
    split.explained = split.files()
    zeros = {name: 0 for name, _ in COMPONENTS.columns}
    frame = pd.DataFrame({**zeros, "component": range(M), "runner_up": "", "alignment": np.nan})
    frame["label"] = [f"name {i}" for i in range(M)]
    codes = read_stamp(split.explained.codes).id
    write_table(folder / "components.parquet", frame, COMPONENTS, {}, {"codes": codes})
    names = pd.DataFrame({"class_id": CLASS_IDS, "folder": "f", "definition": "", "full_name": ""})
    names["short_name"] = [f"class {i}" for i in CLASS_IDS]
    write_table(folder / "classes.parquet", names, CLASSES, {}, {})
    return split


def made(toy, folder):
    explain_predictions(
        toy.explained,
        classes=toy.folder / "classes.parquet",
        components=toy.folder / "components.parquet",
        named_by=toy.explained.codes,
        predictions=folder / "p.parquet",
        split="train",
        computing=Computing(block_rows=33, threads=1, dtype="float64"),
    )
    return read_table(folder / "p.parquet", PREDICTIONS).frame


def test_the_own_class_is_that_of_the_attributions(toy, tmp_path):
    frame = made(toy, tmp_path)
    outputs = tmp_path / "o.parquet"
    attribute_split(toy.explained, attributions=tmp_path / "a.parquet", outputs=outputs, split="train")
    keys = ["image_id", "component"]
    both = frame.merge(read_table(tmp_path / "a.parquet", ATTRIBUTIONS).frame, on=keys, suffixes=("", "_a"))
    assert len(both) == len(frame) and (both["class_id"] == both["class_id_a"]).all()
    np.testing.assert_allclose(both["effect"], both["ablation"], rtol=1e-3, atol=1e-6)
    y = read_table(outputs, OUTPUTS).frame.set_index("image_id")["y"]
    np.testing.assert_allclose(frame["y"], y.loc[frame["image_id"]], rtol=1e-5)


def test_the_winning_class_is_the_one_with_the_largest_output(toy, tmp_path):
    frame = made(toy, tmp_path)
    z = project(toy.x, toy.head)
    y = z @ toy.text.T / np.linalg.norm(z, axis=1, keepdims=True)
    best = y.argmax(1)
    assert frame["predicted_id"].tolist() == np.array(CLASS_IDS)[best[frame["image_id"]]].tolist()
    np.testing.assert_allclose(frame["y_predicted"], y.max(1)[frame["image_id"]], rtol=1e-4)
    assert (frame["predicted_id"] != frame["class_id"]).any()
    for image, part in frame.groupby("image_id"):
        text = toy.text[best[image]]
        row = slice(image, image + 1)
        codes = toy.values[row].astype(float), toy.indices[row]
        expected = attribute(toy.x[row], *codes, toy.decoder, toy.head, text)
        fires = toy.values[image] != 0
        by = dict(zip(toy.indices[image][fires].tolist(), expected.ablation[0][fires].tolist(), strict=True))
        values = [by[c] for c in part["component"]]
        np.testing.assert_allclose(part["effect_predicted"], values, atol=1e-4)
        assert (np.diff(part["effect_predicted"].abs()) <= 1e-9).all()


def test_images_classes_and_components_have_names(toy, tmp_path):
    frame = made(toy, tmp_path)
    assert set(frame["path"]) == {"p"} and (frame["alignment"] == 0).all()
    assert (frame["class"] == "class " + frame["class_id"].astype(str)).all()
    assert (frame["predicted"] == "class " + frame["predicted_id"].astype(str)).all()
    assert (frame["name"] == "name " + frame["component"].astype(str)).all()


def test_components_of_other_codes_are_refused(toy, tmp_path):
    frame = read_table(toy.folder / "components.parquet", COMPONENTS).frame
    write_table(tmp_path / "other.parquet", frame, COMPONENTS, {}, {"codes": "0" * 64})
    with pytest.raises(RelianceError, match="codes"):
        explain_predictions(
            toy.explained,
            classes=toy.folder / "classes.parquet",
            components=tmp_path / "other.parquet",
            named_by=toy.explained.codes,
            predictions=tmp_path / "p.parquet",
            split="train",
        )
