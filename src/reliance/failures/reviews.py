"""What a person decided about cases: a small table that overrides the suggested kinds.

config/reviews/<variant>.tsv has the columns failure_id, kind, note. A failure_id ends with the first
eight digits of the SAE's id, because components of another SAE are other components.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reliance.base.errors import RelianceError
from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.failures.case_list import NOTE_LIMIT, one_of, read_tsv, short_text

_ID = re.compile(r"\d+-\d+-[0-9a-f]{8}")


class Review(NamedTuple):
    """One decision."""

    kind: str
    note: str


def failure_id(class_id: int, component: int, sae_id: str) -> str:
    """The name of a mined case."""
    return f"{class_id}-{component}-{sae_id[:8]}"


def read_reviews(path: str | Path, sae_id: str | None) -> dict[str, Review]:
    """Reviews by failure_id, for the cases of one SAE; None, while it is not known, takes those of any.

    Raises RelianceError for cells that are not valid, for an id that is given twice, and for the
    cases of another SAE, naming both.
    """
    parsers = {
        "failure_id": _known_id,
        "kind": one_of(*FAILURE_KINDS),
        "note": short_text(NOTE_LIMIT, required=False),
    }
    reviews: dict[str, Review] = {}
    for row in read_tsv(path, parsers):
        name, kind, note = (str(row[column]) for column in parsers)
        if sae_id is not None and name.rsplit("-", 1)[1] != sae_id[:8]:
            raise RelianceError(
                path,
                "reviews are of the cases of this variant's SAE",
                found=f"{name}, a case of SAE {name.rsplit('-', 1)[1]}",
                allowed=f"cases of SAE {sae_id[:8]}, ending in -{sae_id[:8]}",
                next_step="the SAE was trained again, so its components mean other things: move the file "
                "away, look at the new cases, and review them",
            )
        if name in reviews:
            raise RelianceError(
                path,
                "a case is reviewed once",
                found=f"{name} twice",
                allowed="one row per failure_id",
                next_step="keep one of the rows",
            )
        reviews[name] = Review(kind, note)
    return reviews


def apply_reviews(frame: pd.DataFrame, reviews: Mapping[str, Review]) -> pd.DataFrame:
    """The list of cases with reviewed kinds and notes; `reviewed` says which."""
    chosen = [reviews.get(name) for name in frame["failure_id"]]
    return frame.assign(
        kind=[r.kind if r else kind for r, kind in zip(chosen, frame["kind"], strict=True)],
        note=[r.note if r else note for r, note in zip(chosen, frame["note"], strict=True)],
        reviewed=["yes" if r else "no" for r in chosen],
    )


def gone(frame: pd.DataFrame, reviews: Collection[str]) -> list[str]:
    """Reviewed cases that are no longer listed."""
    return sorted(set(reviews) - set(frame["failure_id"]))


def _known_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("<class id>-<component>-<first 8 digits of the SAE's id>, as in failures.tsv")
    return text
