"""Units as the atlas lists them: all in columns for list and map, and one record for the page of each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.explore.atlas.chunks import number, rows, scaled
from reliance.explore.atlas.neighbours import Near
from reliance.explore.atlas.pictures import Shown
from reliance.explore.atlas.places import place_of
from reliance.explore.indexing import served_frame
from reliance.explore.serves import counting
from reliance.explore.shelf import Shelf

DRIVEN, OPPOSED, FOOLED = 6, 3, 6  # classes listed of a unit


class Effects(NamedTuple):
    """What units add to the outputs of classes, and where they stand out."""

    expected: pd.DataFrame  # columns of EFFECTS
    unexpected: pd.DataFrame  # columns of OUTLIERS; empty if the variant mined no cases

    @property
    def served(self) -> pd.DataFrame:
        """The classes that each unit serves, the one it adds most to first (columns of SERVED)."""
        return counting(served_frame(self.expected))


def with_confidence(study: Shelf) -> pd.DataFrame:
    """Components with `confidence` in their names (nan: not known) and `rival`."""
    if not study.has("name_stability"):
        return study.components.assign(confidence=np.nan, rival="")
    sure = study.name_stability.set_index("component")[["confidence", "rival"]]
    return study.components.join(sure, on="component")


def in_order(components: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Components that ever fire, those first that people should see first.

    Units of failure cases by the score of their strongest, then named ones by activation, then the rest.
    Adds `score` (nan without a case).
    """
    best = cases.groupby("component")["score"].max() if len(cases) else pd.Series(dtype=float)
    firing = components[components["n_active"] > 0]
    firing = firing.assign(score=firing["component"].map(best), named=firing["label"] != "")
    keys = ["score", "named", "top20_mean", "component"]
    order = firing.sort_values(keys, ascending=[False, False, False, True], na_position="last")
    return order.reset_index(drop=True)


def columns_of(units: pd.DataFrame, places: np.ndarray, effects: Effects, hidden: set[int]) -> dict[str, Any]:
    """Units in the order of `in_order` as columns of whole numbers, places [n, 2] on the map among them."""
    words = sorted(set(units["name"]))
    word = {text: i for i, text in enumerate(words)}
    top = effects.served.drop_duplicates("component").set_index("component")
    driven = top["class_id"].reindex(units["component"]).fillna(-1).astype(int)
    share = top["share"].reindex(units["component"])
    fooling = set(effects.unexpected["component"])
    return {
        "id": units["component"].tolist(),
        "words": words,
        "label": [word[text] for text in units["name"]],
        "clarity": scaled(units["clarity"].to_numpy(), 1000),
        "alignment": scaled(units["alignment"].to_numpy(), 1000),
        "sure": scaled(units["confidence"].to_numpy(), 100),
        "activation": scaled(units["top20_mean"].to_numpy(), 100),
        "rate": scaled(units["firing_rate"].to_numpy(), 1e6),
        "drives": driven.tolist(),
        "share": scaled(share.to_numpy(), 1000),
        "fools": [int(c in fooling) for c in units["component"]],
        "hidden": [int(c in hidden) for c in units["component"]],
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
    }


class Around(NamedTuple):
    """What else is told of units."""

    histogram: np.ndarray  # images per bin of activation, int64 [m, bins]
    direction: Near  # of the units in their order
    images: Near
    tested: pd.DataFrame  # components on the test split, by component


def records_of(
    units: pd.DataFrame, effects: Effects, around: Around, examples: Mapping[int, list[list[Any]]]
) -> list[dict[str, Any]]:
    """What the page of each unit shows beside its columns; examples as from `examples_of`."""
    drives = _by_unit(effects.served, DRIVEN, _share)
    opposing = effects.expected.sort_values(["component", "share"])
    opposes = _by_unit(opposing[opposing["share"] < 0], OPPOSED, _share)
    fools = _by_unit(effects.unexpected.sort_values("q_value"), FOOLED, _flag)
    tested = around.tested.set_index("component")[["clarity", "top20_mean", "firing_rate"]]
    records = []
    for row, unit in enumerate(rows(units)):
        c = int(unit.component)
        test: list[Any] = list(tested.loc[c]) if c in tested.index else []
        records.append(
            {
                "next": unit.runner_up,
                "rival": unit.rival,
                "max": number(unit.max),
                "mean": number(unit.mean),
                "n": int(unit.n_active),
                "test": [number(v) for v in test],
                "drives": drives.get(c, []),
                "against": opposes.get(c, []),
                "fools": fools.get(c, []),
                "near": _near(around.direction, row),
                "with": _near(around.images, row),
                "histogram": around.histogram[c].tolist(),
                "examples": examples.get(c, []),
            }
        )
    return records


def examples_of(
    units: pd.DataFrame, top: pd.DataFrame, index: pd.DataFrame, shown: Shown, count: int
) -> dict[int, list[list[Any]]]:
    """Per component its strongest train images, [number, image_id, activation, class_id], units in order.

    Where it is known on which patch a unit is strongest, an entry ends in this place (`places.place_of`).
    """
    labels = index[index["split"] == "train"].set_index("image_id")["class_id"]
    first = top[top["rank"] < count]
    first = first.assign(class_id=first["image_id"].map(labels))
    place = {c: i for i, c in enumerate(units["component"])}
    first = first.assign(place=first["component"].map(place)).sort_values(["place", "rank"])
    found: dict[int, list[list[Any]]] = {}
    for row in rows(first):
        image = int(row.image_id)
        entry = [shown.number("train", image), image, number(row.activation), int(row.class_id)]
        found.setdefault(int(row.component), []).append([*entry, *place_of(row)])
    return found


def _by_unit(frame: pd.DataFrame, most: int, cell: Any) -> dict[int, list[list[Any]]]:
    first = frame[frame.groupby("component").cumcount() < most]
    found: dict[int, list[list[Any]]] = {}
    for row in rows(first):
        found.setdefault(int(row.component), []).append(cell(row))
    return found


def _share(row: Any) -> list[Any]:
    """class, share of its mean output, share of its images with the unit."""
    return [int(row.class_id), number(row.share), number(row.n_active / max(row.n, 1), 3)]


def _flag(row: Any) -> list[Any]:
    """class, flagged images of others, mean z, mean relevance, q."""
    values = [number(v, 3) for v in (row.mean_z, row.mean_relevance, row.q_value)]
    return [int(row.class_id), int(row.n_flagged), *values]


def _near(near: Near, row: int) -> Sequence[list[Any]]:
    pairs = zip(near.unit[row].tolist(), near.value[row].tolist(), strict=True)
    return [[unit, number(value, 3)] for unit, value in pairs if unit >= 0]
