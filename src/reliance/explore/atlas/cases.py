"""Failure cases and classes as the atlas shows them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.codes.boxes import boxes_in
from reliance.codes.store import Codes
from reliance.codes.top_samples import BOX
from reliance.explore.atlas.chunks import number, rows
from reliance.explore.atlas.pictures import Shown
from reliance.explore.atlas.places import place_of
from reliance.explore.atlas.units import Effects
from reliance.explore.shelf import Shelf
from reliance.figures.style import FAILURES

IMAGES, OWN = 32, 12  # shown of a case, and of a class
EXPECTED, OPPOSED, UNEXPECTED = 16, 6, 24  # units listed of a class
PROBES = ("short", "templated", "extended", "both", "linear")


def kinds() -> dict[str, dict[str, str]]:
    """How kinds of failure are called and coloured."""
    return {
        key: {"title": kind.title, "one": kind.singular, "color": FAILURES[key].color}
        for key, kind in FAILURE_KINDS.items()
    }


def images_of_classes(index: pd.DataFrame, shown: Shown) -> dict[int, list[list[Any]]]:
    """Per class some of its images as [number, split, image_id], evenly from test, or else from train."""
    order = {"test": 0, "train": 1}
    known = index[(index["class_id"] >= 0) & index["split"].isin(order)]
    found: dict[int, list[list[Any]]] = {}
    for class_id, part in known.groupby("class_id"):
        own = part[part["split"] == min(part["split"].unique(), key=lambda split: order[split])]
        chosen = own.iloc[:: max(1, len(own) // OWN)][:OWN]
        pairs = zip(chosen["split"], chosen["image_id"], strict=True)
        found[int(str(class_id))] = [[shown.number(s, int(i)), s, int(i)] for s, i in pairs]
    return found


def case_records(
    study: Shelf, dataset: str, shown: Shown, located: Codes | None = None
) -> list[dict[str, Any]]:
    """Every case, the strongest first, with its images: [number, split, image_id, class, y, relevance, z].

    Images of other data sets than `dataset` are counted and not shown. What was not measured is None.
    located : codes of train that know on which patch a unit is strongest; then an image has this place, too.
    """
    cases = study.failures.sort_values("score", ascending=False, na_position="last", kind="stable")
    own = study.failure_samples
    images = own[own["dataset"] == dataset].merge(study.index, on=["split", "image_id"], how="left")
    pairs = cases[["failure_id", "class_id", "component"]].rename(columns={"class_id": "prompt"})
    images = images.merge(pairs, on="failure_id")
    flags = _flags(study).rename(columns={"class_id": "prompt"})
    images = images.merge(flags, how="left", on=["prompt", "component", "split", "image_id"])
    images = images.sort_values("relevance", ascending=False, na_position="last", kind="stable")
    if located:
        images[list(BOX)] = boxes_in(located, images.assign(known=images["split"] == "train"))
    grouped = dict(iter(images.groupby("failure_id")))
    total = own["failure_id"].value_counts()
    areas, labels = _areas(study), study.mined_components.set_index("component")["name"]
    records = []
    for case in rows(cases):
        part = grouped.get(case.failure_id, images.iloc[:0])
        records.append(
            {
                "id": str(case.failure_id),
                "kind": str(case.kind),
                "class": int(case.class_id),
                "unit": int(case.component),
                "label": str(labels.get(case.component, "")),
                "score": number(case.score),
                "q": number(case.q_value, 2),
                "reviewed": case.reviewed == "yes",
                "note": str(case.note),
                "n": int(total.get(case.failure_id, 0)),
                "areas": [areas.get((case.failure_id, probe)) for probe in PROBES],
                "classes": int(part["class_id"].nunique()),
                "fooled": _counts(part["class_id"], 6),
                "images": [_image(row, shown) for row in rows(part.head(IMAGES))],
            }
        )
    return records


def add_taken(cases: list[dict[str, Any]], tops: Sequence[Sequence[Sequence[Any]]]) -> None:
    """Say of every case for how many of its images shown its class has the largest output, of how many.

    tops : by number of an image its best classes as [class, y], the best first.
    """
    for case in cases:
        best = [tops[image[0]][0][0] for image in case["images"] if tops[image[0]]]
        case["taken"] = [best.count(case["class"]), len(best)]


def summary(case: dict[str, Any]) -> dict[str, Any]:
    """What lists of cases show of one."""
    names = ("id", "kind", "class", "unit", "label", "score", "n", "classes", "fooled")
    first = {name: case["areas"][i] for i, name in enumerate(PROBES) if name in ("short", "linear")}
    return {**{name: case[name] for name in names}, **first, "images": [i[0] for i in case["images"][:6]]}


def class_records(study: Shelf, effects: Effects, images: dict[int, list[list[Any]]]) -> list[dict[str, Any]]:
    """Every class: what is expected of its output, what speaks against it, what is not expected."""
    outputs = study.expectations[study.expectations["component"] < 0].set_index("class_id")
    alignment: Any = study.alignments.set_index("class_id")["alignment"] if study.has("alignments") else {}
    expected = dict(iter(effects.expected.sort_values("share", ascending=False).groupby("class_id")))
    unexpected = dict(iter(effects.unexpected.sort_values("q_value").groupby("class_id")))
    records = []
    for row in rows(study.class_names):
        c = int(row.class_id)
        pairs, flagged = expected.get(c, effects.expected.iloc[:0]), unexpected.get(c)
        named = pairs[pairs["component"] >= 0]
        records.append(
            {
                "id": c,
                "full": str(row.full_name),
                "definition": str(row.definition),
                "y": [number(outputs[name].get(c, float("nan"))) for name in ("y_mean", "y_std")],
                "n": int(outputs["n"].get(c, 0)),
                "alignment": number(alignment.get(c, float("nan"))),
                "expected": [_share(p) for p in rows(named[named["share"] > 0].head(EXPECTED))],
                "against": [_share(p) for p in rows(named[named["share"] < 0].tail(OPPOSED)[::-1])],
                "unexpected": [] if flagged is None else [_flag(p) for p in rows(flagged.head(UNEXPECTED))],
                "images": images.get(c, []),
            }
        )
    return records


def _counts(values: pd.Series, most: int) -> list[list[int]]:
    counts = values.value_counts().head(most)
    return [[int(value), n] for value, n in zip(counts.index, counts.tolist(), strict=True)]


def _image(row: Any, shown: Shown) -> list[Any]:
    image, label = int(row.image_id), -1 if pd.isna(row.class_id) else int(row.class_id)
    values = [number(v) for v in (row.y, row.relevance, row.z)]
    return [shown.number(row.split, image), row.split, image, label, *values, *place_of(row)]


def _share(row: Any) -> list[Any]:
    """unit, share of the mean output, share of the class's images with it."""
    return [int(row.component), number(row.share), number(row.n_active / max(row.n, 1), 3)]


def _flag(row: Any) -> list[Any]:
    """unit, flagged images of other classes, mean z, mean relevance, q."""
    values = [number(v, 3) for v in (row.mean_z, row.mean_relevance, row.q_value)]
    return [int(row.component), int(row.n_flagged), *values]


def _flags(study: Shelf) -> pd.DataFrame:
    columns = ["class_id", "component", "split", "image_id", "y", "relevance", "z"]
    return study.outlier_samples[columns] if study.has("outlier_samples") else pd.DataFrame(columns=columns)


def _areas(study: Shelf) -> dict[tuple[str, str], float | None]:
    table = study.robustness[study.robustness["source"].isin(study.failures["source"])]
    keys = zip(table["failure_id"], table["probe"], strict=True)
    return {key: number(value) for key, value in zip(keys, table["spurious_auc"], strict=True)}
