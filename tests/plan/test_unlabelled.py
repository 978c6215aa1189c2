"""Images without class folders: seen while planning, with a page of their own, and one error for all else."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.images.layouts import Looking, labelled
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stages import STAGES

BY_NAME = {stage.name: stage for stage in STAGES}


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["a.jpg", "b.jpg"], False),
        (["train/a.jpg", "test/b.jpg"], False),
        (["cat/a.jpg", "dog/b.jpg"], True),
        (["train/cat/a.jpg", "test/cat/b.jpg"], True),
        (["a.jpg", "empty/notes.txt"], False),
        ([], False),
    ],
)
def test_whether_there_are_classes(tmp_path: Path, files: list[str], classes: bool) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    assert labelled("folder", str(tmp_path), Looking()) is classes


def test_a_root_that_is_not_there_is_left_to_its_own_error(tmp_path: Path) -> None:
    assert labelled("folder", str(tmp_path / "none"), Looking())


@pytest.fixture
def flat(raw: dict[str, Any], tmp_path: Path) -> Plan:
    config = copy.deepcopy(raw)
    (tmp_path / "a.jpg").write_bytes(b"x")
    config["datasets"]["photos"] = {"layout": "folder", "root": str(tmp_path)}
    config["variants"]["flat"] = {**config["variants"]["tiny"], "dataset": "photos"}
    return Plan(load(config))


def test_its_page_has_a_stage_of_its_own(flat: Plan) -> None:
    here, there = (BY_NAME[name].variants for name in ("report_of_unlabelled", "report"))
    assert here is not None and there is not None
    for name in ("flat", "flat.n20"):
        assert re.fullmatch(here(flat), name) and not re.match(there(flat), f"{name}/")
    assert re.match(there(flat), "tiny/") and not re.fullmatch(here(flat), "tiny")
    files = BY_NAME["report_of_unlabelled"].inputs(flat, Wildcards(variant="flat"))
    assert "robustness" not in files and files["components"] == "results/flat/components.parquet"


@pytest.mark.parametrize("name", ["attribute_split", "mine_outliers", "faithfulness"])
def test_what_needs_classes_is_refused_while_planning(flat: Plan, name: str) -> None:
    with pytest.raises(RelianceError, match=r"report\.html, which shows what there is"):
        BY_NAME[name].inputs(flat, Wildcards(variant="flat", attributed="test"))


def test_own_images_are_named_from_a_general_vocabulary(flat: Plan) -> None:
    assert flat.vocabulary("photos") == "general"
    assert flat.vocabulary("isic2019") == "classes"
    assert flat.vocabulary("imagenet") == "imagenet21k"


def test_captions_are_counted_for_their_vocabulary(raw: dict[str, Any], tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("image,caption\n")
    config = copy.deepcopy(raw)
    config["datasets"]["photos"] = {
        "layout": "folder", "root": str(tmp_path), "captions": str(table), "vocabulary": "captions",
    }  # fmt: skip
    plan = Plan(load(config))
    w = Wildcards(dataset="photos", encoder="tiny")
    assert BY_NAME["index_images"].inputs(plan, w) == {"captions": str(table)}
    names = BY_NAME["embed_vocabulary"].inputs(plan, w)["vocabulary"]
    assert names == "results/datasets/photos/captions.txt"
    assert BY_NAME["count_captions"].inputs(plan, w) == {"index": "results/datasets/photos/index.parquet"}
    config["datasets"]["planted_tiny"]["vocabulary"] = "captions"
    with pytest.raises(RelianceError, match="vocabulary"):
        load(config)
