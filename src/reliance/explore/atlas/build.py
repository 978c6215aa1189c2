"""Stage `atlas`: a folder of static files, opened from the disk by its index.html.

    index.html, atlas.js, atlas.css   the page; the same for every variant but for its name
    data/core.js                      every unit in columns, names of classes, cases in brief: the first view
    data/{units,classes,cases,images}/N.js, data/map.js, data/find.js   loaded when they are needed
    sheets/N.webp                     64 small pictures each
    atlas.json                        what it was made from, and the bytes of every file

It is built in a hidden folder beside the old one and takes its place at the end: nothing old stays, and
a kill leaves what was there.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from reliance.attribution.inputs import Computing, Explained
from reliance.base.artifacts import derived_stamp, hash_file, write_json, write_meta
from reliance.base.stamps import read_stamp
from reliance.base.writing import atomic
from reliance.config.sites import DEFAULT, kind_of
from reliance.explore.atlas import cases as of_cases
from reliance.explore.atlas import chunks
from reliance.explore.atlas import units as of_units
from reliance.explore.atlas.layout import layout
from reliance.explore.atlas.neighbours import by_direction, by_images
from reliance.explore.atlas.pictures import Shown, examples_per_unit, side_of, write_sheets
from reliance.explore.atlas.recorded import Recorded, recorded_images
from reliance.explore.atlas.relevances import image_records
from reliance.explore.indexing import EFFECTS
from reliance.explore.shelf import Shelf
from reliance.failures.schema import OUTLIERS
from reliance.figures.thumbnails import AS_STORED, Reading

KIND, SCHEMA = "atlas", 1
HERE = Path(__file__).parent
STATIC = ("atlas.js", "atlas.css")
SPLITS = ("train", "test")
TEMPLATE = HERE / "index.html.j2"


class Browsed(NamedTuple):
    """The files of a variant with an SAE; cases are those of the variant that mined them."""

    components: Path
    tested: Path
    top_samples: Path
    hidden: Path
    alignments: Path
    expectations: Path
    effects: Path
    failures: Path
    failure_samples: Path
    mined_components: Path
    robustness: Path
    index: Path  # type: ignore[assignment]  # instead of the method of tuples
    classes: Path
    sae: Path
    text: Path
    views: Path  # of its units by the labeller
    embeddings: Sequence[Path]  # of train and test
    codes: Sequence[Path]
    head: Path | None = None  # of a site with a closed form behind it; elsewhere what the pipeline computed
    attributions: Path | None = None
    outputs: Path | None = None
    outliers: Path | None = None  # of a variant that mines
    outlier_samples: Path | None = None
    name_stability: Path | None = None


class AboutAtlas(NamedTuple):
    """What the atlas says of the variant itself."""

    variant: str
    mined_by: str
    dataset: str
    encoder: str
    dataset_root: str
    site: str = DEFAULT


def atlas(
    files: Browsed,
    *,
    page: Path,
    manifest: Path,
    about: AboutAtlas,
    reading: Reading = AS_STORED,
    computing: Computing | None = None,
) -> None:
    """Write the atlas of a variant: `page`, `manifest` and all that lies beside them in their folder.

    Raises RelianceError for artifacts that do not belong together, and if no image is there any more.
    """
    computing = computing or Computing()
    study = opened(files, about.variant)
    with atomic(page.parent) as folder:
        folder.mkdir()
        facts = write_data(folder, study, files, about, reading, computing)
        write_page(folder, about.variant)
        ids = {name: read_stamp(path).id for name, path in _paths(files).items()}
        told = {**about._asdict(), **reading._asdict(), "page": hash_file(TEMPLATE)}
        told |= {name: hash_file(HERE / name) for name in STATIC}
        stamp = derived_stamp(KIND, SCHEMA, told, ids)
        sizes = {
            str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()
        }
        write_meta(folder / page.name, stamp)
        write_json(folder / manifest.name, {**facts, "files": sizes}, stamp)


def opened(files: Browsed, variant: str) -> Shelf:
    """The files as a Shelf, which holds them against each other."""
    given: dict[str, Any] = {name: path for name, path in files._asdict().items() if path is not None}
    for name in ("embeddings", "codes"):
        given[name] = dict(zip(SPLITS, given[name], strict=True))
    return Shelf(given, variant)


def write_data(
    folder: Path, study: Shelf, files: Browsed, about: AboutAtlas, reading: Reading, computing: Computing
) -> dict[str, int]:
    """Write chunks and sheets; what was written, in numbers."""
    own = about.mined_by == about.variant
    shown = Shown()
    outliers = (
        study.outliers if study.has("outliers") else pd.DataFrame(columns=[n for n, _ in OUTLIERS.columns])
    )
    effects = of_units.Effects(study.table("effects", EFFECTS), outliers)
    named = of_units.with_confidence(study)
    ordered = of_units.in_order(named, study.failures if own else study.failures.iloc[:0])
    located = study.codes("train") if own and study.codes("train").located else None
    firing = ordered["component"].to_numpy()
    examples = of_units.examples_of(
        ordered, study.top_samples, study.index, shown, examples_per_unit(len(ordered))
    )
    cases = of_cases.case_records(study, about.dataset, shown, located)
    classes = of_cases.class_records(study, effects, of_cases.images_of_classes(study.index, shown))
    usual = study.components["firing_rate"].to_numpy()
    around = of_units.Around(
        study.views.histogram,
        by_direction(study.sae.decoder_weight, firing),
        by_images(study.top_samples, study.codes("train"), usual, firing),
        study.tested,
    )
    places, by_example = layout(study.sae.decoder_weight[firing]), layout(study.views.mean[firing])
    data = folder / "data"
    chunks.write_chunks(data, "units", of_units.records_of(ordered, effects, around, examples))
    chunks.write_chunks(data, "classes", classes)
    chunks.write_chunk(data, "map", {"x": by_example[:, 0].tolist(), "y": by_example[:, 1].tolist()})
    images = shown.frame().merge(study.index, how="left", on=["split", "image_id"])
    images["class_id"] = images["class_id"].fillna(-1).astype(int)
    records = image_records_of(files, images, asked_by_cases(cases), computing)
    of_cases.add_taken(cases, [record["top"] for record in records])
    chunks.write_chunks(data, "cases", cases)
    side = side_of(len(images))
    root = Path(about.dataset_root)
    drawn = write_sheets(folder / "sheets", images, root, reading, side, computing.threads)
    for record, ok in zip(records, drawn.tolist(), strict=True):
        record["ok"] = ok
    chunks.write_chunks(data, "images", records)
    chunks.write_chunk(data, "find", _numbers(images))
    known = hidden_units(study)
    core = {
        "about": about._asdict() | {"dataset_root": ""},
        "own": own,
        "site": kind_of(about.site),
        "counts": {"units": len(study.components), "images": len(images), "side": side},
        "chunks": chunks.SIZES,
        "kinds": of_cases.kinds(),
        "classes": {
            "id": study.class_names["class_id"].tolist(),
            "name": study.class_names["short_name"].astype(str).tolist(),
        },
        "units": of_units.columns_of(ordered, places, effects, known),
        "cases": [of_cases.summary(case) for case in cases],
    }
    chunks.write_chunk(data, "core", core)
    return {"units": len(ordered), "cases": len(cases), "images": len(images)}


def image_records_of(
    files: Browsed, images: pd.DataFrame, prompts: Mapping[int, set[int]], computing: Computing
) -> list[dict[str, Any]]:
    """What is said of every image shown: computed in closed form, or as the pipeline kept it."""
    embeddings, codes = (dict(zip(SPLITS, paths, strict=True)) for paths in (files.embeddings, files.codes))
    if files.head is None:
        assert files.attributions is not None and files.outputs is not None
        kept = Recorded(files.text, files.attributions, files.outputs, embeddings, codes)
        return recorded_images(kept, images)
    explained = {
        split: Explained(
            files.index, path, head=files.head, codes=codes[split], sae=files.sae, text=files.text
        )
        for split, path in embeddings.items()
    }
    return image_records(explained, images, prompts, computing)


def asked_by_cases(cases: Sequence[Mapping[str, Any]]) -> dict[int, set[int]]:
    """Which prompts an image is explained for because a case shows it, by number."""
    found: dict[int, set[int]] = {}
    for case in cases:
        for image in case["images"]:
            found.setdefault(image[0], set()).add(case["class"])
    return found


def hidden_units(study: Shelf) -> set[int]:
    """Units that no name fits though they matter (Eq. 7)."""
    table = study.hidden
    return set(table.loc[table["by_relevance"] | table["by_activation"], "component"])


def write_page(folder: Path, variant: str, live: str = "") -> None:
    """Write index.html, the script and the style."""
    for name in STATIC:
        shutil.copyfile(HERE / name, folder / name)
    (folder / "index.html").write_text(rendered(variant, live), encoding="utf-8")


def rendered(variant: str, live: str = "") -> str:
    """The page. live : version of the server that answers it; none: it lies on a disk."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(variant=variant, live=live, local="" if live else " file:") + "\n"


def _numbers(images: pd.DataFrame) -> dict[str, list[list[int]]]:
    """Per split image_ids and their numbers, for links that know no number."""
    parts = images.groupby("split")["image_id"]
    return {str(split): [ids.tolist(), ids.index.tolist()] for split, ids in parts}


def _paths(files: Browsed) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, value in files._asdict().items():
        if isinstance(value, Path):
            found[name] = value
        elif value is not None:
            found |= {f"{name}_{split}": p for split, p in zip(SPLITS, value, strict=True)}
    return found
