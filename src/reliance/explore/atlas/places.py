"""Where in a picture a patch is outlined."""

from typing import Any

import numpy as np

from reliance.codes.top_samples import BOX
from reliance.explore.atlas.chunks import scaled


def place_of(row: Any) -> list[list[int | None]]:
    """[[left, top, right, bottom]] in thousandths of the picture; nothing where no patch is known.

    row : of a table, with the columns of BOX or without.
    """
    box = np.array([getattr(row, name, np.nan) for name in BOX], np.float64)
    return [scaled(box, 1000)] if np.isfinite(box).all() else []
