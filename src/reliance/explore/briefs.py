"""What is said of a unit wherever it is named: its name, how clear it is, whom it serves, what it fools."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reliance.base.errors import RelianceError
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.explore.indexing import SERVED
from reliance.explore.lookup import each, rows_where
from reliance.explore.serves import counting
from reliance.explore.shelf import Shelf


class Served(NamedTuple):
    """A class that a unit drives."""

    class_id: int
    name: str
    share: float  # of the class's mean y that it gives on average
    rate: float  # share of the class's images on which it fires


class Fooled(NamedTuple):
    """A failure case that a unit stands behind."""

    failure_id: str
    kind: str
    class_id: int
    name: str  # of the class whose prompt is fooled


class Brief(NamedTuple):
    """A unit in a few words; text is empty and numbers are nan where they are not known."""

    component: int
    name: str
    runner_up: str
    alignment: float
    clarity: float
    firing_rate: float
    top20_mean: float
    serves: list[Served]
    cases: list[Fooled]
    examples: list[int]  # image_ids of train, the strongest first
    confidence: float = float("nan")  # share of draws in which its name, or a near one, comes out again
    rival: str = ""  # the name that comes out most often instead


def briefs(shelf: Shelf, components: Sequence[int], examples: int = 6, served: int = 3) -> dict[int, Brief]:
    """Component -> what is said of it. Raises RelianceError for a number that is no component's."""
    wanted = sorted({int(component) for component in components})
    table = shelf.components
    if wanted and not 0 <= wanted[0] <= wanted[-1] < len(table):
        bad = wanted[0] if wanted[0] < 0 else wanted[-1]
        raise RelianceError(
            shelf.path("components"),
            "a component is asked for by its number",
            found=bad,
            allowed=f"0 to {len(table) - 1}",
            next_step="look it up with `reliance find`, or in this table",
        )
    chosen = table.iloc[wanted]
    sure = shelf.name_stability if shelf.has("name_stability") else None
    classes, fooled = served_by(shelf, wanted, served), fooled_by(shelf, wanted)
    shown = strongest_of(shelf, wanted, examples)
    found = {}
    for row in each(chosen):
        c = int(row.component)
        found[c] = Brief(
            c,
            row.name,
            row.runner_up,
            float(row.alignment),
            float(row.clarity),
            float(row.firing_rate),
            float(row.top20_mean),
            classes.get(c, []),
            fooled.get(c, []),
            [image_id for image_id, _ in shown.get(c, [])],
            *(() if sure is None else (float(sure["confidence"].iloc[c]), str(sure["rival"].iloc[c]))),
        )
    return found


def served_by(shelf: Shelf, components: Sequence[int], most: int) -> dict[int, list[Served]]:
    """The classes that units serve, the one they add most to first; nothing if that was not built."""
    if not shelf.has("served") or not len(components):
        return {}
    frame, _ = rows_where(shelf.path("served"), SERVED, {"component": list(components)})
    names, frame = shelf.class_label, counting(frame)
    found: dict[int, list[Served]] = {}
    for row in each(frame[frame.groupby("component").cumcount() < most]):
        entry = Served(int(row.class_id), names(int(row.class_id)), row.share, row.n_active / row.n)
        found.setdefault(int(row.component), []).append(entry)
    return found


def fooled_by(shelf: Shelf, components: Sequence[int]) -> dict[int, list[Fooled]]:
    """The failure cases that units of this variant stand behind."""
    if not shelf.mines or not shelf.has("failures"):
        return {}
    cases = shelf.failures
    own = cases[(cases["source"] == "mined") & cases["component"].isin(list(components))]
    found: dict[int, list[Fooled]] = {}
    for row in each(own):
        entry = Fooled(row.failure_id, row.kind, int(row.class_id), shelf.class_label(int(row.class_id)))
        found.setdefault(int(row.component), []).append(entry)
    return found


def strongest_of(shelf: Shelf, components: Sequence[int], most: int) -> dict[int, list[tuple[int, float]]]:
    """(image_id, activation) of the strongest images of train per component."""
    if not shelf.has("top_samples") or not len(components) or not most:
        return {}
    frame, _ = rows_where(shelf.path("top_samples"), TOP_SAMPLES, {"component": list(components)})
    frame = frame[frame["rank"] < most].sort_values(["component", "rank"])
    found: dict[int, list[tuple[int, float]]] = {}
    rows = zip(frame["component"], frame["image_id"], frame["activation"], strict=True)
    for component, image_id, activation in rows:
        found.setdefault(int(component), []).append((int(image_id), float(activation)))
    return found


def plain(value: Any) -> Any:
    """A result as JSON values: tuples with names become objects, numbers that are none become null."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
