import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reliance.report.markup import Grid, data_uri, markdown, picture, read_grid

ALLOWED = {"p", "strong", "em", "ul", "ol", "li", "code", "pre", "br", "hr", "blockquote"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6"}


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_captions_become_paragraphs_lists_and_tables():
    html = markdown("**Figure 5.** Words.\n\n- a: **holds** (+0.1).\n\n| a | b |\n|---|---:|\n| x | −0.1 |\n")
    assert "<strong>Figure 5.</strong>" in html
    assert "<li>a: <strong>holds</strong>" in html
    assert '<td style="text-align:right">−0.1</td>' in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](http://example.org/x.png)",
        "<img src=x onerror=alert(1)>",
        "<http://example.org>",
        "[x]: http://example.org\n\n[x]",
    ],
)
def test_nothing_runs_and_nothing_is_loaded(text):
    assert Tags(markdown(text)).tags <= ALLOWED


@given(st.text())
def test_any_text_gives_harmless_tags(text):
    tags = Tags(markdown(text))
    assert tags.tags <= ALLOWED
    assert tags.attributes <= {"style", "start", "class"}


def test_columns_of_numbers_are_set_right():
    grid = Grid(["a", "b", "c", "d"], [["1", "x", "", "12 %"], ["−2.5", "2", "", "3"]])
    assert grid.numeric() == [True, False, False, True]
    assert Grid(["a"], []).numeric() == [False]


def test_a_csv_is_read_up_to_a_limit(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text('a,b\n1,"x, y"\n2,z\n3,w\n')
    assert read_grid(path, 2) == Grid(["a", "b"], [["1", "x, y"], ["2", "z"]], 1)
    path.write_text("")
    assert read_grid(path, 2) == Grid([], [], 0)


def test_a_data_uri_holds_the_bytes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"\x00\x01")
    head, data = data_uri(path, "image/png").split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == b"\x00\x01"


@pytest.mark.parametrize(("noise", "exact"), [(0, True), (60, False)])
def test_plots_are_kept_exactly_and_photographs_nearly(tmp_path, noise, exact):
    ramp = np.arange(64)[:, None, None] // 16 * 60 + np.zeros((64, 64, 3))
    pixels = (ramp + np.random.default_rng(0).uniform(0, noise + 1, ramp.shape)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    head, data = picture(tmp_path / "x.png").split(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == "WEBP"
        gap = np.abs(np.asarray(image).astype(int) - pixels)
    assert (gap.max() == 0) == exact
    assert gap.mean() < 16
