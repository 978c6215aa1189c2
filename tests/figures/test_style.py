import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from reliance.figures import style

# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def lab(color, blindness):
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(BLINDNESS[blindness] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("name", ["PROBES", "FAILURES", "METHODS", "BASES"])
def test_palette_members_stay_apart(name, blindness):
    looks = getattr(style, name)
    for one, other in itertools.combinations(looks.values(), 2):
        distance = np.linalg.norm(lab(one.color, blindness) - lab(other.color, blindness))
        assert distance > 18, (one, other, distance)
    assert len({look.marker for look in looks.values()}) == len(looks)


def test_users_matplotlibrc_has_no_say():
    import matplotlib as mpl

    with mpl.rc_context({"axes.facecolor": "red"}), style.rc():
        assert mpl.rcParams["axes.facecolor"] == "white"
        assert mpl.rcParams["pdf.fonttype"] == 42
