"""What a run over many images asks for, before there is any."""

import json

import pytest
from typer.testing import CliRunner

from reliance.__main__ import app
from reliance.plan.outlook import CHAIN, EMBED, ENCODE, PART_MINUTES, Shape, outlook, parts_of, row_bytes
from reliance.plan.stages import STAGES

BY_NAME = {stage.name: stage for stage in STAGES}


@pytest.mark.parametrize("images", [1, 10_000, 1_281_167, 400_000_000])
@pytest.mark.parametrize("gpu", [True, False])
def test_parts_take_some_hours_whatever_there_is(images: int, gpu: bool) -> None:
    found = outlook(images, Shape(gpu=gpu))
    steps = {step.stage: step for step in found.steps}
    assert [*steps] == [*CHAIN]
    assert steps[EMBED].minutes <= PART_MINUTES + 1
    assert steps[EMBED].jobs == 2 * found.parts == 2 * parts_of(images, gpu)
    assert (found.gpu_hours > 0) == gpu


def test_a_part_needs_no_more_of_more_images() -> None:
    few, many = (outlook(n, Shape()).steps for n in (14_000_000, 400_000_000))
    for step, other in zip(few, many, strict=True):
        if step.stage in (EMBED, ENCODE):
            assert other.memory <= 1.1 * step.memory
            assert other.bytes == pytest.approx(step.bytes * 400 / 14, rel=1e-6)


def test_bytes_are_those_of_the_arrays() -> None:
    assert row_bytes(Shape(10, 6, 100, 4)) == {EMBED: 2 * 10 + 4 * 6 + 1, ENCODE: 4 * 4}
    assert row_bytes(Shape(10, 6, 70_000, 4))[ENCODE] == 4 * 6


def test_what_was_said_is_said_as_json_too() -> None:
    said = CliRunner().invoke(app, ["plan", "5000", "--parts", "3"]).output
    assert said.startswith("5,000 images in 3 parts") and "embed_images" in said
    record = json.loads(CliRunner().invoke(app, ["plan", "5000", "--parts", "3", "--json"]).output)
    assert record[0]["parts"] == 3 and [step["stage"] for step in record[0]["steps"]] == [*CHAIN]
    assert "1,281,167 images" in CliRunner().invoke(app, ["plan"]).output
