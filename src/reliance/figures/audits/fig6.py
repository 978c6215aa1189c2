"""Fig. 6: what a linear probe relies on, plain and repaired, and what that does to its accuracy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.doubts import doubts
from reliance.audits.findings import findings, name_of
from reliance.audits.schema import PLAIN, RELEVANCES, ROBUST
from reliance.base.artifacts import check_same, derived_stamp, read_table
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.figures import style
from reliance.figures.audits.accuracies import (
    JUDGED,
    Audit,
    Curve,
    chosen_by,
    draw_accuracies,
    explained,
    panel_title,
    read_audit,
    ticks_of,
)
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head
from reliance.figures.captions import compose
from reliance.figures.gallery import DPI, cut, harmless, look
from reliance.figures.sheet import Sheet, Shown
from reliance.figures.thumbnails import (
    AS_STORED,
    DATASET,
    DRAWN,
    Album,
    Pictured,
    Reading,
    Thumbnail,
    strongest,
)
from reliance.naming.table import COMPONENTS

SCHEMA = 1
SHOWN = 8  # components
ROW, SIDE, BETWEEN = 0.36, 0.3, 0.03  # height of a row, side of a thumbnail, space between them, inches
NAMES, BARS = 1.0, 1.15  # widths, inches
TITLES, AXIS, GAP = 0.3, 0.36, 0.34  # heights above and below a panel, between the panels of b, inches
NUMBERS = 0.42  # width of the numbers beside the panels of b, inches


class Relied(NamedTuple):
    """The files of an audit, and of the components that it is about."""

    relevances: Path
    accuracies: Path
    audit: Path
    components: Path
    top_samples: Path


def fig6(
    *,
    files: Relied,
    index: Path,
    dataset_root: str,
    shown: Shown,
    sheet: Sheet,
    images_per_component: int = 5,
    reading: Reading = AS_STORED,
) -> None:
    """Draw Fig. 6: (a) relevant components, plain and robust; (b) accuracies under changed images.

    Parameters
    ----------
    index, dataset_root : of the images of top_samples (split "train").
    images_per_component : strongest images shown.

    Raises RelianceError if artifacts do not belong together or all images are gone.
    """
    read, table = read_audit(files.audit, files.accuracies), read_table(files.relevances, RELEVANCES)
    named, top = read_table(files.components, COMPONENTS), read_table(files.top_samples, TOP_SAMPLES)
    for path, stamp in ((files.components, named.stamp), (files.top_samples, top.stamp)):
        check_same("codes", (path, stamp.inputs["codes"]), (files.relevances, table.stamp.inputs["codes"]))
    check_same("probe", (files.relevances, table.stamp.inputs["probe"]), (files.accuracies, read.probe))
    rows = shown_rows(table.frame, read.about, named.frame)
    album = Album(Pictured([DATASET], [index], [dataset_root]), reading)
    images = strongest(rows, top.frame, images_per_component).assign(dataset=DATASET, split="train")
    pictures = album.thumbnails(album.find(images), round(SIDE * DPI))
    ids = {**read.ids, "relevances": table.stamp.id, "components": named.stamp.id}
    ids |= {"top_samples": top.stamp.id, **album.ids}
    params = {"heading": shown.heading, "drawn": [picture.drawn for picture in pictures]}
    places = images.groupby("component").indices
    grouped = [[pictures[i] for i in places.get(c, ())] for c in rows["component"]]
    with look():
        sheet.write(
            _draw(read, rows, grouped, images_per_component, shown.heading),
            numbers_of(rows, read),
            derived_stamp("fig6", SCHEMA, params, ids),
            _words(read, table.frame, rows, pictures, shown.heading),
        )


def shown_rows(relevances: pd.DataFrame, about: Any, components: pd.DataFrame) -> pd.DataFrame:
    """The most relevant components of the plain probe, and the audited one: component, label, and rank,
    relevance and signed share (percent) of both probes, by rank.
    """
    own = relevances[relevances["positive"] == (about["toward"] == "positive")]
    own = own.assign(signed=own["share"] * np.where(own["relevance"] < 0, -1, 1))
    wide = own.pivot(index="component", columns="probe", values=["rank", "relevance", "signed", "n"])
    wide.columns = [f"{probe}_{name}" for name, probe in wide.columns]
    wide = wide.sort_values(f"{PLAIN}_rank").reset_index()
    first = (wide[f"{PLAIN}_rank"] <= SHOWN) & (wide["component"] != about["component"])
    audited = wide["component"] == about["component"]
    kept = pd.concat([wide[first].head(SHOWN - 1), wide[audited]]).sort_values(f"{PLAIN}_rank")
    labels = dict(zip(components["component"], components["label"], strict=True))
    kept["label"] = [labels.get(c, "") for c in kept["component"]]
    rows: pd.DataFrame = kept.assign(audited=kept["component"] == about["component"])
    return rows.reset_index(drop=True)


def numbers_of(rows: pd.DataFrame, read: Audit) -> pd.DataFrame:
    """The numbers of both panels, one below the other; cells that a panel does not have are empty."""
    named = {True: name_of(read.about, "positive"), False: name_of(read.about, "negative")}
    parts = [
        rows[["component", "label", "audited"]].assign(
            panel="a",
            probe=probe,
            **{"class": name_of(read.about, read.about["toward"])},
            **{name: rows[f"{probe}_{name}"] for name in ("n", "rank", "relevance")},
            share=rows[f"{probe}_signed"],
        )
        for probe in (PLAIN, ROBUST)
    ]
    frame = read.accuracies
    frame = frame[frame["alpha"].isin([0.0, read.about["alpha"]])]
    parts.append(frame.assign(panel="b", **{"class": frame["positive"].map(named)}))
    columns = ["panel", "probe", "alpha", "class", "n", "component", "label", "audited", "rank", "relevance"]
    columns += ["share", "change", "accuracy", "sem"]
    found = pd.concat(parts, ignore_index=True)[columns]
    whole: pd.DataFrame = found.astype({"component": "Int64", "rank": "Int64", "n": "Int64"})
    return whole


def _draw(read: Audit, rows: pd.DataFrame, pictures: list[list[Thumbnail]], across: int, heading: str) -> Any:
    handles = [_handle(style.AUDITED[probe]) for probe in (PLAIN, ROBUST)]
    head = Head(heading, handles, style.PAGE)
    body = max(len(rows), 6) * ROW
    canvas = Canvas(style.PAGE, head.height + TITLES + body + AXIS)
    head.draw(canvas)
    top, thumbs = head.height + TITLES, across * (SIDE + BETWEEN)
    _draw_components(canvas, rows, pictures, top)
    left = EDGE + NAMES + thumbs + 0.06
    axes = canvas.axes(left, top, BARS, len(rows) * ROW)
    _draw_bars(axes, rows)
    name = read.names[0 if read.about["toward"] == "positive" else 1]
    title = canvas.axes(EDGE, top, left + BARS - EDGE, body)
    title.axis("off")
    learner = "robust" if read.about.get("probe_given") else "plain"
    note = f"mean over its {int(rows[f'{PLAIN}_n'].iloc[0])} images that the {learner} probe learned from"
    panel_title(title, f"a  What speaks for {name}", note, left + BARS - EDGE)
    start = left + BARS + 0.12 + NUMBERS
    width, height = canvas.width - RIGHT - start, (body - GAP) / 2
    curves = [Curve(style.AUDITED[p], p, a) for p, a in ((PLAIN, 0.0), (ROBUST, read.about["alpha"]))]
    for i, positive in enumerate((True, False)):
        panel = canvas.axes(start, top + i * (height + GAP), width, height)
        ticks = ticks_of(read.about, read.accuracies)
        draw_accuracies(panel, read.accuracies, positive, curves, ticks if i else [""] * len(ticks))
        n = int(read.accuracies.loc[read.accuracies["positive"] == positive, "n"].iloc[0])
        panel_title(panel, f"{'' if i else 'b  '}{read.names[i]}", f"{n} held-out images", width)
        if i:
            panel.set_xlabel("change of the images", labelpad=2)
    return canvas.figure


def _draw_components(canvas: Canvas, rows: pd.DataFrame, pictures: list[list[Thumbnail]], top: float) -> None:
    """Names and strongest images, one row per component; the audited one stands out."""
    for i, (row, shown) in enumerate(zip(rows.to_dict("records"), pictures, strict=True)):
        y = top + i * ROW
        if row["audited"]:
            most = max(map(len, pictures))
            band = canvas.axes(0, y - 0.01, EDGE + NAMES + most * (SIDE + BETWEEN) + 0.03, ROW - 0.01)
            band.axis("off")
            band.add_patch(_band(band))
        weight, color = ("bold", style.INK) if row["audited"] else ("normal", style.INK)
        number = f"#{row['component']}"
        label = cut(harmless(row["label"]), (NAMES - 0.06) * DPI, 6.5, row["audited"])
        for text, down, size, shade in ((number, 0.05, 6.5, color), (label, 0.17, 6.5, style.MUTED)):
            canvas.figure.text(
                *canvas.at(EDGE, y + down), text, va="top", fontsize=size, color=shade, fontweight=weight
            )
        for j, picture in enumerate(shown):
            axes = canvas.axes(EDGE + NAMES + j * (SIDE + BETWEEN), y + 0.015, SIDE, SIDE)
            axes.set(xticks=[], yticks=[])
            if picture.pixels is not None:
                axes.imshow(picture.pixels, interpolation="none")
            for spine in axes.spines.values():
                spine.set_visible(picture.pixels is None)


def _draw_bars(axes: Any, rows: pd.DataFrame) -> None:
    """Signed shares of both probes, aligned with the rows of names and images."""
    places = np.arange(len(rows)) + 0.46
    for probe, shift in ((PLAIN, -0.16), (ROBUST, 0.16)):
        axes.barh(places + shift, rows[f"{probe}_signed"], 0.3, color=style.AUDITED[probe].color)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.axvline(0, color=style.MUTED, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("mean relevance (%)", labelpad=2)
    axes.grid(axis="x")


def _words(
    read: Audit, relevances: pd.DataFrame, rows: pd.DataFrame, pictures: Sequence[Thumbnail], heading: str
) -> str:
    about = read.about
    positive, negative = (name_of(about, side) for side in ("positive", "negative"))
    given = about.get("probe_given")
    told = (
        f"tells {positive} ({about['n_fit'][0]} images to learn from) from {negative} ({about['n_fit'][1]})"
    )
    probe = f"A logistic regression on image embeddings {told}."
    if given:
        probe = (
            f"The classifier in {given}, which is not trained here, tells {positive} from {negative}; the "
            f"robust probe learns from {about['n_fit'][0]} and {about['n_fit'][1]} images of them."
        )
    gone = sum(picture.drawn != DRAWN for picture in pictures)
    content = [
        probe,
        "(a) Components with the largest mean relevance to the log-odds of "
        f"{name_of(about, about['toward'])}, in percent of the sum of absolute means over all components; "
        "negative: it speaks for the other class. Beside each its strongest training images.",
        chosen_by(about),
        "The robust probe learns from embeddings shifted at random along its direction (α = "
        f"{about['alpha']:g}; from {about['n_low']} weak to {about['n_high']} strong samples).",
        f"(b) Accuracy per class on held-out images. {explained(about)} "
        "Error bars: standard error sqrt(p (1 − p) / n).",
        *doubts(read.accuracies, about).all,
        f"Empty frames: {gone} of {len(pictures)} images could not be drawn." if gone else "",
    ]
    found = findings(read.accuracies, relevances, about)
    return compose("Figure 6", "Audit of a linear probe", heading, [c for c in content if c], JUDGED, found)


def _handle(shape: style.Look) -> Any:
    from matplotlib.lines import Line2D

    marks: dict[str, Any] = {"linestyle": "-", "markersize": 3.8, "markeredgewidth": 0}
    return Line2D([], [], color=shape.color, marker=shape.marker, label=shape.label, **marks)


def _band(axes: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), 1, 1, transform=axes.transAxes, color=style.TINT, lw=0)
