"""What jobs ask of a cluster: counted in the index or estimated, never an error."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from snakemake.iocontainers import Wildcards

from .project import Project

RULES = Path(__file__).parents[2] / "rules"
DATASETS = {
    "imagenet": SimpleNamespace(planted=None, per_class=None),
    "imagenet.n20": SimpleNamespace(planted=None, per_class=20),
    "drawn": SimpleNamespace(
        planted=SimpleNamespace(classes=30, train_per_class=50, test_per_class=10), per_class=None
    ),
}
VARIANTS = {
    "b16": SimpleNamespace(dataset="imagenet", sae=SimpleNamespace(m=30000)),
    "bare": SimpleNamespace(dataset="drawn", sae=None),
}


@pytest.fixture
def rules(tmp_path: Path) -> SimpleNamespace:
    """The functions of rules/resources.smk over a made-up configuration, with indexes in tmp_path."""
    names: dict[str, Any] = {
        "Path": Path,
        "functools": functools,
        "dataset": DATASETS.__getitem__,
        "variant": VARIANTS.__getitem__,
        "is_external": lambda name: name == "elsewhere",
        "index": lambda name: str(tmp_path / f"{name}.parquet"),
    }
    exec((RULES / "resources.smk").read_text(), names)
    return SimpleNamespace(**names)


def wildcards(**values: str) -> Wildcards:
    return Wildcards(fromdict=values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"variant": "b16"}, (1_281_167, 50_000, 50_000, 1000, 30_000)),
        (
            {"variant": "b16", "split": "train", "part": "3", "parts": "16"},
            (1_281_167, 50_000, 80_073, 1000, 30_000),
        ),
        ({"variant": "b16", "attributed": "subset"}, (1_281_167, 50_000, 1_281_167, 1000, 30_000)),
        ({"variant": "bare"}, (1500, 300, 300, 30, 0)),
        ({"dataset": "imagenet.n20", "encoder": "x", "split": "test"}, (20_000, 20_000, 20_000, 1000, 0)),
        ({"dataset": "elsewhere", "split": "cases"}, (10_000, 10_000, 10_000, 1000, 0)),
        ({"encoder": "x"}, (0, 0, 0, 0, 0)),
    ],
)
def test_a_size_without_an_index(
    rules: SimpleNamespace, values: dict[str, str], expected: tuple[int, ...]
) -> None:
    assert tuple(rules.size(wildcards(**values))) == expected


def test_a_size_is_counted_in_the_index_as_soon_as_there_is_one(
    rules: SimpleNamespace, tmp_path: Path
) -> None:
    w = wildcards(variant="b16", split="train", parts="2")
    assert rules.size(w).train == 1_281_167
    parquet.write_table(pa.table({"split": ["train"] * 7 + ["test"] * 3}), tmp_path / "imagenet.parquet")
    assert tuple(rules.size(w))[:3] == (7, 3, 4)


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_broken_index_is_no_error_here(rules: SimpleNamespace, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "imagenet.parquet").write_bytes(content)
    assert rules.size(wildcards(variant="b16")).train == 1_281_167


@pytest.mark.parametrize(("attempt", "expected"), [(1, 4002), (2, 8003), (3, 12005)])
def test_every_attempt_asks_for_more(rules: SimpleNamespace, attempt: int, expected: int) -> None:
    need: Callable[..., int] = rules.memory(lambda s: 4000 + s.train / 1000)
    assert need(wildcards(variant="bare"), attempt=attempt) == expected
    assert rules.minutes(10)(wildcards(variant="bare"), attempt=attempt) == 10 * attempt


@pytest.fixture
def groups() -> dict[str, str]:
    """Rule -> group of the profile for SLURM."""
    profile = yaml.safe_load((RULES.parent / "workflow/profiles/slurm/config.yaml").read_text())
    return dict(profile["groups"])


def test_the_profile_knows_the_rules(groups: dict[str, str]) -> None:
    text = "".join(path.read_text() for path in RULES.glob("*.smk"))
    rules = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:", text, flags=re.M))
    assert set(groups) <= rules
    assert {rule for rule in rules if re.search(r"fig\d|table\d", rule)} <= set(groups)


def test_the_profile_says_when_to_run_again_as_the_default_one() -> None:
    slurm, default = (
        yaml.safe_load((RULES.parent / f"workflow/profiles/{name}/config.yaml").read_text())
        for name in ("slurm", "default")
    )
    for key in ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete"):
        assert slurm[key] == default[key]


@pytest.mark.parametrize(
    "target",
    [
        (),
        ("results/compare/demo/fig5.pdf", "results/demo/report.html"),
        ("results/demo_lesions/report.html", "results/demo_lesions/fig15.pdf"),
    ],
)
def test_no_group_of_the_profile_waits_for_itself(fresh: Project, target: tuple[str, ...]) -> None:
    done = fresh.run(*target, "--workflow-profile", "slurm", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Group job figures" in done.stdout + done.stderr
