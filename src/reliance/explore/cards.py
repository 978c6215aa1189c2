"""Cards of classes and of failure cases: what is expected, what is not, and by which images."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.errors import RelianceError
from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.explore.briefs import Brief, Fooled, briefs
from reliance.explore.indexing import EFFECTS
from reliance.explore.lookup import each, rows_where
from reliance.explore.shelf import Shelf, few
from reliance.failures.case_list import FAILURE_SAMPLES
from reliance.failures.schema import EXPECTATIONS, OUTLIERS

MOST = 10


class Expected(NamedTuple):
    """A unit that a class relies on."""

    component: int
    name: str
    effect: float  # mean of y minus y without it over the images of the class, zeros included
    share: float  # of the class's mean y
    rate: float  # share of the class's images on which it fires


class Unexpected(NamedTuple):
    """A unit that makes other images look like the class."""

    component: int
    name: str
    n_flagged: int
    mean_relevance: float
    mean_z: float
    q_value: float
    unseen: bool


class ClassCard(NamedTuple):
    """A class; lists are empty where what they need was not built."""

    class_id: int
    short_name: str
    full_name: str
    n: int  # images that its expectations are over; 0: not known
    y_mean: float
    y_std: float
    expected: list[Expected]
    unexpected: list[Unexpected]
    cases: list[Fooled]


class CaseCard(NamedTuple):
    """A failure case."""

    failure_id: str
    rank: int
    kind: str
    source: str
    class_id: int
    class_name: str
    component: int  # of the variant that mined it
    unit: Brief | None  # where that is this variant
    unit_name: str
    score: float
    q_value: float
    reviewed: str
    note: str
    images: list[tuple[str, str, int]]  # (dataset, split, image_id) of those that fool the prompt


def class_cards(shelf: Shelf) -> list[ClassCard]:
    """All classes without what has to be looked up for each: names and cases."""
    table = shelf.class_names
    cases = _cases_by_class(shelf)
    rows = zip(table["class_id"].tolist(), table["short_name"], table["full_name"], strict=True)
    return [ClassCard(c, short, full, 0, np.nan, np.nan, [], [], cases.get(c, [])) for c, short, full in rows]


def class_card(shelf: Shelf, class_id: int, most: int = MOST) -> ClassCard:
    """A class. Raises RelianceError if there is none of this number."""
    plain = next((card for card in class_cards(shelf) if card.class_id == class_id), None)
    if plain is None:
        raise _no("class", class_id, shelf, "classes", shelf.class_names["class_id"])
    if shelf.has("expectations"):
        rows, _ = rows_where(shelf.path("expectations"), EXPECTATIONS, {"class_id": [class_id]})
        whole = rows[rows["component"] < 0]
        if len(whole):
            n, y_mean, y_std = whole[["n", "y_mean", "y_std"]].iloc[0]
            plain = plain._replace(n=int(n), y_mean=float(y_mean), y_std=float(y_std))
    if shelf.has("effects"):
        rows, _ = rows_where(shelf.path("effects"), EFFECTS, {"class_id": [class_id]})
        plain = plain._replace(expected=_expected(shelf, rows[rows["effect"] > 0].nlargest(most, "effect")))
    if shelf.mines and shelf.has("outliers"):
        plain = plain._replace(unexpected=_unexpected(shelf, class_id, most))
    return plain


def _expected(shelf: Shelf, rows: pd.DataFrame) -> list[Expected]:
    found = []
    for row in each(rows):
        name, rate = _name(shelf, int(row.component)), row.n_active / row.n
        found.append(Expected(int(row.component), name, row.effect, row.share, rate))
    return found


def _unexpected(shelf: Shelf, class_id: int, most: int) -> list[Unexpected]:
    rows, _ = rows_where(shelf.path("outliers"), OUTLIERS, {"class_id": [class_id]})
    rows = rows.assign(score=rows["mean_relevance"] * rows["n_flagged"])
    rows = rows.sort_values(["score", "component"], ascending=[False, True]).head(most)
    return [
        Unexpected(
            int(row.component),
            _name(shelf, int(row.component)),
            int(row.n_flagged),
            row.mean_relevance,
            row.mean_z,
            row.q_value,
            bool(row.unseen_in_reference),
        )
        for row in each(rows)
    ]


def case_cards(shelf: Shelf, kind: str | None = None, *, images: int = 0) -> list[CaseCard]:
    """The failure cases in the order of their list, of one kind or of all; `images` of each."""
    cases = shelf.failures
    if kind is not None:
        if kind not in FAILURE_KINDS:
            raise RelianceError(
                "kind",
                "a failure case has a kind that is known",
                found=kind,
                allowed=", ".join(FAILURE_KINDS),
                next_step="choose one of them",
            )
        cases = cases[cases["kind"] == kind]
    own = shelf.mines and shelf.has("components")
    about = briefs(shelf, cases["component"][cases["source"] == "mined"].tolist()) if own else {}
    shown = _samples(shelf, cases["failure_id"].tolist()) if images and len(cases) else {}
    names: list[str] = shelf.mined_components["name"].tolist() if shelf.has("mined_components") else []
    found = []
    for row in each(cases):
        mined, c = row.source == "mined", int(row.component)
        found.append(
            CaseCard(
                row.failure_id,
                int(row.rank),
                row.kind,
                row.source,
                int(row.class_id),
                shelf.class_label(int(row.class_id)),
                c,
                about.get(c) if mined else None,
                names[c] if mined and 0 <= c < len(names) else "",
                float(row.score),
                float(row.q_value),
                row.reviewed,
                row.note,
                shown.get(row.failure_id, [])[:images],
            )
        )
    return found


def case_card(shelf: Shelf, failure_id: str, images: int = 100) -> CaseCard:
    """A failure case with its images. Raises RelianceError if there is none of this name."""
    found = next((card for card in case_cards(shelf) if card.failure_id == failure_id), None)
    if found is None:
        raise _no("failure case", failure_id, shelf, "failures", shelf.failures["failure_id"])
    return found._replace(images=_samples(shelf, [failure_id]).get(failure_id, [])[:images])


def _samples(shelf: Shelf, failure_ids: list[str]) -> dict[str, list[tuple[str, str, int]]]:
    if not shelf.has("failure_samples"):
        return {}
    shelf.check("failure_samples")
    rows, _ = rows_where(shelf.path("failure_samples"), FAILURE_SAMPLES, {"failure_id": failure_ids})
    found: dict[str, list[tuple[str, str, int]]] = {}
    for failure_id, dataset, split, image_id in rows.itertuples(index=False, name=None):
        found.setdefault(failure_id, []).append((dataset, split, int(image_id)))
    return found


def _cases_by_class(shelf: Shelf) -> dict[int, list[Fooled]]:
    found: dict[int, list[Fooled]] = {}
    if shelf.has("failures"):
        for row in each(shelf.failures):
            name = shelf.class_label(int(row.class_id))
            entry = Fooled(row.failure_id, row.kind, int(row.class_id), name)
            found.setdefault(int(row.class_id), []).append(entry)
    return found


def _name(shelf: Shelf, component: int) -> str:
    return str(shelf.components["name"].iloc[component]) if shelf.has("components") else ""


def _no(what: str, found: object, shelf: Shelf, name: str, known: pd.Series) -> RelianceError:
    return RelianceError(
        shelf.path(name),
        f"a {what} is asked for by its number or name in this table",
        found=f"no {found}",
        allowed=few(known),
        next_step=f"list them: reliance {'classes' if name == 'classes' else 'cases'} {shelf.variant}",
    )
