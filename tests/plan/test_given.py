"""A classifier of others in the plan."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.plan import audits, explore, figures, images, paths, robustness, sae
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan

from .asked import merged

MINE, W = at(paths.GIVEN_PROBE, variant="mine"), Wildcards(variant="mine")


def planned(
    raw: dict[str, Any], folder: Path, shape: tuple[int, int], audit: dict[str, Any], **keys: Any
) -> Plan:
    np.savez(folder / "h.npz", weight=np.zeros(shape), bias=np.zeros(shape[0]))
    own = {**raw["variants"]["tiny"], **keys, "audit": {"probe": str(folder / "h.npz"), **audit}}
    return Plan(load(merged(raw, {"variants": {"mine": own}})))


def test_a_row_for_each_class_takes_the_place_of_the_probe(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path, (20, 64), {})
    assert robustness.to_score(plan, W)["probe"] == MINE
    assert robustness.to_take(plan, W)["file"] == str(tmp_path / "h.npz")
    assert robustness.taking(plan, W) == {"normalised": True, "scale": 1.0, "kind": "logistic"}
    assert sae.waiting(plan, W) == ["results/mine/guarded.json"], "a head comes and goes without an SAE"
    assert explore.describing(plan, W)["files"]["probe"] == MINE
    assert images.naming(plan, W)["probe"] == str(tmp_path / "h.npz")
    v = plan.variant("mine")
    assert v.audit is None and "fig6" not in figures.figures_of(plan, "mine")
    with pytest.raises(RelianceError, match="says which classes"):
        plan.audit("mine")


def test_one_row_is_audited_and_no_more(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path, (1, 64), {"positive": ["0"]})
    assert robustness.to_score(plan, W)["probe"].endswith("/planted_tiny/probe.safetensors")
    assert audits.to_fit(plan, W)["given"] == MINE
    assert "fig6" in figures.figures_of(plan, "mine")
    assert "given" not in audits.to_fit(plan, Wildcards(variant="demo_lesions"))


def test_one_job_tells_what_an_audit_asks_for_in_vain(raw: dict[str, Any], tmp_path: Path) -> None:
    """The guard; once it is past, the audit's own jobs. The page's job is about images alone."""
    plan = planned(raw, tmp_path, (1, 64), {"positive": ["0"]})
    assert not {"positive", "negative", "probe"} & set(images.needing(plan, W))
    assert images.naming(plan, W)["positive"] == ("0",)
    split = audits.STAGES[0]
    assert split.along and split.along(plan, W) == ["results/mine/guarded.json"]
    told = {stage.name: stage.untracked(plan, W) for stage in images.STAGES if stage.name == "check_data"}
    assert told == {"check_data": {"guarded": "results/mine/guarded.json"}}


def test_another_head_leaves_the_sae_as_it_is(raw: dict[str, Any], tmp_path: Path) -> None:
    """Nothing that an SAE is trained from or waits for says that there is a head."""
    plan = planned(raw, tmp_path, (1, 64), {"positive": ["0"]})
    of, same = W, Wildcards(variant="tiny")
    for asked in (sae.to_train, sae.waiting, sae.training):
        assert str(asked(plan, of)).replace("mine", "tiny") == str(asked(plan, same))


def test_what_cannot_fit_is_refused_while_planning(raw: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RelianceError, match="one class on either side"):
        robustness.to_take(planned(raw, tmp_path, (20, 64), {"positive": ["0"]}), W)
    wide = planned(raw, tmp_path, (1000, 768), {}, encoder="vit_b16", labeller="vit_b16")
    with pytest.raises(RelianceError, match="and image embeddings of 512"):
        robustness.to_take(wide, W)
    plan = planned(raw, tmp_path, (20, 64), {})
    (tmp_path / "h.npz").unlink()
    with pytest.raises(RelianceError, match="it must be an existing file"):
        robustness.to_score(plan, W)
