"""Intact checkpoints that something stands around: they work, or what it is, is said; never half of them."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from reliance.base.errors import RelianceError
from reliance.encoders.model import build, build_random, fitting_state
from reliance.encoders.unwrapped import common_prefix

from .conftest import CONFIG

STATE = build_random(CONFIG, 3).state_dict()
PREFIXES = ["_orig_mod.", "model.", "clip_model.", "module._orig_mod.", "teacher.backbone.", "clip."]


def loaded(path, device="cpu"):
    with torch.device("meta"):
        model = build(CONFIG)
    return fitting_state(model, str(path), "mine", device=device)


def refused(path):
    with pytest.raises(RelianceError) as caught:
        loaded(path, "meta")
    assert "download it again" not in caught.value.next_step
    assert "encoders.mine.file" in caught.value.next_step
    return caught.value


def check_whole(path):
    """Every tensor under its own name, by names alone and with its values."""
    assert set(loaded(path, "meta")) == set(STATE)
    for name, tensor in loaded(path).items():
        assert torch.equal(tensor.float(), STATE[name].to(tensor.dtype).float()), name


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_prefix_before_every_name_is_left_out(tmp_path, prefix, suffix):
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    (save_file if suffix == "safetensors" else torch.save)(state, tmp_path / f"x.{suffix}")
    check_whole(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "twice"])
def test_a_prefix_before_what_does_not_fit_is_named(tmp_path, suffix, change):
    state = {f"clip.{name}": tensor for name, tensor in STATE.items()}
    if change == "missing":
        del state["clip.visual.proj"]
    elif change == "unexpected":
        state["head.weight"] = torch.zeros(2)
    elif change == "shape":
        state["clip.visual.proj"] = torch.zeros(32, 13)
    else:
        state["visual.proj"] = torch.zeros(32, 12)
    (save_file if suffix == "safetensors" else torch.save)(state, tmp_path / f"x.{suffix}")
    error = refused(tmp_path / f"x.{suffix}")
    assert "the prefix 'clip.'" in error.found
    assert "removeprefix('clip.')" in error.next_step


@pytest.mark.parametrize("key", ["model", "ema", "model_ema", "teacher"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_the_one_table_that_tensors_lie_in_is_read(tmp_path, key, prefix):
    half = {prefix + name: tensor.half() for name, tensor in STATE.items()}
    torch.save({"epoch": 3, key: half, "optimizer": {"lr": 0.1}}, tmp_path / "x.pt")
    check_whole(tmp_path / "x.pt")


def test_an_epoch_of_open_clips_trainer_is_read(tmp_path):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    state = {f"module.{name}": tensor for name, tensor in STATE.items()}
    content = {"epoch": 1, "name": "run", "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save({**content, "scaler": {"scale": 65536.0}}, tmp_path / "x.pt")
    check_whole(tmp_path / "x.pt")


def test_of_two_tables_none_is_chosen(tmp_path):
    torch.save({"model": dict(STATE), "ema": dict(STATE)}, tmp_path / "x.pt")
    error = refused(tmp_path / "x.pt")
    assert "its tensors lie below 'model' and 'ema'" in error.found
    assert "content['model']" in error.next_step


def test_more_than_tensors_is_said_before_the_message_is_cut(tmp_path):
    torch.save({"state_dict": dict(STATE), "args": argparse.Namespace(lr=1)}, tmp_path / "x.pt")
    error = refused(tmp_path / "x.pt")
    assert "argparse.Namespace" in error.found
    assert "holds other objects" in error.next_step


def test_names_that_only_differ_have_no_prefix():
    assert common_prefix(["a.weight", "b.weight"], ["c.weight", "d.weight", "e.bias"]) == ""
    assert common_prefix(["x.a", "x.b"], ["a", "b"]) == "x."
