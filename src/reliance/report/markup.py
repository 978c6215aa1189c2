"""Captions (Markdown) and tables as safe HTML.

Labels, class names and paths are somebody else's text: HTML in them is shown, not run, and links and
images, which could load something from elsewhere, are not made.
"""

import base64
import csv
import io
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markupsafe import Markup
from PIL import Image

_OFF = ["link", "image", "autolink", "html_inline", "html_block", "reference"]
_RENDERER = MarkdownIt("commonmark", {"html": False}).enable("table").disable(_OFF)


class Grid(NamedTuple):
    """A table as text; columns whose cells are all numbers are set flush right."""

    columns: list[str]
    rows: list[list[str]]
    left_out: int = 0  # rows that are not shown

    def numeric(self) -> list[bool]:
        """Per column, whether every filled cell is a number, and one is filled."""
        cells = [[row[i] for row in self.rows if row[i]] for i in range(len(self.columns))]
        return [bool(column) and all(map(_is_number, column)) for column in cells]


def markdown(text: str) -> Markup:
    """Markdown as HTML without links, images and raw HTML."""
    return Markup(_RENDERER.render(text))


def data_uri(path: Path, kind: str) -> str:
    """A file's bytes as a data URI, so that the page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def picture(path: Path) -> str:
    """A PNG as a smaller WebP data URI: without loss, unless that takes more than twice the bytes."""
    with Image.open(path) as image:
        small, exact = (_webp(image.convert("RGB"), lossless) for lossless in (False, True))
    data = exact if len(exact) <= 2 * len(small) else small
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def read_grid(path: Path, limit: int) -> Grid:
    """The first `limit` rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as stream:
        columns, *rows = list(csv.reader(stream)) or [[]]
    return Grid(columns, rows[:limit], max(0, len(rows) - limit))


def _webp(image: Image.Image, lossless: bool) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=lossless, quality=80 if lossless else 90, method=2)
    return stream.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text.replace("−", "-").removeprefix("<").removesuffix("%").partition(" ± ")[0])
    except ValueError:
        return False
    return True
