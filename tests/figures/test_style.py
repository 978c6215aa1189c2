import itertools
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from reliance.base.artifacts import derived_stamp, read_json
from reliance.figures import style

STAMP = derived_stamp("fig5", 1, {"title": "x"}, {"robustness": "0" * 64})
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
@pytest.mark.parametrize("name", ["PROBES", "KINDS", "METHODS", "BASES"])
def test_palette_members_stay_apart(name, blindness):
    looks = getattr(style, name)
    for one, other in itertools.combinations(looks.values(), 2):
        distance = np.linalg.norm(lab(one.color, blindness) - lab(other.color, blindness))
        assert distance > 18, (one, other, distance)
    assert len({look.marker for look in looks.values()}) == len(looks)


def draw():
    with style.rc():
        figure = Figure(figsize=(style.PAGE / 2, 1.5), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0.5, 1])
        axes.set_title("crane $5 or $6")
    return figure


def write(folder):
    folder.mkdir(exist_ok=True)
    paths = {k: folder / f"fig.{k}" for k in ("pdf", "png", "csv")}
    caption = folder / "fig.caption.md"
    numbers = pd.DataFrame({"a": [0.123456789, np.nan]})
    with style.rc():
        style.save(draw(), numbers, STAMP, **paths, caption=caption, words="Übung")
    return {**paths, "caption": caption}


def test_equal_figures_are_equal_bytes_and_carry_their_stamp(tmp_path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    for key, path in first.items():
        assert path.read_bytes() == second[key].read_bytes(), key
        assert read_json(f"{path}.meta.json", "fig5", 1)[1] == STAMP
    assert first["csv"].read_text() == "a\n0.123457\n\n" or first["csv"].read_text() == 'a\n0.123457\n""\n'
    assert first["caption"].read_text(encoding="utf-8") == "Übung\n"
    assert not list(tmp_path.rglob(".*"))


def test_pdf_keeps_text_as_text(tmp_path):
    content = write(tmp_path)["pdf"].read_bytes()
    assert b"/FontFile2" in content  # an embedded TrueType font, not outlines or Type 3
    assert not re.search(rb"/Subtype\s*/Type3", content)
    assert b"CreationDate" not in content


def test_users_matplotlibrc_has_no_say():
    import matplotlib as mpl

    with mpl.rc_context({"axes.facecolor": "red"}), style.rc():
        assert mpl.rcParams["axes.facecolor"] == "white"
        assert mpl.rcParams["pdf.fonttype"] == 42


@pytest.mark.parametrize(
    ("names", "flags", "expected"),
    [
        (["a"], [True], "a (random weights)"),
        (["a"], [False], "a"),
        (["a"], [], "a"),
        (["a", "b", "c"], [True, False, True], "Random weights: a, c"),
        (["a", "b"], [False, False], ""),
        (["a", "b"], [], ""),
    ],
)
def test_heading_names_untrained_encoders(names, flags, expected):
    assert style.heading(names, flags) == expected


def test_heading_refuses_flags_for_other_models():
    with pytest.raises(ValueError, match="zip"):
        style.heading(["a", "b"], [True])
