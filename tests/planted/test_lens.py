"""What neurons' images have in common, as it was drawn."""

import numpy as np
import pandas as pd

from reliance.planted.lens import _most_shared, factors, needed

TRUTH = pd.DataFrame(
    {
        "object": ["spade", "spade", "cow", "cow"],
        "word": ["", "sale", "sale", ""],
        "background": ["waves", "plain", "plain", "waves"],
    }
)
CLASSES = pd.DataFrame({"short_name": ["spade", "cow"], "definition": ["playing card spade", "cow shape"]})


def test_factors_and_what_names_say_them() -> None:
    has, names = factors(TRUTH, CLASSES)
    assert [name for name, _ in names] == [
        "object:cow", "object:spade", "word:sale", "background:plain", "background:waves",
    ]  # fmt: skip
    assert names[1][1] == {"spade", "playing card spade"} and names[2][1] == {"the written word sale"}
    assert has[:, 2].tolist() == [False, True, True, False]


def test_things_that_images_take() -> None:
    has, _ = factors(TRUTH, CLASSES)
    assert needed(has[[0, 1, 0, 1]]) == 1
    assert needed(has[[0, 1, 2, 3]]) == 2
    assert needed(np.zeros((0, 5), bool)) == 0
    assert _most_shared(has[[0, 1]], has) == 1 and _most_shared(has[:0], has) == -1
