"""Folders of transformers: the numbers that package gives, where it is installed; or one clear error."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reliance.base.errors import RelianceError
from reliance.encoders import hugging_face
from reliance.encoders.hugging_face_names import converted, is_theirs
from reliance.encoders.model import load_model, read_weights
from reliance.encoders.weights import resolve_weights

SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**SHAPE, "hidden_size": 32, "intermediate_size": 44, "image_size": 24, "patch_size": 8}
TEXT = {**SHAPE, "hidden_size": 16, "intermediate_size": 24}
CLIP = {
    "model_type": "clip",
    "projection_dim": 12,
    "vision_config": VISION,
    "text_config": {**TEXT, "vocab_size": 49408, "max_position_embeddings": 8},
}
SIGLIP = {
    "model_type": "siglip",
    "vision_config": VISION,
    "text_config": {**TEXT, "hidden_size": 32, "vocab_size": 50, "max_position_embeddings": 6},
}


def folder_of(folder: Path, record: dict[str, Any]) -> Path:
    """What transformers saves of a random model, norms and biases not left at 1 and 0."""
    transformers = pytest.importorskip("transformers")
    kind = "CLIP" if record["model_type"] == "clip" else "Siglip"
    parts = {name: value for name, value in record.items() if name != "model_type"}
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**parts))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def theirs(folder: Path) -> Any:
    import transformers

    return transformers.AutoModel.from_pretrained(folder).double().eval()


@pytest.fixture
def small_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timm tower in the shape of VISION, and its row in the table."""
    from timm.models import register_model
    from timm.models.vision_transformer import VisionTransformer

    def small_siglip_24(pretrained: bool = False, **options: Any) -> VisionTransformer:
        del pretrained
        unused = ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
        kept = {name: value for name, value in options.items() if name not in unused}
        shape = {"img_size": 24, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
        return VisionTransformer(**shape, mlp_ratio=44.5 / 32, class_token=False, **kept)

    small_siglip_24.__module__ = __name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name, which another test has registered
        register_model(small_siglip_24)
    row = {(32, 2, 2, 44, 8): ("small_siglip_{size}", (24,))}
    monkeypatch.setattr(hugging_face, "SIGLIP_TOWERS", row)


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_a_clip_of_transformers_is_open_clips(tmp_path: Path, act: str) -> None:
    record = {**CLIP, **{n: {**CLIP[n], "hidden_act": act} for n in ("vision_config", "text_config")}}
    folder = folder_of(tmp_path / "model", record)
    resolve_weights(weights=tmp_path / "weights.json", encoder="e", file=str(folder))
    found, _ = read_weights(tmp_path / "weights.json")
    assert found.family == "vision_transformer" and found.quick_gelu == (act == "quick_gelu")
    assert found.preprocess["mean"][0] == pytest.approx(0.48145466) and found.preprocess["size"] == 24
    ids = torch.tensor([[49406, 5, 9, 49407, 0, 0, 0, 0], [49406, 7, 49407, 0, 0, 0, 0, 0]])
    check_the_same(tmp_path / "weights.json", folder, ids)


@pytest.mark.usefixtures("small_tower")
def test_a_siglip_of_transformers_is_open_clips(tmp_path: Path) -> None:
    """Scale and bias too; text is padded to the full length, and its last token is read."""
    folder = folder_of(tmp_path / "model", SIGLIP)
    resolve_weights(weights=tmp_path / "weights.json", encoder="e", file=str(folder), needs=())
    found, _ = read_weights(tmp_path / "weights.json")
    assert found.family == "any_clip" and found.config["text_cfg"]["hf_tokenizer_name"] == str(folder)
    assert found.preprocess["resize_mode"] == "squash" and found.preprocess["mean"] == [0.5] * 3
    clip = check_the_same(
        tmp_path / "weights.json", folder, torch.tensor([[5, 9, 3, 1, 1, 1], [8, 1, 1, 1, 1, 1]])
    )
    state = load_file(folder / "model.safetensors")
    for name in ("logit_scale", "logit_bias"):
        assert clip.model.state_dict()[name].item() == pytest.approx(state[name].item())


def check_the_same(weights: Path, folder: Path, ids: torch.Tensor) -> Any:
    """Image and text vectors by both, in float64."""
    clip, package = load_model(weights), theirs(folder)
    pixels = torch.randn(3, 3, 24, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = clip.model.double()
    with torch.no_grad():
        ours = model.encode_image(pixels), model.encode_text(ids)
        images, words = package.get_image_features(pixels), package.get_text_features(ids)
    for mine, other in zip(ours, (images, words), strict=True):
        found = getattr(other, "pooler_output", other)
        assert mine.std(0).max() > 1e-3
        np.testing.assert_allclose(mine.numpy(), found.numpy(), rtol=0, atol=1e-6)
    return clip


def test_a_part_that_is_missing_or_strange_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model", CLIP)
    state = load_file(folder / "model.safetensors")
    assert is_theirs(state) and not is_theirs(converted(state))
    for change in ("missing", "unexpected"):
        changed = dict(state)
        if change == "missing":
            del changed["vision_model.encoder.layers.1.self_attn.k_proj.weight"]
        else:
            changed["vision_model.adapter.weight"] = torch.zeros(1)
        save_file(changed, folder / "model.safetensors")
        with pytest.raises(RelianceError, match=rf"1 {change}(.|\n)*nothing was loaded"):
            resolve_weights(weights=tmp_path / "weights.json", encoder="e", file=str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "blip"}, "model_type blip"),
        ({"text_config": {**CLIP["text_config"], "vocab_size": 60}}, "60 tokens"),
        ({"vision_config": {**VISION, "hidden_act": "relu"}}, "quick_gelu and relu"),
        ({"model_type": "siglip"}, "hidden_size 32"),
    ],
)
def test_what_open_clip_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CLIP, **change}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(RelianceError, match=message):
        hugging_face.read_config(tmp_path / "config.json", "encoders.e")


@pytest.mark.usefixtures("small_tower")
def test_a_siglip_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SIGLIP))
    with pytest.raises(RelianceError, match=r"without tokenizer\.json"):
        hugging_face.read_config(tmp_path / "config.json", "encoders.e")


def test_what_a_config_leaves_out_is_the_usual(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    config, image = hugging_face.read_config(tmp_path / "config.json", "encoders.e")
    vision = {"image_size": 224, "patch_size": 32, "head_width": 64, "width": 768, "layers": 12}
    assert config["vision_cfg"] == {**vision, "mlp_ratio": 4.0} and config["embed_dim"] == 512
    assert config["text_cfg"]["context_length"] == 77 and config["quick_gelu"]
    assert image["resize_mode"] == "shortest"


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    said = {"crop_size": {"height": 336, "width": 336}, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(RelianceError, match=r"images of \[336\]"):
        hugging_face.read_config(tmp_path / "config.json", "encoders.e")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"size": {"shortest_edge": 256}}, "shortest_edge"),
        ({"do_normalize": False}, "do_normalize False"),
        ({"do_resize": False}, "do_resize False"),
        ({"do_rescale": False}, "do_rescale False"),
        ({"do_center_crop": False}, "do_center_crop False"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor"),
        ({"size": {"shortest_edge": 224}, "rescale_factor": 0.00392156862745098, "do_resize": True}, ""),
    ],
)
def test_images_that_are_prepared_otherwise_are_refused(
    said: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    crop = {"crop_size": {"height": 224, "width": 224}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**crop, **said}))
    if not message:
        assert hugging_face.read_config(tmp_path / "config.json", "encoders.e")[1]["mean"]
        return
    with pytest.raises(RelianceError, match=message):
        hugging_face.read_config(tmp_path / "config.json", "encoders.e")


def test_weights_in_pieces_are_told(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(RelianceError, match=r"several pieces(.|\n)*join the pieces"):
        resolve_weights(weights=tmp_path / "weights.json", encoder="e", file=str(tmp_path))
