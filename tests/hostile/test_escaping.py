"""A page whose every name, label, note and path is hostile: all of it is shown, none of it runs."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import derived_stamp
from reliance.base.claims import Finding
from reliance.report import provenance, rows
from reliance.report.markup import data_uri, markdown, read_grid
from reliance.report.page import ROWS, TEMPLATE, Exhibit, verdicts, write_page
from report.test_page import values as template_values

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "closed before": '"></td></bdi></title></style><script src=//evil.example/x.js></script>',
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "quote": "' autofocus onfocus=alert(1) '",
    "image": "<img src=x onerror=alert(1)>",
    "link": "[click](javascript:alert(1)) ![p](https://evil.example/p.png) <https://evil.example>",
    "reference": "[a]\n\n[a]: javascript:alert(1)",
    "frame": "<iframe src=https://evil.example></iframe><base href=//evil.example><meta http-equiv=refresh>",
    "drawing": "<svg/onload=alert(1)><math><a xlink:href=javascript:alert(1)>",
    "comment": "<!-- --><!--[if IE]><script>alert(1)</script><![endif]--> ]]> <?php ?>",
    "template": "{{ 7 * 191 }} {% include '/etc/passwd' %} {# #} ${7*191} <%= 7*191 %> {0.__class__}",
    "entity": "&lt;script&gt;&#60;script&#62; &colon; javascript&colon;alert(1)",
    "from right to left": "\u202egpj.exe\u2066\u202d",
    "control": "\x00\x1b[2J\x08\r\n\x85\u2028",
    "long": "<b>" * 5000,
    "table": "a | b |\n|---|---|\n| <b>c | d",
    "empty": "",
}
VOID = {"meta", "img", "br", "hr", "link", "input", "base", "source"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; `open` holds what was never closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.others: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(key, value or "") for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.others.append(data)

    handle_pi = unknown_decl = handle_comment


def frames(bad: str) -> dict[str, pd.DataFrame]:
    """The tables behind a page of two cases, with a text wherever one can stand."""
    component = {
        "component": [0, 1],
        "label": bad or "x",
        "name": bad or "x",
        "nearest": bad,
        "runner_up": bad,
        "alignment": 0.1,
        "clarity": np.nan,
    }
    hidden = {"band": bad, "activation": 1.0, "class_id": 0, "share": 0.1, "by_relevance": True}
    case = {"failure_id": [bad, "2"], "kind": "other", "class_id": [0, 99], "component": [0, 99]}
    return {
        "failures": pd.DataFrame(
            {**case, "score": 1.0, "q_value": 0.01, "source": bad, "reviewed": bad, "note": bad}
        ),
        "samples": pd.DataFrame({"failure_id": [bad], "dataset": bad, "split": bad, "image_id": 0}),
        "index": pd.DataFrame({"split": [bad], "image_id": 0, "class_id": 0}),
        "class_names": pd.DataFrame({"class_id": [0], "short_name": bad}),
        "components": pd.DataFrame({**component, "top20_mean": 1.0, "n_active": 3, "firing_rate": 0.1}),
        "stability": pd.DataFrame({"component": component["component"], "confidence": 0.1, "rival": bad}),
        "robustness": pd.DataFrame(
            {"failure_id": [bad], "source": bad, "probe": "short", "spurious_auc": 0.5}
        ),
        "hidden": pd.DataFrame({**component, **hidden, "by_activation": True}),
    }


def page(folder: Path, bad: str) -> str:
    """A page in which a text is name, label, path, note, setting, caption, number and verdict."""
    t = frames(bad)
    named = {"failure_samples": t["samples"], "mined_components": t["components"]}
    study: Any = SimpleNamespace(**t, **named)
    (folder / "jobs/rule").mkdir(parents=True)
    (folder / "jobs/rule/owner.tsv").write_text(
        f"s\tmax_pss\n{bad.partition(chr(10))[0]}\t1\n", encoding="utf-8"
    )
    csv = folder / "fig5.csv"
    csv.write_text(f'a,b\n"{bad.replace(chr(34), chr(34) * 2)}",1\n', encoding="utf-8", newline="")
    numbers = read_grid(csv, ROWS)
    values = {
        "variant": bad or "x",
        "mined_by": f"{bad} too",
        "random_weights": True,
        "gone": [bad],
        "cases": rows.case_rows(study, study.failures),
        "truth": numbers,
        "found": {bad: verdicts([Finding(bad, True, f"c{bad}", bad), Finding(bad, False, "c", bad)])},
        "sections": {
            "Failure modes": [
                Exhibit(
                    "fig5",
                    f"Figure {bad}",
                    "data:image/webp;base64,AA==",
                    True,
                    markdown(bad),
                    numbers,
                    data_uri(csv, "text/csv"),
                    "fig5.csv",
                )
            ]
        },
        "hidden": rows.hidden_rows(t["hidden"], t["class_names"], ROWS),
        "components": rows.component_rows(t["components"], t["stability"], ROWS),
        "configuration": provenance.Grid(
            ["key", "value"], provenance.settings_rows({"variant": {bad: [bad, {bad: None}]}})
        ),
        "artifacts": provenance.Grid(["artifact"], [[bad]]),
        "versions": provenance.versions(),
        "times": provenance.times(folder / "jobs", ["owner"]),
    }
    values = {**template_values(bad), **values}  # and whatever else the page shows
    write_page(TEMPLATE, values, folder / "report.html", derived_stamp("report", 1, {"variant": bad}, {}))
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(page(tmp_path_factory.mktemp("page"), "x"))


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hostile_becomes_part_of_the_page(tmp_path: Path, harmless: Page, bad: str) -> None:
    found = Page(page(tmp_path, bad))
    captions = {"p", "table", "thead", "tbody", "tr", "th", "td", "br", "em", "strong", "code", "pre"}
    assert set(found.tags) <= set(harmless.tags) | captions
    assert not {"script", "iframe", "object", "embed", "base", "link", "form", "svg", "math"} & set(
        found.tags
    )
    assert not [key for key, _ in found.attributes if key.startswith("on") or key in ("srcdoc", "formaction")]
    assert {key for key, _ in found.attributes} <= {key for key, _ in harmless.attributes}
    assert not found.open and not found.others
    targets = [value for key, value in found.attributes if key in ("src", "href", "action", "xlink:href")]
    inside = ("#", "data:image/webp;", "data:text/csv;")
    own = {value for _, value in harmless.attributes}  # of the template
    assert targets and all(value.startswith(inside) or value in own for value in targets)
    styles = [value for key, value in found.attributes if key == "style"]
    assert all(
        value in [v for k, v in harmless.attributes if k == "style"] or "text-align" in value
        for value in styles
    )
    assert "1337" not in found.text and "root:" not in found.text


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
def test_what_is_hostile_is_shown_as_it_is(tmp_path: Path, bad: str) -> None:
    """Not dropped either: in cells and facts the whole text stands, character by character."""
    text = Page(page(tmp_path, bad)).text
    plain = bad.replace("\r\n", "\n").replace("\r", "\n")  # as HTML reads line breaks
    assert text.replace("\r\n", "\n").replace("\r", "\n").count(plain.strip()) >= 10 or not plain


def test_the_numbers_that_can_be_saved_are_the_file_as_it_is(tmp_path: Path) -> None:
    bad = HOSTILE["script"]
    found = Page(page(tmp_path, bad))
    href = next(v for k, v in found.attributes if k == "href" and v.startswith("data:"))
    assert base64.b64decode(href.partition(",")[2]) == (tmp_path / "fig5.csv").read_bytes()


def test_settings_are_shown_as_json() -> None:
    assert provenance.settings_rows({"a": {"<b>": ["</td>", None]}}) == [
        ["a.<b>", json.dumps(["</td>", None])]
    ]
