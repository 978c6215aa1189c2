"""Stage `report_unlabelled`: the page of a variant whose images have no classes.

Outputs, cases, probes and faithfulness are about classes and are left out. What is left are the components,
with their names and strongest images.
"""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.artifacts import derived_stamp, hash_file
from reliance.base.stamps import read_stamp
from reliance.explore.tables import Tables
from reliance.figures.captions import counted
from reliance.figures.thumbnails import DATASET, Album, Pictured, Reading, strongest
from reliance.report import provenance
from reliance.report.data import known_of_data
from reliance.report.markup import Grid, markdown, picture
from reliance.report.names import names_doubts
from reliance.report.opening import encoder_facts, sae_doubts
from reliance.report.page import write_page
from reliance.report.rows import component_rows

KIND, SCHEMA = "report_unlabelled", 1
ROWS = 200  # components that are listed
SELDOM = 2  # images: what fires on fewer shows an image, not what images share
PICTURED, IMAGES, SIDE = 30, 8, 72  # components with pictures, images of each, pixels
NAMED = ("index", "components", "name_stability", "top_samples", "quality", "excluded", "weights", "checked")
TEMPLATE = Path(__file__).with_name("unlabelled.html.j2")


class Found(NamedTuple):
    """What the pipeline found without classes."""

    components: Path
    name_stability: Path
    top_samples: Path
    quality: Path
    excluded: Path
    weights: Path
    checked: Path  # what the variant needs and its data set has not


class Shown(NamedTuple):
    """What the page says of the variant itself."""

    variant: str
    configuration: Mapping[str, Any]
    dataset_root: str
    random_weights: bool = False
    note: str = ""


class Strip(NamedTuple):
    """A component with its strongest images side by side."""

    title: str
    image: str  # data URI; "" if not one could be read
    files: str  # their paths


def report_unlabelled(
    *,
    index: Path,
    found: Found,
    figure: Path,
    caption: Path,
    html: Path,
    shown: Shown,
    reading: Reading,
    template: Path = TEMPLATE,
) -> None:
    """Write the page (HTML). figure, caption : PNG and Markdown of Fig. 9.

    Raises RelianceError for an artifact that is not what it should be.
    """
    study = Tables({"index": index, **found._asdict()}, shown.variant)
    sources = [*(study.path(name) for name in NAMED), figure]
    named = names_doubts(study, shown.configuration["variant"], "short")
    values = {
        "warnings": [*sae_doubts(study), *named],
        "names_doubts": named,
        "variant": shown.variant,
        "note": shown.note,
        "random_weights": shown.random_weights,
        "facts": facts(study),
        "known": known_of_data(study),
        "seldom": seldom(study.components),
        "strips": strips(study, shown.dataset_root, reading),
        "components": component_rows(study.components, study.name_stability, ROWS),
        "image": picture(figure),
        "caption": markdown(caption.read_text(encoding="utf-8")),
        "configuration": Grid(["key", "value"], provenance.settings_rows(shown.configuration)),
        "artifacts": provenance.artifacts(sources),
        "versions": provenance.versions(),
    }
    ids = {str(path): read_stamp(path).id for path in sources}
    told = {**shown._asdict(), **reading._asdict(), "template": hash_file(template)}
    write_page(template, values, html, derived_stamp(KIND, SCHEMA, told, ids))


def facts(study: Tables) -> list[tuple[str, str]]:
    """What the page is about, in pairs of a name and a value."""
    counts = ", ".join(f"{n:,} {split}" for split, n in study.index["split"].value_counts().items())
    unreadable = f", {len(study.excluded)} unreadable" if len(study.excluded) else ""
    quality, table = study.quality, study.components
    measured = str(quality["data"]).replace("_", " ")
    return [
        *encoder_facts(study.weights),
        ("images", f"{counts}{unreadable}, without classes"),
        ("latents", f"{len(table):,}, of which {int((table['label'] != '').sum()):,} could be named"),
        ("explained variance", f"{quality['explained_variance']:.3f} on {measured} images".replace("-", "−")),
    ]


def strips(study: Tables, root: str, reading: Reading) -> list[Strip]:
    """The components that fire most strongly, each with its strongest images."""
    table = study.components
    first = table.sort_values(["top20_mean", "component"], ascending=[False, True])
    first = first[first["n_active"] >= SELDOM].head(PICTURED)
    album = Album(Pictured([DATASET], [study.path("index")], [root]), reading)
    samples = strongest(first, study.top_samples, IMAGES).assign(dataset=DATASET, split="train")
    if samples.empty:
        return []
    samples = album.find(samples)
    drawn = album.thumbnails(samples, SIDE)
    found = []
    for c in first.itertuples():
        places = np.flatnonzero(samples["component"] == c.component)
        squares = [drawn[i].pixels for i in places]
        name = str(c.name) or "no name"
        paths = [str(samples["path"].iloc[i]) + _why(drawn[i].drawn) for i in places]
        title = f"#{c.component} {name}, fires on {counted(int(str(c.n_active)), 'image')}"
        found.append(Strip(title, side_by_side([s for s in squares if s is not None]), ", ".join(paths)))
    return found


def seldom(components: pd.DataFrame) -> str:
    """What is not pictured: components that show one image, not what images share; "" if there are none."""
    count = int((components["n_active"] < SELDOM).sum())
    silent = int((components["n_active"] == 0).sum())
    if not count:
        return ""
    return (
        f"Without pictures: {count - silent:,} that fire on a single image, which say nothing of what images "
        f"share, and {silent:,} that never fire. Many of them: the SAE has more components (m) than so few "
        "images can fill."
    )


def _why(drawn: str) -> str:
    return "" if drawn == "yes" else f" ({drawn})"


def side_by_side(squares: list[np.ndarray]) -> str:
    """Squares in a row as a WebP data URI."""
    if not squares:
        return ""
    stream = io.BytesIO()
    Image.fromarray(np.concatenate(squares, axis=1)).save(stream, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
