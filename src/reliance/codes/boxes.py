"""Where in an image the patch lies on which a unit is strongest, for any pairs of an image and a unit."""

import numpy as np
import pandas as pd

from reliance.codes.store import Codes
from reliance.codes.top_samples import BOX, Top, boxes

_STEP = 16384  # pairs at a time


def boxes_in(codes: Codes, pairs: pd.DataFrame) -> np.ndarray:
    """BOX of pairs (image_id, component, known), float32 [n, 4]; nan where none is known.

    codes : of patches. A pair that is not `known` is of another split or has no unit; where a unit is not
    active there is no patch either.
    """
    found = np.full((len(pairs), len(BOX)), np.nan, np.float32)
    rows = np.flatnonzero(pairs["known"])
    images, units = (pairs[name].to_numpy(np.int64)[rows] for name in ("image_id", "component"))
    parts = [slice(i, i + _STEP) for i in range(0, len(rows), _STEP)]
    active = np.concatenate(
        [np.zeros(0, bool), *(codes.places_of(images[part], units[part]) >= 0 for part in parts)]
    )
    rows, images, units = rows[active], images[active], units[active]
    if len(rows):
        blank = np.zeros(len(rows), np.int64)
        found[rows] = boxes(codes, Top(units, blank, images, blank.astype(np.float32)), _STEP)
    return found
