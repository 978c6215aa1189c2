"""Numbers that look right and are not: of another scale, or other ones than the config beside says."""

import json
import logging

import pytest
from safetensors.torch import save_file

from reliance.base.errors import RelianceError
from reliance.encoders.model import build_random, read_weights
from reliance.encoders.registry import check_encoder
from reliance.encoders.weights import resolve_weights

from .conftest import CONFIG, PREPROCESS, save_checkpoint

SAID = {"mean": [0.2] * 3, "std": [0.3] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
RIGHT = {"mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.fixture
def resolve(tmp_path):
    def run(**settings):
        resolve_weights(weights=tmp_path / "weights.json", encoder="mine", **settings)
        return read_weights(tmp_path / "weights.json")[0]

    return run


@pytest.fixture
def beside(tmp_path, tiny_architecture):
    """beside(model_cfg, preprocess_cfg) gives a file of weights with such a config in its folder."""

    def make(config=CONFIG, said=SAID):
        save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "x.safetensors")
        record = {"model_cfg": config, "preprocess_cfg": said}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(record))
        return str(tmp_path / "x.safetensors")

    return make


WRONG = [
    ("mean", [123.675, 116.28, 103.53], "write [0.485, 0.456, 0.406]"),
    ("std", [58.395, 57.12, 57.375], "write [0.229, 0.224, 0.225]"),
    ("mean", [-1.0, 0.5, 0.5], "model's page"),
    ("std", [0.0, 0.2, 0.2], "model's page"),
    ("mean", [0.5], "model's page"),
    ("std", [float("nan")] * 3, "model's page"),
]


@pytest.mark.parametrize(("name", "values", "step"), WRONG)
def test_mean_and_std_have_bounds_wherever_they_come_from(resolve, tmp_path, name, values, step):
    entry = {"architecture": "ViT-B-32", "random": True, "preprocess": {**RIGHT, name: values}}
    with pytest.raises(RelianceError) as caught:
        check_encoder(**entry, encoder="mine")
    assert caught.value.where == f"encoders.mine.preprocess.{name}" and step in caught.value.next_step
    file = save_checkpoint(tmp_path / "y.safetensors", preprocess={**PREPROCESS, name: values})
    with pytest.raises(RelianceError, match=f"preprocess.{name}"):
        resolve(file=str(file))


@pytest.mark.parametrize("values", [([0.0] * 3, [1.0] * 3), ([0.48, 0.45, 0.41], [0.27] * 3)])
def test_values_that_models_have(values):
    preprocess = {"mean": values[0], "std": values[1]}
    check_encoder("ViT-B-32", random=True, preprocess=preprocess, encoder="mine")


def test_the_config_beside_is_used_although_the_architecture_is_given(resolve, beside):
    found = resolve(architecture="Tiny", file=beside({**CONFIG, "custom_text": False}))
    assert found.preprocess["resize_mode"] == "squash" and found.preprocess["mean"] == [0.2] * 3
    assert found.config == {**CONFIG, "custom_text": False}


@pytest.mark.parametrize(
    ("config", "entry", "where", "found"),
    [
        ({**CONFIG, "quick_gelu": True}, {}, "architecture: Tiny", "quick_gelu is False there, and True in"),
        ({**CONFIG, "embed_dim": 13}, {}, "architecture: Tiny", "embed_dim is 12 there, and 13 in"),
        (CONFIG, {"pretrained": "t"}, "pretrained", "interpolation is bilinear there, and bicubic in"),
        (CONFIG, {"preprocess": {"resize_mode": "longest"}}, "preprocess", "longest there, and squash in"),
    ],
)
def test_contradictions_are_refused_naming_both_values(resolve, beside, config, entry, where, found):
    with pytest.raises(RelianceError) as caught:
        resolve(architecture="Tiny", file=beside(config, {**SAID, "interpolation": "bicubic"}), **entry)
    assert caught.value.where == f"encoders.mine.{where}"
    assert found in caught.value.found and "open_clip_config.json" in caught.value.found


def test_what_only_one_side_says_is_no_contradiction(resolve, beside):
    found = resolve(architecture="Tiny", pretrained="t", file=beside(said={"size": 24}))
    assert found.preprocess["mean"] == [0.1] * 3 and found.preprocess["interpolation"] == "bilinear"


@pytest.mark.parametrize(("architecture", "twin"), [("Tiny", "Tiny-quickgelu"), ("Tiny-quickgelu", "Tiny")])
def test_a_twin_is_told_where_nothing_decides(
    resolve, tiny_architecture, tmp_path, caplog, architecture, twin
):
    configs = tmp_path / "package" / "model_configs"
    (configs / "Tiny-quickgelu.json").write_text(json.dumps({**CONFIG, "quick_gelu": True}))
    save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "x.safetensors")
    file = str(tmp_path / "x.safetensors")
    resolve(architecture=architecture, file=file, preprocess=RIGHT)
    told = [r.getMessage() for r in caplog.records if getattr(r, "told", False)]
    assert len(told) == 1 and told[0].endswith(f"write architecture: {twin}")


def test_nothing_is_told_where_a_tag_or_the_file_decides(resolve, tiny_architecture, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    configs = tmp_path / "package" / "model_configs"
    (configs / "Tiny-quickgelu.json").write_text(json.dumps({**CONFIG, "quick_gelu": True}))
    save_file(build_random(CONFIG, 3).state_dict(), tmp_path / "x.safetensors")
    resolve(architecture="Tiny", pretrained="t", file=str(tmp_path / "x.safetensors"))
    resolve(file=str(save_checkpoint(tmp_path / "y.safetensors")))
    resolve(architecture="Tiny", random=True)
    assert not any(getattr(r, "told", False) for r in caplog.records)
