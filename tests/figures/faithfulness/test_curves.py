"""Bands that cover each other are drawn once."""

import numpy as np
import pytest

from reliance.figures.faithfulness.curves import Curve, Panel, Row, draw_curves
from reliance.figures.style import Look


@pytest.mark.parametrize(("apart", "bands"), [(0.0, 1), (0.01, 1), (0.5, 6)])
def test_equal_bands_are_one(apart, bands):
    curves = [
        Curve(Look(f"method {i}", "#0072b2", "o"), np.linspace(5, 4, 5) + apart * i, np.full(5, 0.4), "4 ± 1")
        for i in range(6)
    ]
    figure = draw_curves([Row("", [Panel("Deletion", "", curves)])], title="pets", named=True)
    (axes,) = figure.axes
    assert len(axes.collections) == bands
    assert len(axes.get_lines()) == 6
