"""Rows of a classifier and classes of a data set."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reliance.base.errors import RelianceError
from reliance.base.linear_file import Linear
from reliance.images.heads import check_sides, in_order

CLASSES = pd.DataFrame(
    {"class_id": [0, 1, 2], "folder": ["n1", "n2", "n3"], "short_name": ["cat", "dog", "cow"]}
)
TABLE = Path("classes.parquet")


def head(rows, names=()):
    return Linear(np.arange(rows * 2.0).reshape(rows, 2), np.arange(rows * 1.0), tuple(names))


def test_rows_are_brought_into_the_order_of_the_ids():
    found = in_order("h.npz", head(3, ["cow", "n1", "dog"]), TABLE, CLASSES)
    assert found.bias.tolist() == [1, 2, 0] and found.classes == ("n1", "dog", "cow")
    np.testing.assert_array_equal(found.weight[:, 0], [2, 4, 0])


def test_without_names_they_are_in_order():
    assert in_order("h.npz", head(3), TABLE, CLASSES).bias.tolist() == [0, 1, 2]
    assert len(in_order("h.npz", head(1), TABLE, CLASSES).bias) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (head(1000), "1000 rows in h.npz, and 3 classes"),
        (head(2), "2 rows in h.npz"),
        (head(3, ["cat", "dog", "horse"]), "short names, folders or ids"),
        (head(3, ["cat", "dog", "n1"]), "two rows for one class"),
    ],
)
def test_what_does_not_fit_is_refused(given, said):
    with pytest.raises(RelianceError, match=said):
        in_order("h.npz", given, TABLE, CLASSES)


def test_sides_of_an_audit():
    for rows, positive, negative in (
        (3, [], None),
        (1, ["cat", "dog"], None),
        (2, ["cat"], None),
        (3, ["a"], ["b"]),
    ):
        check_sides(head(rows), positive, negative)
    for positive, negative in ((["cat"], None), (["cat", "dog"], ["cow"]), (["cat"], ["dog", "cow"])):
        with pytest.raises(RelianceError, match="one class on either side"):
            check_sides(head(3), positive, negative)
