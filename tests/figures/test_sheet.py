import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reliance.base.artifacts import derived_stamp, read_json
from reliance.figures import style
from reliance.figures.sheet import Sheet, Shown

STAMP = derived_stamp("fig5", 1, {"title": "x"}, {"robustness": "0" * 64})


def draw():
    with style.rc():
        figure = Figure(figsize=(style.PAGE / 2, 1.5), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0.5, 1])
        axes.set_title("crane $5 or $6")
    return figure


def write(folder):
    folder.mkdir(exist_ok=True)
    sheet = Sheet(*(folder / f"fig.{suffix}" for suffix in ("pdf", "png", "csv", "caption.md")))
    numbers = pd.DataFrame({"a": [0.123456789, np.nan]})
    with style.rc():
        sheet.write(draw(), numbers, STAMP, "Übung")
    return sheet._asdict()


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
    assert Shown(names, flags).heading == expected


def test_heading_refuses_flags_for_other_models():
    with pytest.raises(ValueError, match="zip"):
        assert Shown(["a", "b"], [True]).heading
