"""What stages told of a data set stands on the page, each sentence once."""

import pandas as pd
import pytest

from reliance.base.artifacts import TableSpec, derived_stamp, write_json, write_table
from reliance.explore.tables import Tables
from reliance.images.foresight import KIND, SCHEMA
from reliance.report.data import known_of_data

SPEC = TableSpec("any", 1, (("n", "int64"),))


@pytest.fixture
def study(tmp_path):
    def make(index=None, warnings=()):
        write_table(tmp_path / "index.parquet", pd.DataFrame({"n": [1]}), SPEC, {}, {}, about=index)
        write_json(tmp_path / "checked.json", {"warnings": [*warnings]}, derived_stamp(KIND, SCHEMA, {}, {}))
        files = ("index.parquet", "checked.json")
        return Tables({name.partition(".")[0]: tmp_path / name for name in files}, "mine")

    return make


def test_nothing_is_said_of_data_without_a_remark(study):
    assert known_of_data(study()) == []


def test_every_source_is_heard_once(study):
    index = {"told": ["one class"], "no_images": {".txt": 1200, ".csv": 1}}
    found = known_of_data(study(index, ["one class", "few images"]))
    files = "files that are no images by their endings were left out: 1,200 .txt, 1 .csv"
    assert found == ["one class", "few images", files]
