"""What was drawn as a table of attributes, read as a user's table is."""

import pandas as pd

from reliance.base.artifacts import write_table
from reliance.images.groups import match, read_ids
from reliance.planted.groups import list_attributes
from reliance.planted.table import TRUTH


def test_attributes_are_read_as_those_of_a_user(tmp_path) -> None:
    paths = ["train/00-cow/00000.png", "test/00-cow/00000.png"]
    frame = pd.DataFrame({"split": ["train", "test"], "image_id": 0, "path": paths, "object": "cow"})
    frame = frame.assign(word=["sale", ""], background="waves", band=False, plant_id="", mode="")
    write_table(tmp_path / "truth.parquet", frame, TRUTH, {}, {})
    list_attributes(truth=tmp_path / "truth.parquet", attributes=tmp_path / "attributes.csv")
    found = match(tmp_path, read_ids(tmp_path / "attributes.csv"), paths)
    assert found == [
        {"background": "waves", "word": "written sale"},
        {"background": "waves", "word": "no word"},
    ]
