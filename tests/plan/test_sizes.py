"""What memory and time are estimated from: counted in the index or assumed, never an error."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from reliance.config.resolve import load
from reliance.plan.paths import INDEX, Wildcards, at
from reliance.plan.plan import Plan
from reliance.plan.sizes import size_of

from .asked import merged

B16 = "vit_b16"


@pytest.fixture
def plan(raw: dict[str, Any], tmp_path: Path) -> Plan:
    """A plan whose results are in a folder of its own."""
    return Plan(load(raw), place=lambda path: str(tmp_path / path))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"variant": B16}, (1_281_167, 50_000, 50_000, 1000, 30_000)),
        (
            {"variant": B16, "split": "train", "part": "3", "parts": "16"},
            (1_281_167, 50_000, 80_073, 1000, 30_000),
        ),
        ({"variant": B16, "split": "test@red_more"}, (1_281_167, 50_000, 50_000, 1000, 30_000)),
        ({"variant": B16, "attributed": "subset"}, (1_281_167, 50_000, 1_281_167, 1000, 30_000)),
        ({"variant": "tiny"}, (2400, 600, 600, 20, 192)),
        ({"variant": "vit_b32_laion2b"}, (1_281_167, 50_000, 50_000, 1000, 0)),
        ({"dataset": "imagenet.n20", "encoder": "x", "split": "test"}, (20_000, 20_000, 20_000, 1000, 0)),
        ({"dataset": "spurious_imagenet", "split": "cases"}, (10_000, 10_000, 10_000, 1000, 0)),
        ({"encoder": "x"}, (0, 0, 0, 0, 0)),
    ],
)
def test_a_size_without_an_index(plan: Plan, names: dict[str, str], expected: tuple[int, ...]) -> None:
    assert tuple(size_of(plan, Wildcards(**names)))[:5] == expected


def test_a_size_is_counted_in_the_index_as_soon_as_there_is_one(plan: Plan) -> None:
    w = Wildcards(variant=B16, split="train", parts="2")
    assert size_of(plan, w).train == 1_281_167
    path = Path(plan.placed(at(INDEX, dataset="imagenet")))
    path.parent.mkdir(parents=True)
    parquet.write_table(pa.table({"split": ["train"] * 7 + ["test"] * 3}), path)
    assert tuple(size_of(plan, w))[:3] == (7, 3, 4)


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_broken_index_is_no_error_here(plan: Plan, content: bytes) -> None:
    path = Path(plan.placed(at(INDEX, dataset="imagenet")))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert size_of(plan, Wildcards(variant=B16)).train == 1_281_167


@pytest.mark.parametrize(("device", "gpu"), [("cpu", False), ("auto", True)])
def test_a_size_says_whether_there_may_be_a_gpu(raw: dict[str, Any], device: str, gpu: bool) -> None:
    plan = Plan(load(merged(raw, {"compute": {"device": device}})))
    assert size_of(plan, Wildcards(variant="tiny")).gpu == gpu
