"""Where the patch lies on which a unit is strongest, for pairs of an image and a unit."""

from typing import Any

import numpy as np
import pandas as pd

from reliance.codes.boxes import boxes_in


class Located:
    """Codes of patches on a grid of 2 x 4: unit u is on patch 3 u of image 5, silent elsewhere."""

    grid = (2, 4)

    def places_of(self, images: np.ndarray, components: np.ndarray) -> np.ndarray:
        return np.where(images == 5, 3 * components, -1)


def boxes(**columns: Any) -> np.ndarray:
    return boxes_in(Located(), pd.DataFrame(columns))  # type: ignore[arg-type]


def test_a_patch_is_a_share_of_the_picture() -> None:
    found = boxes(image_id=[5, 5], component=[0, 2], known=[True, True])
    assert found.tolist() == [[0, 0, 0.25, 0.5], [0.5, 0.5, 0.75, 1]]


def test_without_the_unit_or_in_another_split_there_is_none() -> None:
    found = boxes(image_id=[4, 5, 5], component=[1, 1, 1], known=[True, False, True])
    assert np.isnan(found[:2]).all() and found[2].tolist() == [0.75, 0, 1, 0.5]
    assert boxes(image_id=[4], component=[1], known=[True]).shape == (1, 4)
    assert boxes(image_id=np.zeros(0, int), component=np.zeros(0, int), known=np.zeros(0, bool)).shape == (
        0,
        4,
    )
