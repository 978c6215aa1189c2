"""Segmentations and misleading pictures in the plan: who has them, from where, and what is said otherwise."""

import re
from pathlib import Path
from typing import Any

import pytest

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.figures.table import BY_NAME
from reliance.plan import lens_pictures, report
from reliance.plan.figures import figure, figures_of
from reliance.plan.paths import CONSTRAINTS, Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stages import STAGES

from .asked import merged

STAGE = {stage.name: stage for stage in STAGES}
W = Wildcards(variant="mine")
PICTURES = ["lens_segmentation", "lens_pictures", "lens_adversarial"]


def planned(raw: dict[str, Any], root: Path, dataset: str = "own", **keys: Any) -> Plan:
    """A variant of images in class folders, of the small model, with a lens and these keys of it."""
    for split in ("train", "test"):
        (root / split / "a").mkdir(parents=True, exist_ok=True)
        (root / split / "a" / "0.png").touch()
    own = {**raw["variants"]["tiny_deep"], "dataset": dataset, "lens": {"layers": [0], **keys}}
    data = {"own": {"layout": "folder", "root": str(root)}}
    alone = merged({**raw, "comparisons": {}}, {"datasets": data})
    return Plan(load({**alone, "variants": {"mine": own}}))


def maker(plan: Plan, name: str) -> list[str]:
    """Names of the stages that make a file of the variant's lens."""
    path = f"results/mine/lens/{name}"
    found = []
    for stage in STAGES:
        variants = stage.variants(plan) if stage.variants else CONSTRAINTS["variant"]
        outputs = [output for output in stage.outputs.values() if isinstance(output, str)]
        if any(re.fullmatch(output.replace("{variant}", f"({variants})"), path) for output in outputs):
            found.append(stage.name)
    return found


def test_drawn_data_has_all_of_it(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path, "planted_tiny")
    assert figures_of(plan, "mine")[-3:] == PICTURES
    shown = report.to_look_inside(plan, W)
    assert shown["segments"] == "results/mine/lens/segments.parquet"
    assert "attacks" in shown and "generated" not in shown
    assert "results/mine/lens_pictures.png" in shown["figures"]
    assert maker(plan, "segments.parquet") == ["lens_segments"]
    assert "truth" in STAGE["lens_segments"].inputs(plan, W)


def test_other_data_has_what_there_are_folders_for(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path)
    assert not set(PICTURES) & set(figures_of(plan, "mine"))
    shown = report.to_look_inside(plan, W)
    assert not {"segments", "attacks", "generated"} & set(shown)
    assert not [path for path in shown["figures"] if any(name in path for name in PICTURES)]
    for name, key in (("lens_pictures", "masks"), ("lens_adversarial", "generated")):
        with pytest.raises(
            RelianceError, match=rf"variants.mine.lens.{key}: .*held against masks|counted on"
        ):
            figure(BY_NAME[name]).inputs(plan, W)
    with pytest.raises(RelianceError, match="layout: planted"):
        STAGE["lens_segments"].inputs(plan, W)
    with pytest.raises(RelianceError, match="this file is about generated images"):
        STAGE["lens_generated"].settings(plan, W)


def test_masks_are_looked_at_first_and_by_a_stage_of_their_own(raw: dict[str, Any], tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    plan = planned(raw, tmp_path / "root", masks=str(masks))
    assert figures_of(plan, "mine")[-2:] == PICTURES[:2]
    assert maker(plan, "segments.parquet") == ["lens_segments_of_masks"]
    assert maker(plan, "segments.safetensors") == ["lens_segments_of_masks"]
    found = STAGE["lens_segments_of_masks"].inputs(plan, W)
    assert found["listed"] == "results/mine/lens/masks.parquet"
    assert found["excluded"].endswith("/own/excluded.parquet")
    listing = STAGE["lens_masks"]
    assert listing.first and set(listing.inputs(plan, W)) == {"index"}
    settings = listing.settings(plan, W)
    assert (settings["masks"], settings["images"]) == (str(masks), 5000)
    assert settings["dataset_root"] == str(tmp_path / "root")
    masks.rmdir()
    with pytest.raises(
        RelianceError, match=r"variants.mine.lens.masks: it must be an existing folder of masks"
    ):
        listing.settings(plan, W)


def test_masks_of_ones_own_take_the_place_of_drawn_ones(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path, "planted_tiny", masks=str(tmp_path))
    assert maker(plan, "segments.parquet") == ["lens_segments_of_masks"]


def test_generated_images_are_read_from_their_folder(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path, generated=str(tmp_path))
    assert figures_of(plan, "mine")[-1:] == PICTURES[2:]
    assert STAGE["lens_generated"].settings(plan, W)["dataset_root"] == str(tmp_path)
    assert report.to_look_inside(plan, W)["generated"] == "results/mine/lens/generated.parquet"
    assert set(figure(BY_NAME["lens_adversarial"]).inputs(plan, W)) == {"generated"}
    both = planned(raw, tmp_path, "planted_tiny", generated=str(tmp_path))
    assert set(figure(BY_NAME["lens_adversarial"]).inputs(both, W)) == {"attacks", "generated"}


def test_a_home_is_found_and_a_rehearsal_keeps_the_folders(raw: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(raw, tmp_path, masks="~")
    assert plan.variant("mine").lens.masks == str(Path.home())
    assert re.fullmatch(lens_pictures.by_masks(plan, "folder"), "mine.n20")
    assert plan.variant("mine.n20").lens == plan.variant("mine").lens
