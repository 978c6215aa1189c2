"""Tiny CLIPs as checkpoints, and small folders of pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from reliance.encoders.model import build_random
from reliance.encoders.weights import resolve_weights
from reliance.images.index import index_images

CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 24, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    "quick_gelu": False,
}
PREPROCESS = {"size": 24, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25], "resize_mode": "shortest"}


def variant(**vision):
    """CONFIG with other values in its vision tower."""
    return {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], **vision}}


def save_checkpoint(path: Path, config=None, preprocess=None, seed: int = 0) -> Path:
    """A checkpoint as the pipeline's own training writes it; layer norms are not left at 1 and 0."""
    model = build_random(config or CONFIG, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "ln_" in name:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    metadata = {
        "architecture": json.dumps(config or CONFIG),
        "preprocess": json.dumps(preprocess or PREPROCESS),
    }
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path, metadata)
    return path


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_architecture(monkeypatch, tmp_path):
    """open_clip's tables with one tiny architecture more: Tiny, with the tags t and q (QuickGELU)."""
    from reliance.encoders import registry

    package = tmp_path / "package"
    (package / "model_configs").mkdir(parents=True)
    (package / "model_configs" / "Tiny.json").write_text(json.dumps(CONFIG))
    entry = {"hf_hub": "o/tiny/", "mean": [0.1] * 3, "std": [0.2] * 3, "interpolation": "bilinear"}
    monkeypatch.setattr(registry, "_package", lambda: package)
    monkeypatch.setattr(
        registry, "_pretrained", lambda: {"Tiny": {"t": entry, "q": {**entry, "quick_gelu": True}}}
    )


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors")


@pytest.fixture(scope="session")
def weights(tmp_path_factory, checkpoint):
    path = tmp_path_factory.mktemp("weights") / "weights.json"
    resolve_weights(weights=path, encoder="tiny", checkpoint=checkpoint)
    return path


def write_pictures(root: Path, counts: dict[str, int], seed: int = 0) -> None:
    """Noise pictures of different shapes: {"train/a": 3} writes root/train/a/0.png, ..."""
    rng = np.random.default_rng(seed)
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            shape = (int(rng.integers(20, 50)), int(rng.integers(20, 50)), 3)
            Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(root / folder / f"{i:02}.png")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """(root, index) of 11 training and 3 test pictures, of which train/b/01.png is cut off."""
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root, {"train/a": 6, "train/b": 5, "test/a": 3})
    broken = root / "train" / "b" / "01.png"
    broken.write_bytes(broken.read_bytes()[:300])
    out = tmp_path_factory.mktemp("index")
    index_images(
        index=out / "index.parquet", classes=out / "classes.parquet", root=str(root), layout="folder"
    )
    return root, out / "index.parquet"
