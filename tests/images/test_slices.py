"""Rows of an index without the others, against the whole index."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.images.slices import counted, paths_of, read_part, take
from reliance.images.tables import INDEX, KEPT, read_split


def written(folder, train, test, group, places=True):
    """An index with so many images in groups of so many rows."""
    ids = [*range(test), *range(train)]
    frame = pd.DataFrame({
        "split": ["test"] * test + ["train"] * train, "image_id": ids,
        "path": [f"{i}.jpg" for i in range(len(ids))], "class_id": [i % 3 for i in ids],
        "bytes": [100 + i for i in ids], "place": [f"a.tar#{i}" for i in ids],
    })  # fmt: skip
    spec = INDEX._replace(columns=(*INDEX.columns, *(KEPT[1:2] if places else ())))
    path = folder / f"{train}-{test}-{group}.parquet"
    write_table(path, frame, spec, {}, {}, row_group=group)
    return path


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.integers(1, 6))
def test_parts_are_the_split_and_their_rows_those_of_the_whole(tmp_path_factory, train, test, group, parts):
    path = written(tmp_path_factory.getbasetemp(), train, test, group)
    assert counted(path) == {"test": test, "train": train}
    for split in ("train", "test"):
        whole = read_split(path, split)
        found = [read_part(path, split, i, parts) for i in range(parts)]
        assert [span.start for _, span in found] == [0, *(span.stop for _, span in found[:-1])]
        for name in ("paths", "class_ids", "sizes", "places"):
            pieces = np.concatenate([getattr(rows, name) for rows, _ in found])
            np.testing.assert_array_equal(pieces, getattr(whole, name))
        assert all(rows.stamp == whole.stamp for rows, _ in found)


def test_an_index_without_places_has_empty_ones(tmp_path):
    rows, _ = read_part(written(tmp_path, 4, 4, 3, places=False), "train", 1, 2)
    assert rows.places.tolist() == ["", ""]


def test_some_images_are_taken_in_the_order_of_the_index(tmp_path):
    path = written(tmp_path, 9, 5, 4)
    whole = read_table(path, INDEX).frame
    found, _ = take(path, {"train": [7, 0, 7, 99, -1], "test": [4], "cases": [0]})
    expected = whole[(whole["split"] == "train") & whole["image_id"].isin([0, 7]) | (whole.index == 4)]
    pd.testing.assert_frame_equal(
        found[["split", "image_id", "path"]], expected[["split", "image_id", "path"]].reset_index(drop=True),
        check_dtype=False,
    )  # fmt: skip
    assert paths_of(path, "train", [7, 0]) == ["12.jpg", "5.jpg"]
    assert take(path, {})[0].empty


def test_what_is_no_index_or_has_no_such_split_is_refused(tmp_path):
    path = written(tmp_path, 2, 2, 3)
    with pytest.raises(RelianceError, match="no image in split 'cases'"):
        read_part(path, "cases")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RelianceError, match="readable 'index' artifact"):
        read_part(path, "train")
