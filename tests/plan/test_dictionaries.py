"""What the page of dictionaries is made from."""

from pathlib import Path
from typing import Any

import yaml

from reliance.config.resolve import load
from reliance.plan.matching import comparing, to_compare, to_score_units
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan

from .asked import merged

ROOT = Path(__file__).parents[2]


def test_units_are_held_against_planted_truth_where_there_is_one(plan: Plan) -> None:
    w = Wildcards(comparison="miners")
    files, bases = to_compare(plan, w), comparing(plan, w)["bases"]
    assert files["purities"] == [
        f"results/{name}/dictionary/sae.purity.json" for name in ("tiny", "of_others")
    ]
    assert len(files["other_purities"]) == len(bases) == 3
    planted = to_score_units(plan, Wildcards(variant="tiny", basis="sae"))
    assert planted["plants"] == "results/datasets/planted_tiny/plants.json"
    real = to_compare(plan, Wildcards(comparison="paper"))
    assert (real["purities"], real["other_purities"]) == ([], [])


def test_the_configured_comparison_has_dictionaries_of_all_sorts(raw: dict[str, Any]) -> None:
    added = yaml.safe_load((ROOT / "config/dictionaries.yaml").read_text(encoding="utf-8"))
    plan = Plan(load(merged(raw, added)))
    found = comparing(plan, Wildcards(comparison="dictionaries"))
    assert {"top_k", "batch_top_k", "matryoshka", "jump_relu", "archetypal"} == set(found["kinds"])
    assert len(found["variants"]) + len(found["bases"]) >= 8
    assert len(to_compare(plan, Wildcards(comparison="dictionaries"))["purities"]) == len(found["variants"])
