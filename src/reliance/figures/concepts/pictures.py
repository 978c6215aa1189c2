"""Galleries of hidden concepts (Figs. 10 and 11): components that matter and that fit no name well."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from reliance.base.artifacts import Table, check_same, derived_stamp, read_table
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.concepts.hidden import BANDS, Thresholds, select
from reliance.concepts.schema import HIDDEN
from reliance.figures import style
from reliance.figures.gallery import Cell, Grid, Run, Section, draw_gallery, look
from reliance.figures.mapped import Source, with_maps
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
from reliance.images.tables import CLASSES
from reliance.naming.fit import shown_name
from reliance.naming.table import COMPONENTS

SCHEMA = 1
COLUMNS = [
    "band",
    "component",
    "flagged",
    "clarity",
    "activation",
    "alignment",
    "nearest",
    "label",
    "runner_up",
]
COLUMNS += ["class_id", "short_name", "relevance", "share", "n_classes"]
IMAGE_COLUMNS = ["place", "image_id", "path", "image_activation", "drawn"]
TITLES = {
    "activation": "Components that are strong and that fit no name well",
    "relevance": "Components that drive a class and that fit no name well",
}
EMPTY = {"activation": "no strong component", "relevance": "no relevant component"}
CLASS_LINE = (
    "Third line: the component's share of the output for the class it drives most (mean relevance over the "
    "images of the class, by their mean output)."
)


class Hidden(NamedTuple):
    """The files of a variant's hidden concepts."""

    hidden: Path
    components: Path
    top_samples: Path
    classes: Path  # of the data set


ADJECTIVES = {"activation": "strong", "relevance": "relevant"}


class Counts(NamedTuple):
    """How many are shown at most."""

    per_band: int = 8
    images_per_component: int = 6


ALL = Counts()


def concept_gallery(
    number: int,
    by: str,
    *,
    files: Hidden,
    index: Path,
    dataset_root: str,
    shown: Shown,
    sheet: Sheet,
    split: str = "train",
    counts: Counts = ALL,
    reading: Reading = AS_STORED,
    source: Source | None = None,
) -> None:
    """Draw the strongest images of hidden concepts, in three bands of clarity.

    Parameters
    ----------
    number : of the figure. by : "activation" | "relevance", how components are chosen; by relevance
        the class that each drives most is said too. source : draw maps of the components over the images.
    index, split, dataset_root : of the images of top_samples.

    Raises RelianceError if artifacts do not belong together or all images are gone.
    """
    table, top, ids = _read(files)
    album = Album(Pictured([DATASET], [index], [dataset_root]), reading)
    named = read_table(files.classes, CLASSES)
    names = dict(zip(named.frame["class_id"], named.frame["short_name"], strict=True))
    used = Thresholds(**{name: table.stamp.params[name] for name in Thresholds._fields})
    chosen = select(table.frame, by, counts.per_band, used)
    chosen["least"] = used.max_alignment
    chosen["short_name"] = [names.get(i, "") for i in chosen["class_id"]]  # -1 has none
    images = strongest(chosen, top.frame, counts.images_per_component).assign(dataset=DATASET, split=split)
    found = album.find(images)
    bands = [band for band in BANDS if (chosen["band"] == band).any()] or list(BANDS)
    beside = len(bands)  # a band alone has its components side by side
    columns = len(BANDS) if beside == 1 else 1
    grid = Grid(beside=beside, columns=columns, across=max(1, counts.images_per_component))
    pictures = album.thumbnails(found, grid.side)
    said = _content(by, table, chosen, used, pictures)
    if missing := [band for band in BANDS if band not in bands]:
        said += f" No {ADJECTIVES[by]} component is {' or '.join(missing)}."
    ids |= {"classes": named.stamp.id, **album.ids}
    if source:
        mapping = with_maps(pictures, found.assign(unit=found["component"]), album, source)
        pictures, said, ids = mapping.pictures, f"{said} {mapping.meaning}", {**ids, **mapping.ids}
    params: dict[str, Any] = {"heading": shown.heading, "caption": said, "split": split}
    params |= {"drawn": [picture.drawn for picture in pictures], **counts._asdict(), **reading._asdict()}
    with look():
        every = _sections(by, table, chosen, found, pictures)
        sections = [section for section in every if section.header.lower() in bands]
        sheet.write(
            draw_gallery(sections, grid, shown.heading),
            numbers_of(chosen, found, pictures),
            derived_stamp(f"fig{number}", SCHEMA, params, ids),
            f"**Figure {number}. {TITLES[by]}: {shown.heading}.** {said}",
        )


def _read(files: Hidden) -> tuple[Table, Table, dict[str, str]]:
    """Hidden concepts and top samples, with their ids; checked to be of the same components."""
    table, top = read_table(files.hidden, HIDDEN), read_table(files.top_samples, TOP_SAMPLES)
    named = read_table(files.components, COMPONENTS, columns=["component"]).stamp
    check_same("components", (files.hidden, table.stamp.inputs["components"]), (files.components, named.id))
    ours = files.components, named.inputs["codes"]
    check_same("codes", (files.top_samples, top.stamp.inputs["codes"]), ours)
    return table, top, {"hidden": table.stamp.id, "top_samples": top.stamp.id}


def numbers_of(chosen: pd.DataFrame, found: pd.DataFrame, pictures: Sequence[Thumbnail]) -> pd.DataFrame:
    """One row per image that is shown, component by component, the strongest image first."""
    images = found.assign(drawn=[picture.drawn for picture in pictures])
    return chosen[COLUMNS].merge(images, on="component")[[*COLUMNS, *IMAGE_COLUMNS]]


def _sections(
    by: str, table: Table, chosen: pd.DataFrame, found: pd.DataFrame, pictures: Sequence[Thumbnail]
) -> list[Section]:
    places = found.groupby("component").indices
    low, high = table.stamp.params["bands"]
    limits = f"clarity ≥ {high:g}", f"{low:g} ≤ clarity < {high:g}", f"clarity < {low:g}"
    hidden = table.frame.loc[table.frame[f"by_{by}"], "band"].value_counts()
    sections = []
    for band, limit in zip(BANDS, limits, strict=True):
        rows = chosen[chosen["band"] == band]
        cells = [
            Cell(
                _lines(by, row),
                [pictures[i] for i in places.get(row["component"], ())],
                style.INK if row["flagged"] else "",
            )
            for row in rows.to_dict("records")
        ]
        n, m = int(rows["flagged"].sum()), int(hidden.get(band, 0))
        note = f"{limit}, {f'{n} of {m}' if n < m else m or 'none'} hidden"
        sections.append(Section(band.capitalize(), note, style.MUTED, cells, EMPTY[by]))
    return sections


def _lines(by: str, row: Mapping[Hashable, Any]) -> list[list[Run]]:
    """What is said above the images of a component."""
    flagged, color = row["flagged"], style.INK if row["flagged"] else style.MUTED
    asked = row["nearest"] != row["label"]
    to = f" to “{row['nearest']}”" if asked else ""
    name = row["label"] if asked else shown_name(row["label"], row["alignment"], row["least"])
    lines = [
        [Run(f"#{row['component']}  ", color, flagged), Run(name, color)],
        [Run(f"a {row['activation']:.2f} · s {row['alignment']:.3f}{to}", style.MUTED)],
    ]
    if by == "relevance":
        share = f"{100 * row['share']:.1f} % of the output for “{row['short_name']}”"
        lines.append([Run(share, style.MUTED)])
    return lines


def _content(
    by: str, table: Table, chosen: pd.DataFrame, used: Thresholds, pictures: Sequence[Thumbnail]
) -> str:
    """The caption after its title."""
    strong = {
        "activation": f"mean activation over their top 20 images above {used.min_activation:.3g}",
        "relevance": f"a share of at least {100 * used.min_relevance:.3g} % of the output for a class",
    }[by]
    frame = table.frame
    against = "the nearest of the names that were asked for" if "asked" in table.stamp.inputs else "the label"
    poor = f"alignment with {against} of at most {used.max_alignment:.3g}"
    flagged, shown = frame[frame[f"by_{by}"]], chosen["flagged"]
    counts = [f"{int((flagged['band'] == b).sum())} {b}" for b in BANDS]
    said = [
        "Components (#, with their best label) above their strongest images, by clarity; a: mean activation "
        f"over the top 20 images, s: alignment with {against}.",
        f"{CLASS_LINE} {_sum(table)}" if by == "relevance" else "",
        f"A dot marks hidden concepts: {strong}, and {poor}. Of {len(frame)} named components {len(flagged)} "
        f"are hidden ({', '.join(counts)}).",
        _others(by, int((~shown).sum())),
    ]
    gone = sum(picture.drawn != DRAWN for picture in pictures)
    if gone:
        said.append(f"Empty frames: {gone} of {len(pictures)} images could not be drawn.")
    return " ".join(filter(None, said))


def _sum(table: Table) -> str:
    """What the shares of all components add up to."""
    total = table.stamp.params["total_share"]
    return (
        "Relevance is the exact effect of leaving the component out. Over all components the shares sum to "
        f"{100 * total:.0f} % in the median class; the other {100 * (1 - total):.0f} % are held by the bias, "
        "by what the SAE leaves over, and by components together."
    )


def _others(by: str, others: int) -> str:
    if not others:
        return ""
    what = ADJECTIVES[by]
    return (
        f"Grey components without a dot ({others}) only fill up a band: they are {what} too, but a name fits "
        "them better; the least aligned come first."
    )
