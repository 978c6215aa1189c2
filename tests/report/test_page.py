"""The template with hostile texts; a real page is built in tests/workflow."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from reliance.base.artifacts import TableSpec, derived_stamp, write_meta, write_table
from reliance.base.claims import Finding
from reliance.base.errors import RelianceError
from reliance.explore.tables import Tables
from reliance.report.claims import count, verdicts, write_findings
from reliance.report.markup import Grid, markdown
from reliance.report.opening import Opening
from reliance.report.page import TEMPLATE, Exhibit, write_page
from reliance.report.provenance import check_figures

STAMP = derived_stamp("report", 1, {}, {})
HOSTILE = "<script>alert(1)</script>\"' onload=x {{ 7 * 7 }} \u202e"


class Page(HTMLParser):
    """Collects tags, attributes and ids."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


def values(text: str, **changes: object) -> dict[str, object]:
    grid = Grid([text, "n"], [[text, "1"]], 3)
    figure = Exhibit(
        "fig5", "Figure 5", "data:image/png;base64,AA==", True, markdown(text), grid, "data:,", "fig5.csv"
    )
    content = {
        "variant": text,
        "mined_by": "other",
        "random_weights": True,
        "note": text,
        "known": [text],
        "audit": text,
        "audit_doubts": [text],
        "names_doubts": [text],
        "left_out": ["3", text],
        "command": text,
        "atlas_command": text,
        "opening": Opening([(text, text)], grid, [(text, text)], [text], [text], text, [text]),
        "chance": 0.05,
        "paper": grid,
        "paper_same": False,
        "gone": [text],
        "cases": grid,
        "weak_cases": grid,
        "truth": grid,
        "misses": [text],
        "counts": {"holds": 1, "does not hold": 0, "undecided": 2},
        "found": {"Faithfulness": verdicts([Finding("a:b", None, text, text)])},
        "sections": {"Case study": [figure._replace(name="fig6")], "Failure modes": [figure]},
        "hidden": grid,
        "components": grid,
        "configuration": grid,
        "artifacts": grid,
        "versions": grid,
        "times": grid,
    }
    return {**content, **changes}


def test_hostile_texts_stay_texts(tmp_path):
    write_page(TEMPLATE, values(HOSTILE), tmp_path / "report.html", STAMP)
    page = Page(tmp_path / "report.html")
    assert "script" not in page.tags
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert "49" not in (tmp_path / "report.html").read_text()


def test_the_page_loads_nothing_from_elsewhere(tmp_path):
    write_page(TEMPLATE, values("x"), tmp_path / "report.html", STAMP)
    page = Page(tmp_path / "report.html")
    assert all(value.startswith("data:") for value in page.values("src"))
    links = [value for value in page.values("href") if not value.startswith(("#", "data:"))]
    assert links == ["atlas/index.html", "https://arxiv.org/abs/2505.20229"]  # followed only by a click
    assert "link" not in page.tags
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href") if value.startswith("#")} <= set(ids)
    assert all(page.values("alt"))


def test_a_variant_without_an_sae_or_cases_has_a_page(tmp_path):
    empty = Grid(["a"], [])
    some = values(
        "x",
        components=None,
        hidden=None,
        truth=None,
        audit="",
        note="",
        cases=empty,
        weak_cases=empty,
        gone=[],
        found={},
    )
    write_page(TEMPLATE, some, tmp_path / "report.html", STAMP)
    text = (tmp_path / "report.html").read_text()
    assert "No case passed the thresholds" in text
    assert 'id="components"' not in text


def test_findings_are_grouped_by_claim_and_written(tmp_path):
    found = [
        Finding("a:x", True, "claim", "here (+1)"),
        Finding("b", None, "other", "there"),
        Finding("a:y", False, "claim", "there (-1)"),
    ]
    assert verdicts(found)[0] == ("claim", [("holds", "here (+1)"), ("does not hold", "there (-1)")])
    write_findings(tmp_path / "f.json", {"Faithfulness": found}, STAMP)
    record = json.loads((tmp_path / "f.json").read_text())["findings"]["Faithfulness"]
    assert record[1] == {"name": "b", "verdict": "undecided", "claim": "other", "numbers": "there"}


def test_what_there_is_no_data_for_is_no_verdict():
    found = [Finding("a", None, "claim", "r = unknown", seen=False), Finding("b", None, "other", "r = 0.1")]
    assert [claim for claim, _ in verdicts(found)] == ["other"]
    assert count({"any": found}, None) == 1


def test_the_users_questions_come_first_and_the_papers_claims_last(tmp_path):
    write_page(TEMPLATE, values("x"), tmp_path / "report.html", STAMP)
    text = (tmp_path / "report.html").read_text()
    parts = ("What is this model?", "How good is it?", "Where is it fooled", "What can I do next?")
    parts += ('id="cases"', 'id="failure-modes"', 'id="components"', 'id="findings"', 'id="provenance"')
    assert sorted(parts, key=text.index) == list(parts)


def test_all_cases_are_on_the_page_the_weak_ones_apart(tmp_path):
    many = Grid(["prompt"], [[f"case {i:02}"] for i in range(45)])
    weak = Grid(["prompt"], [["perhaps chance"]])
    write_page(TEMPLATE, values("x", cases=many, weak_cases=weak), tmp_path / "report.html", STAMP)
    text = (tmp_path / "report.html").read_text()
    assert all(f"case {i:02}" in text for i in range(45))
    assert "15 more" in text
    assert text.index("case 44") < text.index("Cases that may be chance") < text.index("perhaps chance")


def test_a_figure_drawn_from_another_table_is_refused(tmp_path):
    table, other = (tmp_path / name for name in ("a.parquet", "b.parquet"))
    spec = TableSpec("thing", 1, (("a", "int64"),))
    frame = pd.DataFrame({"a": [1]})
    stamps = [write_table(path, frame, spec, {"path": path.name}, {}) for path in (table, other)]
    figures = [tmp_path / "fig3.png", tmp_path / "fig7.png"]
    for figure, stamp in zip(figures, stamps, strict=True):
        figure.write_bytes(b"")
        write_meta(figure, derived_stamp(figure.stem, 1, {}, {"demo": stamp.id}))
    check_figures(Tables({"faithfulness": table}, "demo"), figures[:1])
    check_figures(Tables({}, "demo"), figures)
    with pytest.raises(RelianceError, match=r"fig7\.png"):
        check_figures(Tables({"faithfulness": table}, "demo"), figures)


def test_the_page_says_what_is_left_out(tmp_path):
    write_page(TEMPLATE, values("x", left_out=["3", "4"]), tmp_path / "report.html", STAMP)
    assert "Not shown: Figures 3, 4." in (tmp_path / "report.html").read_text()


def test_an_empty_table_is_a_word_without_headers(tmp_path):
    some = values("x", hidden=Grid(["a column of hidden concepts"], []))
    write_page(TEMPLATE, some, tmp_path / "report.html", STAMP)
    text = (tmp_path / "report.html").read_text()
    assert "a column of hidden concepts" not in text
    assert '<p class="note">None.</p>' in text
