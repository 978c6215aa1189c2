"""The shipped configuration, with the small one for tests on top, as a plan; roots are an empty folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from reliance.config.resolve import load
from reliance.plan.plan import Plan

from .asked import merged

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The shipped configuration as read, with a root for every data set and every list of cases."""
    found = merged(
        *(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("config", "tiny"))
    )
    root = str(tmp_path_factory.mktemp("root"))
    for entry in (*found["datasets"].values(), *found["external_lists"].values()):
        if "root" in entry:
            entry["root"] = root
    sae = Path(root) / "theirs.safetensors"
    sae.touch()
    found["variants"]["of_others"] = {**found["variants"]["tiny"], "sae": {"import": str(sae)}}
    found["comparisons"]["miners"] = ["tiny", "of_others"]
    np.savez(Path(root) / "head.npz", weight=np.zeros((20, 96)), bias=np.zeros(20))
    given = {"probe": str(Path(root) / "head.npz")}
    found["variants"]["of_a_head"] = {**found["variants"]["tiny"], "audit": given}
    lens = {**found["variants"]["tiny_deep"]["lens"], "masks": root, "generated": root}
    found["variants"]["of_folders"] = {**found["variants"]["tiny_deep"], "lens": lens}
    found["hidden"]["prompts"] = ["a bell", "a whistle"]
    return found


@pytest.fixture
def plan(raw: dict[str, Any]) -> Plan:
    return Plan(load(raw))
