"""Claims about the size of models."""

import pytest

from reliance.base.claims import larger_is_more


@pytest.mark.parametrize(
    ("values", "sizes", "holds"),
    [
        ([[1], [2], [3]], [1, 2, 4], True),
        ([[3], [2], [1]], [1, 2, 4], False),
        ([[1], [3], [2]], [1, 2, 4], None),  # two of three pairs
        ([[1.0], [1.03]], [1, 2], None),  # more, by less than 5 %
        ([[1, 1], [2, 0.5]], [1, 2], False),  # one of two numbers is less
    ],
)
def test_larger_models_have_more(values, sizes, holds):
    named = {f"m{i}": v for i, v in enumerate(values)}
    (found,) = larger_is_more("size", "larger have more", named, sizes, 0.05)
    assert found.holds is holds


@pytest.mark.parametrize("sizes", [[0, 2], [1, 1.05], [0, 0]])
def test_models_of_one_or_unknown_size_say_nothing(sizes):
    assert larger_is_more("size", "", {"a": [1], "b": [2]}, sizes, 0.05) == []
