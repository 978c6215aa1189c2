"""A figure is one module and one row: rule, comparison, page, report and group follow."""

from pathlib import Path

import pandas as pd

from .project import Project

MODULE = '''
"""How many cases there are."""

import pandas as pd

from reliance.base.artifacts import derived_stamp, write_meta
from reliance.figures.sheet import Shown


def made_up(*, robustness, failures, pdf, png, csv, caption, shown: Shown):
    """Write four files about the number of rows."""
    counts = [len(pd.read_parquet(path)) for path in robustness]
    for path in (pdf, png, csv, caption):
        path.write_text(f"{shown.variants} {counts}")
        write_meta(path, derived_stamp("made_up", 1, {}, {}))
'''
ROW = """
    Row(
        "made_up",
        "reliance.figures.made_up:made_up",
        "Fig. 99",
        "Failure modes",
        "Robustness",
        reads="robustness",
        of="cases",
        compares=True,
        about="How many cases there are.",
    ),
)
BY_NAME ="""


def test_one_module_and_one_row_make_a_figure(fresh: Project) -> None:
    figures = fresh.folder / "src/reliance/figures"
    (figures / "made_up.py").write_text(MODULE)
    table = figures / "table.py"
    table.write_text(table.read_text().replace("\n)\nBY_NAME =", ROW, 1))
    for name, rows in (("tiny", 3), ("tiny_early", 2)):
        path = fresh.folder / f"results/{name}/robustness.parquet"
        path.parent.mkdir(parents=True)
        pd.DataFrame({"case": range(rows)}).to_parquet(path)
        path.with_name("failures.tsv").touch()
    alone = ("--allowed-rules", "made_up", "compare_made_up")
    fresh.build("results/tiny/made_up.pdf", "results/compare/tiny/made_up.pdf", *alone)
    results = fresh.folder / "results"
    for suffix in ("pdf", "png", "csv", "caption.md", "pdf.meta.json"):
        assert (results / f"tiny/made_up.{suffix}").is_file()
    assert (results / "tiny/made_up.csv").read_text() == "['tiny'] [3]"
    assert (results / "compare/tiny/made_up.csv").read_text() == "['tiny_early', 'tiny'] [2, 3]"
    assert Path(results / "logs/compare_made_up/tiny.log").is_file()
    said = fresh.build("results/tiny/report.html", "--dry-run")
    assert "results/tiny/made_up.png" in said, "the page shows it"
    page = fresh.build("results/tiny/made_up.pdf", "--report", "report.html", *alone)
    assert "(ERROR" not in page
    assert "How many cases there are." in (fresh.folder / "report.html").read_text()
