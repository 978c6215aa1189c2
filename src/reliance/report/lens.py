"""Stage `lens_report`: what is known of the inside of a variant's encoder, on one page.

Findings with verdicts, the figures, examples of neurons with words and images, and, of planted data, names
and maps against what was drawn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp, hash_file, read_table
from reliance.base.means import interval
from reliance.figures.table import BY_NAME
from reliance.figures.thumbnails import Album, Pictured, Reading, Thumbnail
from reliance.lens.adversarial import ADVERSARIAL
from reliance.lens.attributes import ATTRIBUTES
from reliance.lens.bridge import BRIDGE, HEADS
from reliance.lens.cases import CASES
from reliance.lens.directions import TOPS
from reliance.lens.evaluate import ACCURACY
from reliance.lens.findings import WAYS, carried, findings, in_all, misled, segmented
from reliance.lens.neurons import NEURONS, strongest_of
from reliance.lens.schema import ATTACKS, ATTRIBUTE_TRUTH, GENERATED, LENS_TRUTH, MAPS, SEGMENTS, summary
from reliance.naming.table import COMPONENTS
from reliance.report.attributes import attribute_rows, described
from reliance.report.bridge import case_rows, latent_rows
from reliance.report.claims import verdicts
from reliance.report.markup import Grid, data_uri, markdown, picture
from reliance.report.page import write_page
from reliance.report.pixels import uri

TEMPLATE = Path(__file__).with_name("lens.html.j2")
KIND, SCHEMA = "lens_report", 3
NEURONS_SHOWN, IMAGES_SHOWN, SIDE = 12, 10, 48


class Tables(NamedTuple):
    """Tables of the blocks, in one order."""

    accuracies: Sequence[Path]
    neurons: Sequence[Path]
    tops: Sequence[Path]
    truths: Sequence[Path] = ()  # of planted data
    maps: Path | None = None  # of planted data with an SAE
    segments: Path | None = None  # of planted data, or with a folder of masks
    attacks: Path | None = None  # of planted data
    generated: Path | None = None  # with a folder of generated images
    adversarial: Path | None = None  # of data with classes
    attributes: Path | None = None  # words of test images
    attribute_truth: Path | None = None  # of planted data
    bridge: Path | None = None  # of an SAE at the class token, as the next three
    heads: Path | None = None
    components: Path | None = None
    cases: Path | None = None  # if it has classes, too


class Sheets(NamedTuple):
    """Figures."""

    figures: Sequence[Path]  # PNG
    captions: Sequence[Path]
    numbers: Sequence[Path]


class About(NamedTuple):
    """What the page is of."""

    variant: str
    blocks: Sequence[int]
    configuration: dict[str, Any]
    random_weights: bool = False


class Example(NamedTuple):
    """A neuron as the page shows it."""

    name: str
    facts: str
    words: str
    images: list[str]  # data URIs


def lens_report(
    *,
    tables: Tables,
    sheets: Sheets,
    index: Path,
    about: About,
    dataset_root: str,
    html: Path,
    reading: Reading = Reading(),  # noqa: B008
    template: Path = TEMPLATE,
) -> None:
    """Write the page. Raises RelianceError for a table that is not what it should be, or lost pictures."""
    names = [f"block {block}" for block in about.blocks]
    read = {
        "accuracies": [read_table(path, ACCURACY) for path in tables.accuracies],
        "neurons": [read_table(path, NEURONS) for path in tables.neurons],
        "tops": [read_table(path, TOPS) for path in tables.tops],
        "truths": [read_table(path, LENS_TRUTH) for path in tables.truths],
        "maps": [read_table(tables.maps, MAPS)] if tables.maps else [],
        "segments": [read_table(tables.segments, SEGMENTS)] if tables.segments else [],
        "attacks": [read_table(tables.attacks, ATTACKS)] if tables.attacks else [],
        "generated": [read_table(tables.generated, GENERATED)] if tables.generated else [],
        "adversarial": [read_table(tables.adversarial, ADVERSARIAL)] if tables.adversarial else [],
        "attributes": [read_table(tables.attributes, ATTRIBUTES)] if tables.attributes else [],
        "attribute_truth": (
            [read_table(tables.attribute_truth, ATTRIBUTE_TRUTH)] if tables.attribute_truth else []
        ),
        "bridge": [read_table(tables.bridge, BRIDGE)] if tables.bridge else [],
        "heads": [read_table(tables.heads, HEADS)] if tables.heads else [],
        "components": [read_table(tables.components, COMPONENTS)] if tables.components else [],
        "cases": [read_table(tables.cases, CASES)] if tables.cases else [],
    }
    frames = {name: [table.frame for table in listed] for name, listed in read.items()}
    truths = dict(zip(names, frames["truths"], strict=False))
    found = findings(dict(zip(names, frames["accuracies"], strict=True)), truths)
    found += [each for scores in frames["segments"] for each in segmented(scores)]
    found += [each for attacks in frames["attacks"] for each in misled(attacks, "drawn pictures")]
    found += [each for images in frames["generated"] for each in misled(images, "generated images")]
    found += [each for cases in frames["cases"] for each in carried(cases)]
    album = Album(Pictured(["dataset"], [index], [dataset_root]), reading)
    shown = [
        (name, examples(neurons, tops, truths.get(name), album))
        for name, neurons, tops in zip(names, frames["neurons"], frames["tops"], strict=True)
    ]
    ids = {f"{name}_{i}": t.stamp.id for name, listed in read.items() for i, t in enumerate(listed)}
    told = {"variant": about.variant, "configuration": about.configuration, "template": hash_file(template)}
    values = {
        "variant": about.variant,
        "random_weights": about.random_weights,
        "found": verdicts(found),
        "figures": exhibits(sheets),
        "examples": shown,
        "truth": [(name, truth_row(truth)) for name, truth in truths.items()],
        "maps": map_rows(frames["maps"][0]) if frames["maps"] else [],
        "segments": segment_rows(frames["segments"][0]) if frames["segments"] else [],
        "attacks": attack_rows(frames["attacks"][0]) if frames["attacks"] else [],
        "generated": generated_rows(frames["generated"][0]) if frames["generated"] else None,
        "generated_pairs": pair_rows(frames["generated"][0]) if frames["generated"] else None,
        "adversarial": word_rows(frames["adversarial"][0]) if frames["adversarial"] else None,
        "described": [each for said in frames["attributes"] for each in described(said, album)],
        "attributes": [row for scores in frames["attribute_truth"] for row in attribute_rows(scores)],
        "bridge": _bridge(frames) if frames["bridge"] else None,
        "cases": case_rows(frames["cases"][0]) if frames["cases"] else None,
        "configuration": sorted((name, str(value)) for name, value in about.configuration.items()),
    }
    write_page(template, values, html, derived_stamp(KIND, SCHEMA, told, {**ids, **album.ids}))


def _bridge(frames: dict[str, list[pd.DataFrame]]) -> Grid:
    components = frames["components"][0]
    names = dict(zip(components["component"].tolist(), components["label"], strict=True))
    return latent_rows(frames["bridge"][0], frames["heads"][0], names)


def exhibits(sheets: Sheets) -> list[dict[str, str]]:
    """Figures with their captions and numbers."""
    return [
        {
            "title": BY_NAME[png.stem].title,
            "image": picture(png),
            "caption": markdown(caption.read_text(encoding="utf-8")),
            "csv": data_uri(csv, "text/csv"),
            "name": csv.name,
        }
        for png, caption, csv in zip(sheets.figures, sheets.captions, sheets.numbers, strict=True)
    ]


def examples(
    neurons: pd.DataFrame, tops: pd.DataFrame, truth: pd.DataFrame | None, album: Album
) -> list[Example]:
    """The neurons that write most, with the images on which they do so along their direction."""
    best = neurons.nlargest(NEURONS_SHOWN, "norm")
    strongest = pd.DataFrame(strongest_of(tops, IMAGES_SHOWN)._asdict())
    drawn = {} if truth is None else truth.set_index("component").to_dict("index")
    found = []
    for row in best.to_dict("records"):
        own = strongest[strongest["component"] == row["component"]]
        samples = own[["image_id"]].assign(dataset="dataset", split="train")
        images = album.thumbnails(album.find(samples), SIDE) if len(samples) else []
        facts = [f"one direction {row['explained']:.2f}", f"spread {row['spread']:.2f}"]
        facts += [f"clarity {row['clarity']:.2f}"] if np.isfinite(row["clarity"]) else []
        facts += [f"images look like “{row['label']}” ({row['alignment']:.2f})"] if row["label"] else []
        said = drawn.get(row["component"])
        facts += [f"drawn: {said['factor']} on {said['share']:.0%}, {said['things']} things"] if said else []
        found.append(Example(f"#{row['component']}", ", ".join(facts), row["words"], _uris(images)))
    return found


def _uris(images: Sequence[Thumbnail]) -> list[str]:
    return [uri(image.pixels) for image in images if image.pixels is not None]


def truth_row(truth: pd.DataFrame) -> dict[str, str]:
    """How well the names of a block's neurons say what their strongest images show."""
    known = truth[(truth["images"] > 0) & (truth["share"] >= 0.5)]
    every = truth[truth["images"] > 0]
    return {
        "neurons": f"{len(every):,}",
        "about one thing (half of the images or more)": f"{len(known):,}",
        "of these, named by their images": _share(known["named"]),
        "of these, first word right": _share(known["worded"]),
        "several things": _share(every["things"] > 1),
    }


def _share(values: pd.Series) -> str:
    return f"{100 * values.mean():.0f} %" if len(values) else "none"


def map_rows(scores: pd.DataFrame) -> list[list[str]]:
    """Rows of the table of maps: of, about, method, share of mass inside, pointing game, chance, n."""
    rows = summary(scores).to_dict("records")
    said, counted = ("of", "about", "method"), ("mass", "pointing", "area")
    return [[*(row[n] for n in said), *(f"{row[n]:.2f}" for n in counted), f"{row['n']}"] for row in rows]


def segment_rows(scores: pd.DataFrame) -> list[list[str]]:
    """Rows of the table of segmentations: method, means over pictures, how many."""
    grouped = scores.groupby("method", sort=False)
    means, counts = grouped[["accuracy", "iou", "precision"]].mean(), grouped["iou"].count()
    return [
        [str(method), *(f"{value:.3f}" for value in row), f"{counts[method]}"]
        for method, row in zip(means.index, means.to_numpy(), strict=True)
    ]


def attack_rows(attacks: pd.DataFrame) -> list[list[str]]:
    """Rows of the table of misleading pictures: words, success, margin, classes, pictures."""
    rows = []
    for way, said in WAYS.items():
        own = attacks[attacks["way"] == way]
        mean, low, high = interval(own["success"].to_numpy())
        numbers = [f"{mean:.0%} [{max(low, 0):.0%}, {min(high, 1):.0%}]", f"{own['margin'].mean():+.3f}"]
        rows.append([said, *numbers, str(len(own)), str(int(own["pictures"].sum()))])
    return rows


def generated_rows(generated: pd.DataFrame) -> Grid:
    """Generated images in all, a row per kind of words."""
    rows = [
        [WAYS[str(row["way"])], *_won(row), str(row["pairs"])] for row in in_all(generated).to_dict("records")
    ]
    return Grid(["words", "success", "margin", "images", "pairs of classes"], rows, 0)


def pair_rows(generated: pd.DataFrame, most: int = 40) -> Grid:
    """The same of each pair of classes."""
    rows = [
        [str(row["shown"]), str(row["target"]), WAYS[str(row["way"])], *_won(row)]
        for row in generated.to_dict("records")
    ]
    columns = ["shown", "taken for", "words", "success", "margin", "images"]
    return Grid(columns, rows[:most], max(0, len(rows) - most))


def _won(row: Mapping[Any, Any]) -> list[str]:
    """Success with its interval, margin, and of how many images."""
    ends = f"[{row['low']:.0%}, {row['high']:.0%}]"
    return [f"{row['success']:.0%} {ends}", f"{row['margin']:+.3f}", str(row["pictures"])]


def word_rows(words: pd.DataFrame, most: int = 40) -> Grid:
    """The words that weigh most, of the pairs of classes; for an image generator, a caption each."""
    rows = []
    for (shown, target), own in words.groupby(["shown", "target"], sort=False):
        listed = ", ".join(own.sort_values("rank")["word"].head(5))
        rows.append([str(shown), str(target), listed, own["caption"].iloc[0]])
    return Grid(["shown", "taken for", "words", "caption"], rows[:most], max(0, len(rows) - most))
