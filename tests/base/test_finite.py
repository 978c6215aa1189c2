"""Values that are no numbers are refused by name."""

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import TableSpec, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.finite import all_finite, finite, finite_rows

BROKEN = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_file_array_and_row_are_named(value, dtype):
    rows = np.ones((4, 3), dtype)
    rows[2, 1] = value
    with pytest.raises(RelianceError) as caught:
        finite("x.zarr", "embedding", rows, first_row=10)
    assert caught.value.where == "x.zarr"
    assert caught.value.found == "embedding: 1 of 12 values are NaN or infinite, first in row 12"
    with pytest.raises(RelianceError, match="bias: 1 of 1"):
        all_finite("x", {"weight": np.ones(2), "bias": np.full(1, value, dtype)}, step="train it again")


def test_finite_numbers_pass_untouched_and_other_kinds_are_not_looked_at():
    rows = np.arange(6).reshape(2, 3)
    assert finite("x", "i", rows) is rows
    broken = np.array([np.nan])
    assert finite_rows("part", "x", "f", broken) is broken
    with pytest.raises(RelianceError):
        finite_rows("codes", "x", "values", broken)


@pytest.mark.parametrize("value", BROKEN)
def test_a_table_of_vectors_with_one_that_is_none_is_not_read(tmp_path, value):
    spec = TableSpec("text", 1, (("name", "string"), ("embedding", "embedding")))
    vectors = np.ones((3, 2), np.float32)
    vectors[1, 0] = value
    write_table(
        tmp_path / "t.parquet", pd.DataFrame({"name": list("abc"), "embedding": list(vectors)}), spec, {}, {}
    )
    with pytest.raises(RelianceError, match="embedding: 1 of 6 values are NaN or infinite, first in row 1"):
        read_table(tmp_path / "t.parquet", spec)
    assert len(read_table(tmp_path / "t.parquet", spec, columns=["name"]).frame) == 3
