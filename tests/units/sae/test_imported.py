"""The stage that imports an SAE: checked against the encoder, measured on its images."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reliance.base.artifacts import derived_stamp, read_json, write_json
from reliance.base.errors import RelianceError
from reliance.codes.encode import encode_part
from reliance.codes.store import gather_codes, open_codes
from reliance.encoders.model import KIND, SCHEMA
from reliance.running.job import bundled
from reliance.units.sae import imported
from reliance.units.sae.activations import ENCODERS
from reliance.units.sae.files import load_sae, save_sae
from reliance.units.sae.formats.source import files_of
from reliance.units.sae.imported import applied, import_sae

from .examples import random_sae, write_split

D, M = 12, 24


def write_weights(path: Path, architecture: str = "ViT-B-32", layers: int = 12) -> str:
    content = {
        "encoder": "mine",
        "role": "encoder",
        "architecture": architecture,
        "config": {"vision_cfg": {"layers": layers}},
        "preprocess": {},
        "quick_gelu": False,
        "random": False,
        "seed": 0,
        "path": "",
        "sha256": "",
    }
    return write_json(path, content, derived_stamp(KIND, SCHEMA, content, {})).id


class World:
    """Images whose codes a made-up dictionary has; `tell` collects what users see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights = folder / "weights.json"
        weights = write_weights(self.weights)
        rng = np.random.default_rng(0)
        axes = np.linalg.qr(rng.standard_normal((D, D)))[0].astype(np.float32)
        self.decoder = np.concatenate([axes, -axes])
        self.bias = rng.standard_normal(D).astype(np.float32)
        self.x = {}
        for seed, split in enumerate(("train", "test")):
            codes = np.zeros((200, M), np.float32)
            for row in codes:
                row[rng.permutation(D)[:2] + D * rng.integers(0, 2, 2)] = rng.uniform(2, 3, 2)
            self.x[split] = (codes @ self.decoder + self.bias).astype(np.float32)
            arrays = {"x": self.x[split], "valid": np.arange(200) != seed}
            write_split(folder / split, arrays, weights, site="class_token")

    def file(self, name: str = "sae.safetensors", theta: float = 0.9, **metadata: str) -> Path:
        """The dictionary as a JumpReLU SAE."""
        tensors = {
            "encoder_weight": torch.from_numpy(self.decoder).clone(),
            "encoder_bias": torch.zeros(M),
            "decoder_weight": torch.from_numpy(self.decoder),
            "bias": torch.from_numpy(self.bias),
            "threshold": torch.full((M,), theta),
        }
        path = self.folder / "theirs" / name
        path.parent.mkdir(exist_ok=True)
        save_file(tensors, path, metadata=metadata)
        return path

    def run(self, path: Path, **asked: Any) -> tuple[Path, dict[str, Any]]:
        outputs = {"sae": self.folder / "out" / "sae.safetensors", "quality": self.folder / "out" / "q.json"}
        keywords = {
            "files": [path],
            "weights": self.weights,
            "embeddings": [self.folder / "train" / "manifest.json"],
            "held_out": self.folder / "test" / "manifest.json",
            "device": "cpu",
            "threads": 1,
            **outputs,
            **asked,
        }
        import_sae(**bundled(import_sae, keywords))
        return outputs["sae"], read_json(outputs["quality"], "sae_quality", 2)[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_imported_sae_is_one_of_ours(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        path, quality = world.run(world.file(), k=None)
    sae, stamp = load_sae(path)
    assert (stamp.params["kind"], stamp.params["format"]) == ("imported", "plain")
    assert (stamp.params["site"], sae.activation) == ("class_token", "jumprelu")
    assert "sae.safetensors" in stamp.params["source"]
    x = torch.from_numpy(world.x["test"][np.arange(200) != 1])
    code, xhat = applied(sae, "cpu").reconstruct(x)
    assert quality["explained_variance"] == pytest.approx(
        float(1 - (x - xhat).square().sum() / (x - x.mean(0)).square().sum()), rel=1e-3
    )
    assert quality["n"] == 199
    assert quality["explained_variance"] > 0.999
    assert 2 <= sae.k < M
    assert int((code.values > 0).sum(1).max()) <= sae.k
    assert "explains" in caplog.text
    assert "does not say its model and its site" in caplog.text

    part = world.folder / "codes" / "part-0-of-1.zarr"
    encode_part(
        embeddings=world.folder / "test" / "manifest.json",
        sae=path,
        part=part,
        part_index=0,
        parts=1,
        encoder=[*ENCODERS.values()],
        device="cpu",
        threads=1,
    )
    gather_codes(parts=[part], manifest=world.folder / "codes" / "manifest.json")
    values, indices = open_codes(world.folder / "codes" / "manifest.json").block(2, 200)
    np.testing.assert_allclose(values, code.values[1:], rtol=2e-3)
    assert (indices == code.indices[1:].numpy()).all()


def test_a_poor_reconstruction_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.bias += 50
    _, quality = world.run(world.file(theta=1e6))
    assert quality["explained_variance"] < 0
    assert "less than their mean would" in caplog.text
    assert "another model, site or normalisation" in caplog.text


def test_a_file_of_another_model_or_site_is_refused_unless_trusted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for metadata, found in (
        ({"model": "open-clip:laion/CLIP-ViT-L-14"}, "ViT-L-14"),
        ({"model": "ViT-B-32", "site": "blocks.9.hook_resid_post"}, r"blocks\.9"),
        ({"model": "ViT-B-32", "site": "blocks.11.hook_mlp_out"}, "mlp_out"),
        ({"model": "ViT-B-32", "site": "embedding"}, "the site embedding"),
    ):
        file = world.file(**metadata)
        with pytest.raises(RelianceError, match=found):
            world.run(file)
        world.run(file, trust=True)
        assert "as sae.trust asks for" in caplog.text
    caplog.clear()
    world.run(world.file(model="open_clip ViT-B/32", site="blocks.11.hook_resid_post"))
    assert "without saying that it learned from class tokens only" in caplog.text
    caplog.clear()
    world.run(world.file(model="open_clip ViT-B/32", site="visual.transformer.resblocks.11.cls"))
    assert "does not say" not in caplog.text
    assert "class tokens" not in caplog.text


def test_an_sae_of_ours_is_known_by_the_weights_of_its_encoder(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    sae = random_sae(M, D, 3)
    _, stamp = read_json(world.weights, KIND, SCHEMA)
    for weights, fine in ((stamp.id, True), ("v" * 64, False)):
        save_sae(world.folder / "ours.safetensors", sae, {"site": "class_token"}, {"encoder": weights})
        if fine:
            path, _ = world.run(world.folder / "ours.safetensors")
            np.testing.assert_allclose(load_sae(path)[0].encoder_weight, sae.encoder_weight, rtol=1e-6)
            assert load_sae(path)[0].k == 3
        else:
            with pytest.raises(RelianceError, match="weights vvv"):
                world.run(world.folder / "ours.safetensors")


def test_another_width_is_refused(world: World) -> None:
    save_sae(world.folder / "o.safetensors", random_sae(5, D + 1, 2), {}, {"encoder": "w" * 64})
    with pytest.raises(RelianceError, match=rf"d = {D + 1}"):
        world.run(world.folder / "o.safetensors")


def test_dense_codes_are_refused_unless_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported, "_WIDEST", 8)
    file = world.file(theta=0.0)
    with pytest.raises(RelianceError, match="codes are sparse"):
        world.run(file)
    path, _ = world.run(file, max_active=4)
    assert load_sae(path)[0].k == 4


def test_fewer_stored_than_active_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    path, _ = world.run(world.file(theta=0.0), max_active=2)
    settings: dict[str, Any] = {"part_index": 0, "parts": 1, "device": "cpu", "threads": 1}
    caplog.clear()
    encode_part(
        embeddings=world.folder / "test" / "manifest.json",
        sae=path,
        part=world.folder / "c" / "part-0-of-1.zarr",
        encoder=[*ENCODERS.values()],
        **settings,
    )
    assert "the strongest 2 are kept" in caplog.text


def test_normalised_x_has_the_offset_of_the_mean_image(world: World) -> None:
    folder = world.folder / "norm"
    folder.mkdir()
    rng = np.random.default_rng(1)
    shapes = {"W_enc": (D, M), "W_dec": (M, D), "b_enc": (M,), "b_dec": (D,)}
    t = {n: torch.from_numpy(rng.standard_normal(s).astype(np.float32)) for n, s in shapes.items()}
    save_file(t, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(
        json.dumps({"architecture": "standard", "normalize_activations": "layer_norm"})
    )
    path, _ = world.run(folder / "sae_weights.safetensors", max_active=M)
    sae, _ = load_sae(path)
    assert sae.input_norm is None, "the configuration beside it was not given"
    keywords = {"files": files_of(folder)}
    path, _ = world.run(folder, max_active=M, **keywords)
    sae, _ = load_sae(path)
    x = world.x["train"][1:]
    scale, shift = (x - x.mean(1, keepdims=True)).std(1, ddof=1) + 1e-5, x.mean(1)
    np.testing.assert_allclose(sae.offset, scale.mean() * sae.bias + shift.mean(), rtol=1e-3, atol=1e-3)
