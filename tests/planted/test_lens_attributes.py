"""Words of pictures against what was drawn, by hand."""

import pandas as pd
import pytest

from reliance.planted.lens_attributes import compared

from .test_lens import CLASSES, TRUTH


def test_words_that_say_what_was_drawn() -> None:
    said = pd.DataFrame(
        [
            (0, "playing card spade"),  # right
            (0, "cow"),
            (1, "the written word sale"),  # right, the thing is not said
            (2, "waves"),  # of another picture
            (3, ""),
        ],
        columns=["image_id", "word"],
    )
    found = compared(said, TRUTH, CLASSES).set_index("kind")
    assert found["images"].to_dict() == {"object": 4, "word": 2, "background": 4}
    assert found["said"].to_dict() == {"object": 0.25, "word": 0.5, "background": 0}
    # spade and cow are said of the first picture: of the three others of a picture, but for itself
    assert found.loc["object", "chance"] == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 3) / 4)
    assert found.loc["word", "chance"] == pytest.approx((0 + 1 / 3) / 2)
    assert found.loc["background", "chance"] == pytest.approx((1 / 3 + 0 + 0 + 1 / 3) / 4)
