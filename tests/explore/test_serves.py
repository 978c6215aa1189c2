"""Which classes a unit serves: questions and the atlas go by one rule."""

from typing import Any

import pandas as pd

import reliance
from reliance.explore.atlas.units import Effects
from reliance.explore.briefs import served_by
from reliance.explore.indexing import EFFECTS, served_frame
from reliance.explore.serves import LEAST, counting


def test_what_reads_as_nothing_does_not_count_and_the_largest_effect_comes_first() -> None:
    shares = [LEAST, LEAST / 2, float("nan"), 0.3, -0.1]
    rows = {"class_id": range(5), "share": shares, "effect": [0.001, 0.01, 0.2, 0.05, -0.3]}
    effects = pd.DataFrame({"component": 0, "n": 9, "n_active": 3, **rows})
    assert counting(served_frame(effects))["class_id"].tolist() == [3, 0]


def test_the_atlas_and_questions_name_the_same_classes(asked: Any) -> None:
    study = reliance.open(asked.home)
    units = study.components["component"].tolist()
    told = {unit: [one.class_id for one in found] for unit, found in served_by(study, units, 20).items()}
    served = Effects(study.table("effects", EFFECTS), pd.DataFrame()).served
    assert told == {int(str(unit)): part["class_id"].tolist() for unit, part in served.groupby("component")}
    first = {unit: [one.class_id for one in found] for unit, found in served_by(study, units, 1).items()}
    assert first == {unit: classes[:1] for unit, classes in told.items()}
