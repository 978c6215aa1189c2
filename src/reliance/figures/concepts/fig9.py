"""Fig. 9: clarity of components against three measures of how strongly and how often they fire."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reliance.base.artifacts import derived_stamp, read_table
from reliance.concepts.concepts import correlation, with_clarity
from reliance.concepts.findings import MEASURES, Measure, clarity_findings
from reliance.figures import style
from reliance.figures.canvas import EDGE, HEADING, RIGHT, Canvas
from reliance.figures.captions import compose, counted, number, span
from reliance.figures.concepts.scatter import EMPTY, Cloud, draw_cloud
from reliance.figures.sheet import Sheet, Shown
from reliance.naming.table import COMPONENTS

SCHEMA = 1
HEADER, TITLE, NOTE, FOOTER = 0.22, 0.18, 0.12, 0.36  # heights, inches
NUMBERS, BETWEEN = 0.38, 0.12  # widths, inches
BODY, LEAST, TALLEST = 1.35, 0.6, 9.1  # heights of a panel, and of a figure at most, inches
JUDGED = (
    "What the paper found, held against these numbers (correlations r with their 95 % intervals by Fisher's "
    "transformation):"
)


def fig9(
    *,
    components: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw Fig. 9: clarity against top activations, mean activation and firing count on the test split.

    Parameters
    ----------
    components : tables of the components of SAEs on the test split, one per variant.
    shown : the variants, in the order of the tables. sheet : where the figure goes.
    """
    tables = {v: read_table(path, COMPONENTS) for v, path in zip(shown.variants, components, strict=True)}
    frames = {variant: table.frame for variant, table in tables.items()}
    ids = {variant: table.stamp.id for variant, table in tables.items()}
    least = {variant: int(table.stamp.params.get("min_active", 0)) for variant, table in tables.items()}
    heading = shown.heading
    with style.rc():
        sheet.write(
            draw_clouds(frames, heading, least),
            numbers_of(frames),
            derived_stamp("fig9", SCHEMA, {"heading": heading, "skipped": list(shown.skipped)}, ids),
            _words(frames, heading, shown.skipped, least),
        )


def draw_clouds(
    frames: Mapping[str, pd.DataFrame], title: str, least: Mapping[str, int] | None = None
) -> Figure:
    """Draw a row of scatters per variant, a page wide; least : images from which there is a clarity."""
    several = len(frames) > 1
    head, above = (HEADING + 0.05 if title else 0.05), HEADER + TITLE if several else TITLE + NOTE
    body = max(LEAST, min(BODY, (TALLEST - head) / len(frames) - above - FOOTER))
    canvas = Canvas(style.PAGE, head + len(frames) * (above + body + FOOTER))
    canvas.text(EDGE, 0.06, title, 8)
    slot = (style.PAGE - EDGE - 2 * RIGHT - BETWEEN * (len(MEASURES) - 1)) / len(MEASURES)
    for row, (variant, frame) in enumerate(frames.items()):
        top = head + row * (above + body + FOOTER)
        points = counted(int(frame["clarity"].notna().sum()), "component")
        canvas.text(EDGE, top + 0.05, f"{variant}: {points}" if several else "", 7.5)
        for i, (column, measure) in enumerate(MEASURES.items()):
            cloud = _cloud(frame, column, measure)._replace(empty=_why((least or {}).get(variant, 0)))
            cloud = cloud._replace(note="") if several and cloud.note == points else cloud
            corner = EDGE + i * (slot + BETWEEN) + NUMBERS, top + above
            draw_cloud(canvas, cloud, corner, (slot - NUMBERS, body), first=i == 0)
    return canvas.figure


def numbers_of(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per variant and measure with its correlation, then a row per component that has a clarity.

    Columns: variant, measure, r, r_low, r_high, spearman, n (of correlations); component, clarity,
    and the measures (of components).
    """
    rows = [
        (variant, column, *correlation(frame, column, measure.log))
        for variant, frame in frames.items()
        for column, measure in MEASURES.items()
    ]
    names = ["variant", "measure", "r", "r_low", "r_high", "spearman", "n"]
    kept = ["variant", "component", "clarity", *MEASURES]
    points = [f[f["clarity"].notna()].assign(variant=variant)[kept] for variant, f in frames.items()]
    return pd.concat([pd.DataFrame(rows, columns=names), *points], ignore_index=True)


def _cloud(frame: pd.DataFrame, column: str, measure: Measure) -> Cloud:
    points, found = with_clarity(frame, column, measure.log), correlation(frame, column, measure.log)
    x, y = points[column].to_numpy(np.float64), points["clarity"].to_numpy(np.float64)
    known = not np.isnan(found.low)  # of three components an r says nothing
    title = f"r = {number(found.r)}" if known else "too few for r" if len(x) else ""
    return Cloud(title, counted(found.n, "component") if len(x) else "", x, y, measure.label, measure.log)


def _why(least: int) -> str:
    """Why no component has a clarity."""
    return f"no component fires on\n{least:,} test images" if least else EMPTY


def _words(
    frames: Mapping[str, pd.DataFrame], heading: str, skipped: Sequence[str], least: Mapping[str, int]
) -> str:
    tables = list(frames.values())
    clear = [int(frame["clarity"].notna().sum()) for frame in tables]
    content = [
        "Clarity of the components of an SAE on the test split against the mean of their five strongest "
        "activations, their mean activation over all images, and the number of images they fire on (the last "
        f"two on logarithmic axes): {span(clear)} components that fire often enough to have a clarity, of "
        f"{span([len(frame) for frame in tables])}. r: Pearson's correlation of what is drawn, with the "
        "logarithm where the axis is logarithmic. Many points are shown as a density on a logarithmic scale."
    ]
    for variant, frame in frames.items():
        if frame["clarity"].isna().all() and (needed := least[variant]):
            content.append(
                f"{variant} has none: a component has a clarity from {needed:,} test images on which it "
                f"fires (naming.min_active), and the most that one fires on is {frame['n_active'].max():,}."
            )
    judged = [
        f._replace(numbers=f"for {variant} {f.numbers}") if len(frames) > 1 else f
        for variant, frame in frames.items()
        for f in clarity_findings(frame)
    ]
    return compose("Figure 9", "Clarity and activation", heading, content, JUDGED, judged, skipped)
