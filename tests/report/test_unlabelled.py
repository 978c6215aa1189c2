"""The page of images without classes: what it warns of and leaves out."""

import pandas as pd

from reliance.base.artifacts import derived_stamp
from reliance.report.markup import Grid
from reliance.report.page import write_page
from reliance.report.unlabelled import TEMPLATE, seldom


def test_components_of_one_image_are_counted_not_shown():
    told = seldom(pd.DataFrame({"n_active": [0, 0, 1, 2, 30]}))
    assert "1 that fire on a single image" in told and "2 that never fire" in told
    assert seldom(pd.DataFrame({"n_active": [2, 3]})) == ""


def test_warnings_stand_on_top_and_those_of_names_above_the_names(tmp_path):
    grid = Grid(["a"], [["b"]])
    lists = {key: [] for key in ("facts", "known", "strips")}
    tables = dict.fromkeys(("components", "configuration", "artifacts", "versions"), grid)
    said = {"warnings": ["bad SAE <b>", "guesses"], "names_doubts": ["guesses"], "seldom": "", "note": ""}
    values = {"variant": "flat", "random_weights": False, "image": "data:,", "caption": "", **lists, **tables}
    write_page(TEMPLATE, {**values, **said}, tmp_path / "page.html", derived_stamp("page", 1, {}, {}))
    text = (tmp_path / "page.html").read_text()
    assert text.index("bad SAE &lt;b&gt;") < text.index("No classes.")
    assert text.count("guesses") == 2
    assert text.index('id="components"') < text.rindex("guesses") < text.index("<td>")
