"""The answer that maps a unit over an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reliance.explore.answers import Answer
from reliance.explore.briefs import plain
from reliance.explore.maps import Map, figure_of, overlaid, sheet_of
from reliance.explore.picture import Picture
from reliance.explore.sheets import Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class UnitMap(Answer):
    """Of one unit over an image."""

    data: Map

    @property
    def picture(self) -> Picture | None:
        """The image with the map laid over it."""
        return self.data.picture._replace(split="", image_id=-1, pixels=overlaid(self.data))

    def table(self) -> pd.DataFrame:
        """One row per patch, from the top left."""
        places = np.indices(self.data.activations.shape).reshape(2, -1)
        columns = {"row": places[0], "column": places[1], "activation": self.data.activations.ravel()}
        return pd.DataFrame(columns)

    def record(self) -> dict[str, Any]:
        """The unit, the image, and activations by row."""
        found = self.data
        image = {name: getattr(found.picture, name) for name in ("split", "image_id", "path")}
        shown = {"variant": found.variant, "unit": found.about, "image": image}
        record: dict[str, Any] = plain({**shown, "activations": found.activations.tolist()})
        return record

    def sheet(self) -> Sheet:
        """The strongest patches."""
        return sheet_of(self.data)

    def figure(self) -> Figure:
        """The image beside the map."""
        return figure_of(self.data, self.sheet().title)
