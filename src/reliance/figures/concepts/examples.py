"""Pictures for Fig. 4 c: a component that its best label fits badly, one as usual, and one well."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same, read_table
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.concepts.concepts import named
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas
from reliance.figures.gallery import DPI, cut, harmless
from reliance.figures.thumbnails import AS_STORED, DATASET, Album, Pictured, Reading, Thumbnail, strongest
from reliance.naming.table import COMPONENTS

FITS = {"badly": 0.05, "as usual": 0.5, "well": 0.95}  # how a label fits: quantile of the alignments
ACROSS = 6  # pictures of a component
BETWEEN, GROUPS, WORDS = 0.02, 0.22, 0.3  # spaces between pictures and groups; height of two lines, inches
SIDE = (style.PAGE - EDGE - RIGHT - (len(FITS) - 1) * GROUPS) / len(FITS) / ACROSS - BETWEEN  # inches
HEIGHT = WORDS + SIDE + 0.12  # inches
COLUMNS = ["component", "label", "fits", "alignment", "place", "image_id", "path", "drawn"]


class Example(NamedTuple):
    """One component with pictures."""

    component: int
    label: str
    fits: str  # one of FITS
    alignment: float
    pictures: list[Thumbnail]


def examples(
    components: Path,
    top_samples: Path,
    pictured: Pictured,
    reading: Reading = AS_STORED,
    split: str = "train",
) -> tuple[list[Example], pd.DataFrame, dict[str, str]]:
    """The components at the quantiles FITS of alignment, a row per image (COLUMNS), and ids of what was read.

    components, top_samples : of the same codes. pictured : the data set, alone, as DATASET.
    Raises RelianceError if the files do not belong together or all images are gone.
    """
    table, top = read_table(components, COMPONENTS), read_table(top_samples, TOP_SAMPLES)
    ours = components, table.stamp.inputs["codes"]
    check_same("codes", (top_samples, top.stamp.inputs["codes"]), ours)
    album = Album(pictured, reading)
    chosen = choose(table.frame)
    images = strongest(chosen, top.frame, ACROSS).assign(dataset=DATASET, split=split)
    found = album.find(images)
    pictures = album.thumbnails(found, round(SIDE * DPI))
    rows = chosen.merge(found.assign(drawn=[p.drawn for p in pictures]), on="component")[COLUMNS]
    places = found.groupby("component").indices
    shown = [
        Example(component, label, fits, alignment, [pictures[i] for i in places.get(component, ())])
        for component, label, fits, alignment in chosen.itertuples(index=False, name=None)
    ]
    return shown, rows, {"top_samples": top.stamp.id, **album.ids}


def choose(frame: pd.DataFrame) -> pd.DataFrame:
    """The named components nearest to the quantiles FITS of alignment: component, label, fits, alignment.

    frame : columns of COMPONENTS. Fewer rows if there are fewer components; the first of equals.
    """
    ranked = named(frame).dropna(subset="alignment").sort_values("alignment", kind="stable")
    places = {name: round(q * (len(ranked) - 1)) for name, q in FITS.items()} if len(ranked) else {}
    once = {place: name for name, place in reversed(places.items())}
    chosen = ranked.iloc[sorted(once)].assign(fits=[once[place] for place in sorted(once)])
    return chosen[["component", "label", "fits", "alignment"]].reset_index(drop=True)


def draw_examples(canvas: Canvas, shown: Sequence[Example], top: float) -> None:
    """Draw the components beside each other, each with two lines above its pictures."""
    group = ACROSS * (SIDE + BETWEEN) - BETWEEN
    for i, example in enumerate(shown):
        left = EDGE + i * (group + BETWEEN + GROUPS)
        label = cut(harmless(f"#{example.component}  {example.label}"), group * DPI, 6.5)
        canvas.figure.text(*canvas.at(left, top), label, va="top", fontsize=6.5)
        note = f"fits {example.fits}: alignment {example.alignment:.2f}"
        at = canvas.at(left, top + WORDS / 2)
        canvas.figure.text(*at, note, va="top", fontsize=6, color=style.MUTED)
        for j, picture in enumerate(example.pictures):
            axes = canvas.axes(left + j * (SIDE + BETWEEN), top + WORDS, SIDE, SIDE)
            _draw(axes, picture)


def _draw(axes: Any, picture: Thumbnail) -> None:
    axes.set(xticks=[], yticks=[])
    if picture.pixels is None:
        axes.text(0.5, 0.5, picture.drawn, transform=axes.transAxes, ha="center", va="center", fontsize=4.2)
        return
    axes.imshow(np.asarray(picture.pixels), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
