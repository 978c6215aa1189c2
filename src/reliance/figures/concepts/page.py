"""The page of Fig. 4: clarity, unique concepts and alignments of components, of one model or several."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reliance.figures import style
from reliance.figures.canvas import EDGE, HEADING, RIGHT, Canvas, lines_of, width_of
from reliance.figures.concepts.bars import (
    Bar,
    Histogram,
    bar_handles,
    draw_bars,
    draw_histogram,
    draw_shared,
    histogram_handles,
    key,
    shared_handles,
)
from reliance.figures.concepts.examples import HEIGHT, Example, draw_examples
from reliance.figures.concepts.scatter import Cloud, draw_cloud

NAMES = ("a  Clarity and activation", "b  Unique concepts", "c  Alignment")
BODY = 1.55  # height of the panels of one model, inches
CLOUD, LOW = (1.3, 1.0), (0.85, 0.6)  # heights of scatters and histograms of several, in one line or more
HEADER, TITLES, FOOTER, KEY = 0.22, 0.3, 0.38, 0.16  # heights, inches
NUMBERS, BETWEEN, ROW = 0.36, 0.14, 0.105  # widths of an axis' numbers and between panels; height of a bar


class Page(NamedTuple):
    """What is drawn; one item per model in every list."""

    clouds: list[Cloud]
    bars: list[list[Bar]]
    shared: np.ndarray  # [models, 3]: labels of the SAE in all models, in some, in this one only
    histograms: list[Histogram]
    examples: Sequence[Example] = ()  # of the only model


def draw_components(page: Page, names: Sequence[str], title: str) -> Any:
    """Draw the page, a page wide; `names` are the models."""
    above = HEADING + 0.05 if title else 0.05
    several = len(names) > 1
    pictures = HEIGHT if page.examples else 0.0
    alone = HEADER + TITLES + BODY + FOOTER + pictures
    canvas = Canvas(style.PAGE, above + (_height(page) if several else alone))
    canvas.text(EDGE, 0.06, title, 8)
    (_draw_several if several else _draw_one)(canvas, page, above, names)
    return canvas.figure


def _draw_one(canvas: Canvas, page: Page, top: float, _: Sequence[str]) -> None:
    """The three panels beside each other, and below them components as examples of the last."""
    labels = max(width_of(bar.look.label) for bar in page.bars[0]) + 0.08
    insets = (NUMBERS, labels, NUMBERS)
    room = style.PAGE - EDGE - RIGHT - sum(insets) - 2 * BETWEEN
    a, b, c = (share * room for share in (0.36, 0.32, 0.32))
    lefts = [EDGE + NUMBERS, EDGE + NUMBERS + a + BETWEEN + labels, style.PAGE - RIGHT - c]
    body = top + HEADER + TITLES
    for name, left, inset in zip(NAMES, lefts, insets, strict=True):
        canvas.text(left - inset, top + 0.05, name, 7.5)
    draw_cloud(canvas, page.clouds[0], (lefts[0], body), (a, BODY), first=True, margins=True)
    axes = canvas.axes(lefts[1], body, b, BODY)
    draw_bars(axes, page.bars, [bar.look.label for bar in page.bars[0]], b)
    key(canvas, bar_handles([]), lefts[1] + b, body - 0.27)
    draw_histogram(canvas.axes(lefts[2], body, c, BODY), page.histograms[0], c, True)
    key(canvas, histogram_handles(), lefts[2] + c, body - 0.27)
    draw_examples(canvas, page.examples, body + BODY + FOOTER)


def _draw_several(canvas: Canvas, page: Page, top: float, names: Sequence[str]) -> None:
    """Scatters, bars and histograms below each other, the panels of models beside each other."""
    canvas.text(EDGE, top + 0.05, NAMES[0], 7.5)
    top += HEADER
    lines = lines_of(len(names))
    cloud, low = _heights(page)
    for line in lines:
        for i, (left, width) in zip(line, _slots(len(lines[0])), strict=False):
            at, size = (left, top + TITLES), (width, cloud)
            draw_cloud(canvas, page.clouds[i], at, size, first=i == line[0], margins=True)
        top += TITLES + cloud + FOOTER
    _draw_middle(canvas, page, top, names)
    top += HEADER + KEY + _bars_height(page) + FOOTER
    canvas.text(EDGE, top + 0.05, NAMES[2], 7.5)
    key(canvas, histogram_handles(), style.PAGE - RIGHT, top + 0.06)
    top += HEADER
    for line in lines:
        for i, (left, width) in zip(line, _slots(len(lines[0])), strict=False):
            axes = canvas.axes(left, top + TITLES, width, low)
            draw_histogram(axes, page.histograms[i], width, i == line[0])
        top += TITLES + low + FOOTER


def _draw_middle(canvas: Canvas, page: Page, top: float, names: Sequence[str]) -> None:
    """Bars of every basis, and what the models have in common."""
    canvas.text(EDGE, top + 0.05, NAMES[1], 7.5)
    left = EDGE + max(width_of(name) for name in names) + 0.08
    width = 0.62 * (style.PAGE - RIGHT - left - 0.3)
    right = left + width + 0.3
    height, body = _bars_height(page), top + HEADER + KEY
    draw_bars(canvas.axes(left, body, width, height), page.bars, names, width)
    draw_shared(canvas.axes(right, body, style.PAGE - RIGHT - right, height), page.shared, page.bars)
    key(canvas, bar_handles([bar.look for bar in page.bars[0]]), left + width, top + HEADER)
    key(canvas, shared_handles(len(names)), style.PAGE - RIGHT, top + HEADER)


def _height(page: Page) -> float:
    lines = len(lines_of(len(page.clouds)))
    panels = lines * (2 * (TITLES + FOOTER) + sum(_heights(page)))
    return panels + 3 * HEADER + KEY + _bars_height(page) + FOOTER


def _heights(page: Page) -> tuple[float, float]:
    """Of a scatter and of a histogram."""
    dense = len(lines_of(len(page.clouds))) > 1
    return CLOUD[dense], LOW[dense]


def _bars_height(page: Page) -> float:
    return ROW * (sum(len(bars) for bars in page.bars) + 0.6 * len(page.bars))


def _slots(count: int) -> list[tuple[float, float]]:
    """Left ends and widths of axes beside each other."""
    slot = (style.PAGE - EDGE - RIGHT - 0.12 - BETWEEN * (count - 1)) / count
    return [(EDGE + 0.12 + NUMBERS - 0.1 + i * (slot + BETWEEN), slot - NUMBERS + 0.1) for i in range(count)]
