"""Why an image has this output for this prompt: what every active unit of it adds, and what no unit carries.

Numbers are those of the pipeline for the same image and prompt. `ablation` is the exact change of y when
the unit alone is removed (Eq. 5, left side), `share` that change as a share of y; `act_x_grad` is its
linearisation. What is left of y when all active units are removed at once rests on the reconstruction error
and the biases, on no unit: `without`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reliance.base.stamps import read_stamp
from reliance.explore.attribute import Relevances
from reliance.explore.briefs import Brief, briefs
from reliance.explore.indexing import REFERENCES
from reliance.explore.lookup import rows_where
from reliance.explore.model import Models
from reliance.explore.picture import ImageLike, Picture, see
from reliance.explore.prompts import Asked, ask, mean_of_classes
from reliance.explore.shelf import Shelf
from reliance.failures.reference import PRIOR_WEIGHT
from reliance.failures.schema import EXPECTATIONS


class UnitEffect(NamedTuple):
    """What one active unit does to the output for one prompt."""

    component: int
    activation: float
    act_x_grad: float
    ablation: float  # y - y without it, exact
    share: float  # ablation / y
    z: float  # standard deviations above the class's expectation (Eq. 8, R7); nan where none can be given
    unseen: bool  # whether it never fires on the reference images of the class
    case: str  # failure_id of the class's case that it stands behind, ""


class Answer(NamedTuple):
    """One prompt."""

    prompt: str
    class_id: int  # -1: not the name of one class
    class_name: str
    prompt_set: str  # "": embedded for this question
    y: float
    without: float  # y with all active units removed: what error and biases carry
    bias: float  # y of the SAE's offset alone, without the error, too
    y_mean: float  # of the class's own images; nan where it is not known
    y_std: float
    units: list[UnitEffect]  # all active ones, the largest ablation first

    @property
    def carried_by_none(self) -> float:
        """Share of y that is there with all units removed."""
        return self.without / self.y if self.y else float("nan")


class Explained(NamedTuple):
    """An image explained for prompts."""

    variant: str
    picture: Picture
    answers: list[Answer]
    against: str  # the prompt whose output and effects are subtracted, ""
    about: dict[int, Brief]  # of the units that are shown
    notes: list[str]  # what could not be said, and the command that changes this


def explain(
    shelf: Shelf,
    models: Models,
    image: ImageLike,
    prompts: Sequence[str | int],
    against: str | int | None = None,
    top: int = 10,
    contrast: bool = False,
) -> Explained:
    """Explain an image for prompts, or for how they differ from the prompt `against`.

    top : units per prompt of which more is said than numbers. contrast : how they differ from the mean of all
    classes' prompts; it comes before `against`.
    Raises RelianceError for an image or prompt that is none, and for what was not built.
    """
    asked = ask(shelf, models, [*prompts, *([] if against is None else [against])])
    picture = see(shelf, models, image)
    other = mean_of_classes(shelf) if contrast else None if against is None else asked[-1]
    return explained(shelf, picture, asked[: len(prompts)], other, top)


def explained(
    shelf: Shelf, picture: Picture, asked: Sequence[Asked], against: Asked | None = None, top: int = 10
) -> Explained:
    """The same of an image that was seen, and of prompts that have vectors."""
    vectors = np.stack([prompt.vector for prompt in [*asked, *([against] if against else [])]])
    found = shelf.attribute(picture.seen, vectors)
    if against:
        found = Relevances(*(values[:-1] - against.weight * values[-1:] for values in found))
    expected = [_Expected(shelf, prompt, against is None) for prompt in asked]
    cases = _cases(shelf)
    answers = [
        _answer(shelf, picture, found, row, asked[row], expected[row], cases) for row in range(len(asked))
    ]
    shown = {unit.component for answer in answers for unit in answer.units[:top]}
    command = shelf.missing("components", "top_samples", "served", "references")
    notes = [f"more is said once this has run: {command}"] if command else []
    about = briefs(shelf, sorted(shown)) if shelf.has("components") else {}
    return Explained(shelf.variant, picture, answers, against.text if against else "", about, notes)


def _answer(
    shelf: Shelf,
    picture: Picture,
    found: Relevances,
    row: int,
    prompt: Asked,
    expected: "_Expected",
    cases: dict[tuple[int, int], str],
) -> Answer:
    component, y = picture.seen.component, float(found.y[row])
    relevance = found.ablation[row] if expected.relevance == "ablation" else found.act_x_grad[row]
    z, unseen = expected.z(component, relevance)
    units = [
        UnitEffect(
            int(c),
            float(picture.seen.activation[i]),
            float(found.act_x_grad[row, i]),
            float(found.ablation[row, i]),
            float(found.ablation[row, i]) / y if y else float("nan"),
            float(z[i]),
            bool(unseen[i]),
            cases.get((prompt.class_id, int(c)), ""),
        )
        for i, c in enumerate(component)
    ]
    units.sort(key=lambda unit: (-unit.ablation, unit.component))
    return Answer(
        prompt.text,
        prompt.class_id,
        shelf.class_label(prompt.class_id),
        prompt.prompt_set,
        y,
        float(found.without[row]),
        float(found.bias[row]),
        expected.y_mean,
        expected.y_std,
        units,
    )


def _cases(shelf: Shelf) -> dict[tuple[int, int], str]:
    """(class_id, component) -> failure_id of the cases that the variant mined itself."""
    if not shelf.mines or not shelf.has("failures"):
        return {}
    cases = shelf.failures[shelf.failures["source"] == "mined"]
    keys = zip(cases["class_id"].tolist(), cases["component"].tolist(), strict=True)
    return dict(zip(keys, cases["failure_id"], strict=True))


class _Expected:
    """What the class of a prompt is expected to rely on (R7)."""

    def __init__(self, shelf: Shelf, prompt: Asked, asked: bool) -> None:
        self.relevance, self.y_mean, self.y_std = "act_x_grad", np.nan, np.nan
        self._n = self._typical = np.nan
        self._known: dict[int, tuple[float, float]] = {}
        built = shelf.has("expectations") and shelf.has("references")
        if not (asked and built and prompt.class_id >= 0 and prompt.expected):
            return
        path = shelf.path("expectations")
        where = {"class_id": [prompt.class_id]}
        own, stamp = rows_where(shelf.path("references"), REFERENCES, where)
        if stamp.params.get("contrastive"):
            return  # of other relevances than those that are shown
        shelf.same_expectations(stamp.inputs["expectations"], read_stamp(path).id)
        if own.empty:
            return
        self.relevance = str(stamp.params.get("relevance", "act_x_grad"))
        self._n, self._typical = float(own["n"].iloc[0]), float(own["typical"].iloc[0])
        self.y_mean, self.y_std = float(own["y_mean"].iloc[0]), float(own["y_std"].iloc[0])
        rows, _ = rows_where(path, EXPECTATIONS, where, ["component", "mean", "std"])
        values = zip(rows["component"], rows["mean"], rows["std"], strict=True)
        self._known = {int(component): (mean, std) for component, mean, std in values if component >= 0}

    def z(self, component: np.ndarray, relevance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z of relevances [k] of units [k], nan if there is none, and whether the class never shows them."""
        known = [self._known.get(int(c)) for c in component]
        mean = np.array([entry[0] if entry else 0.0 for entry in known])
        variance = np.array([entry[1] ** 2 if entry else 0.0 for entry in known])
        prior = PRIOR_WEIGHT * self._typical
        sigma = np.sqrt((prior + (self._n - 1) * variance) / (self._n + PRIOR_WEIGHT - 1))
        unseen = np.array([entry is None for entry in known], bool) & bool(np.isfinite(self._n))
        return (relevance.astype(np.float64) - mean) / sigma, unseen
