"""Where the names of a user's classes come from, and what the listing of images tolerates."""

from pathlib import Path
from typing import Any

import pytest

from reliance.config.resolve import load
from reliance.plan.images import STAGES
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan

from .asked import merged


@pytest.mark.parametrize(("names", "read"), [({}, True), ({"names": "folders"}, False)])
def test_names_csv_in_the_root_can_be_switched_off(
    raw: dict[str, Any], tmp_path: Path, names: dict[str, str], read: bool
) -> None:
    (tmp_path / "names.csv").write_text("folder,short_name,full_name\na,b,c\n")
    own = {"mine": {"layout": "folder", "root": str(tmp_path), **names}}
    plan = Plan(load(merged(raw, {"datasets": own, "images": {"max_invalid": 7}})))
    w = Wildcards(dataset="mine")
    assert ("names" in STAGES[0].inputs(plan, w)) == read
    assert STAGES[0].untracked(plan, w) == {"max_invalid": 7}
