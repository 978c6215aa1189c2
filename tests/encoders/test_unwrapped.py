"""Intact checkpoints that something stands around: what it is, is said, and not that they are damaged."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from reliance.base.errors import RelianceError
from reliance.encoders.model import build, build_random, fitting_state
from reliance.encoders.unwrapped import common_prefix

from .conftest import CONFIG

STATE = build_random(CONFIG, 3).state_dict()


def refused(path):
    with torch.device("meta"):
        model = build(CONFIG)
    with pytest.raises(RelianceError) as caught:
        fitting_state(model, str(path), "mine", device="meta")
    assert "download it again" not in caught.value.next_step
    assert "encoders.mine.file" in caught.value.next_step
    return caught.value


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "model.", "clip_model.", "module._orig_mod.", "teacher.backbone.", "clip."]
)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_prefix_is_named(tmp_path, prefix, suffix):
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    (save_file if suffix == "safetensors" else torch.save)(state, tmp_path / f"x.{suffix}")
    error = refused(tmp_path / f"x.{suffix}")
    shown = prefix.removeprefix("module.") if suffix == "pt" else prefix
    assert f"the prefix {shown!r}" in error.found
    assert f"removeprefix({shown!r})" in error.next_step and "intact" in error.next_step


@pytest.mark.parametrize("key", ["model", "ema", "model_ema", "teacher"])
def test_the_table_that_tensors_lie_in_is_named(tmp_path, key):
    torch.save({"epoch": 3, key: dict(STATE), "optimizer": {"lr": 0.1}}, tmp_path / "x.pt")
    error = refused(tmp_path / "x.pt")
    assert f"its tensors lie below {key!r}" in error.found
    assert f"content[{key!r}]" in error.next_step


def test_more_than_tensors_is_said_before_the_message_is_cut(tmp_path):
    torch.save({"state_dict": dict(STATE), "args": argparse.Namespace(lr=1)}, tmp_path / "x.pt")
    error = refused(tmp_path / "x.pt")
    assert "argparse.Namespace" in error.found
    assert "holds other objects" in error.next_step


def test_names_that_only_differ_have_no_prefix():
    assert common_prefix(["a.weight", "b.weight"], ["c.weight", "d.weight", "e.bias"]) == ""
    assert common_prefix(["x.a", "x.b"], ["a", "b"]) == "x."
