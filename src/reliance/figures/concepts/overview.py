"""Variants side by side in five numbers each: by layer of one model, by size, or of any kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reliance.base.artifacts import derived_stamp, read_table
from reliance.concepts.concepts import named
from reliance.failures.case_list import CHANCE, beyond_chance, read_failures
from reliance.faithfulness.schema import FAITHFULNESS, FROZEN, LOCAL_DELETION
from reliance.faithfulness.summary import curve, mean_y
from reliance.figures import style
from reliance.figures.canvas import EDGE, HEADING, RIGHT, Canvas, width_of
from reliance.figures.sheet import Sheet, Shown
from reliance.naming.table import COMPONENTS

SCHEMA = 1
ROW, HEADER, FOOTER, BETWEEN = 0.2, 0.3, 0.32, 0.16  # heights of a row and around the panels; widths, inches
QUARTERS = (0.25, 0.5, 0.75)


class Panel(NamedTuple):
    """One number per variant."""

    column: str  # low, middle and high are <column>_25, <column> and <column>_75; without ends: <column>
    title: str
    label: str
    ends: bool = False


PANELS = (
    Panel("clarity", "Clarity", "median, quartiles", True),
    Panel("unique", "Concepts", "different labels"),
    Panel("alignment", "Alignment", "median, quartiles", True),
    Panel("gain", "Faithfulness", "share of y"),
    Panel("beyond_chance", "Failures", "beyond chance"),
)


def overview(
    *,
    components: Sequence[Path],
    faithfulness: Sequence[Path],
    failures: Sequence[Path],
    sites: Sequence[str],
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw clarity, concepts, alignment, faithfulness and failures of variants side by side.

    Parameters
    ----------
    components, faithfulness : tables of the SAEs on the train split, and of deletion curves, per variant.
    failures : the lists of cases that the variants are scored on.
    sites : where each variant reads its model, in words.
    shown : the variants, in the order of the tables. sheet : where the figure goes.
    """
    rows: list[dict[str, Any]] = []
    ids: dict[str, str] = {}
    for name, site, *paths in zip(shown.variants, sites, components, faithfulness, failures, strict=True):
        named_, curves = read_table(paths[0], COMPONENTS), read_table(paths[1], FAITHFULNESS)
        cases, stamp = read_failures(paths[2])
        rows.append({"variant": name, "site": site, **numbers(named_.frame, curves.frame, cases)})
        ids |= {f"{name}.components": named_.stamp.id, f"{name}.faithfulness": curves.stamp.id}
        ids[f"{name}.failures"] = stamp.id
    table = pd.DataFrame(rows)
    with style.rc():
        sheet.write(
            draw(table, shown.heading),
            table,
            derived_stamp(
                "overview", SCHEMA, {"heading": shown.heading, "skipped": list(shown.skipped)}, ids
            ),
            _words(table, shown),
        )


def numbers(components: pd.DataFrame, curves: pd.DataFrame, cases: pd.DataFrame) -> dict[str, float]:
    """The numbers of one variant; nan where there is nothing to count.

    gain : by how much more the output falls when active latents are deleted in the order of act x grad
    than in a random one, mean over steps of local deletion, as a share of the output before.
    """
    own = named(components)
    found: dict[str, float] = {"n_components": len(own), "unique": own["label"].nunique()}
    for column in ("clarity", "alignment"):
        low, middle, high = own[column].quantile(QUARTERS) if own[column].notna().any() else [np.nan] * 3
        found |= {column: middle, f"{column}_25": low, f"{column}_75": high}
    sure = int(beyond_chance(cases).sum())
    found |= {"gain": _gain(curves), "cases": len(cases), "beyond_chance": sure}
    return found


def _gain(curves: pd.DataFrame) -> float:
    kept = curves[
        (curves["protocol"] == LOCAL_DELETION)
        & (curves["error_term"] == FROZEN)
        & curves["restrict_to_active"]
        & curves["method"].isin(["act_x_grad", "random"])
    ]
    if kept.empty:
        return np.nan
    means = mean_y(kept).set_index("method")["mean_y"]
    steps = curve(kept)
    before = steps.loc[(steps["step"] == 0) & (steps["method"] == "act_x_grad"), "y"].iloc[0]
    return float((means["random"] - means["act_x_grad"]) / before) if before else np.nan


def draw(table: pd.DataFrame, title: str) -> Figure:
    """A row per variant, a panel per number."""
    names = [f"{row.variant}: {row.site}" for row in table.itertuples()]
    left = EDGE + min(max(width_of(name, 6.5) for name in names), 0.3 * style.PAGE) + 0.1
    above = (HEADING if title else 0.05) + HEADER
    canvas = Canvas(style.PAGE, above + ROW * len(names) + FOOTER)
    canvas.text(EDGE, 0.06, title, 8)
    width = (style.PAGE - RIGHT - left - BETWEEN * (len(PANELS) - 1)) / len(PANELS)
    for i, panel in enumerate(PANELS):
        at = left + i * (width + BETWEEN)
        canvas.text(at, above - 0.2, panel.title, 7)
        axes = canvas.axes(at, above, width, ROW * len(names))
        _draw(axes, table, panel, names if i == 0 else [])
    return canvas.figure


def _draw(axes: Any, table: pd.DataFrame, panel: Panel, names: Sequence[str]) -> None:
    y = np.arange(len(table))
    values = table[panel.column].to_numpy(np.float64)
    known = np.isfinite(values)
    if panel.ends:
        low, high = (table[f"{panel.column}_{q}"].to_numpy(np.float64) for q in (25, 75))
        axes.hlines(y[known], low[known], high[known], color=style.BASES["untrained"].color, linewidth=2.2)
    axes.plot(values[known], y[known], "o", color=style.BASES["sae"].color, markersize=4, zorder=3)
    for place in y[~known]:
        axes.text(0.02, place, "unknown", transform=axes.get_yaxis_transform(), va="center", fontsize=6)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_yticks(y if names else [], names, fontsize=_fitting(names))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="both")
    axes.set_xlabel(panel.label, labelpad=1)
    whole = panel.column in ("unique", "beyond_chance")
    if whole or not known.any():
        axes.set_xlim(0, max(1.0, 1.08 * float(np.nanmax(values, initial=0.0))))
    else:
        axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=whole, steps=[1, 2, 5, 10]))


def _fitting(names: Sequence[str]) -> float:
    """Size of the names at which the longest takes no more than its share of the page."""
    widest = max((width_of(name, 6.5) for name in names), default=0.0)
    return 6.5 * min(1.0, 0.3 * style.PAGE / max(widest, 1e-9))


def _words(table: pd.DataFrame, shown: Shown) -> str:
    told: Mapping[str, str] = {
        "Clarity and alignment": "medians and quartiles of the named components on the train split",
        "Concepts": "how many different labels they have",
        "Faithfulness": "by how much more the output falls when the latents that are active in an image "
        "are deleted in the order of act x grad than at random (mean over steps, as a share of the output "
        "before)",
        "Failures": f"cases with a false discovery rate of at most {CHANCE:g}, or reviewed, of the list that "
        "the variant is scored on",
    }
    parts = " ".join(f"{name}: {what}." for name, what in told.items())
    heading = f": {shown.heading}" if shown.heading else ""
    skipped = f" Left out, without an SAE: {', '.join(shown.skipped)}." if shown.skipped else ""
    limits = (
        " SAEs of different sizes, and labels of different labellers, are not comparable by these numbers."
    )
    return f"**Overview. {len(table)} variants side by side{heading}.** {parts}{skipped}{limits}\n"
