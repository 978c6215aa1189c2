"""A small checkpoint of four blocks, and a folder of pictures with one that cannot be read."""

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

from .made import PREPROCESS, SHAPE, TEXT, P

CONFIG = {"embed_dim": P, "vision_cfg": SHAPE, "text_cfg": {**TEXT, "vocab_size": 49408}, "quick_gelu": False}
BROKEN = 2


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lens_weights")
    model = build_random(CONFIG, 1)
    for name, parameter in model.named_parameters():
        if "mlp" in name or "attn" in name:
            parameter.data *= 3
    metadata = {
        "architecture": json.dumps(CONFIG),
        "preprocess": json.dumps({**PREPROCESS, "interpolation": "bicubic", "resize_mode": "shortest"}),
    }
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "t.safetensors", metadata)
    resolve_weights(weights=folder / "weights.json", encoder="tiny", checkpoint=folder / "t.safetensors")
    return folder / "weights.json"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(root, index) of 12 training and 3 test pictures."""
    root = tmp_path_factory.mktemp("lens_pictures")
    rng = np.random.default_rng(0)
    for folder, count in {"train/a": 7, "train/b": 5, "test/a": 3}.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i:02}.png")
    broken = root / "train" / "a" / f"{BROKEN:02}.png"
    broken.write_bytes(broken.read_bytes()[:200])
    out = tmp_path_factory.mktemp("lens_index")
    index_images(
        index=out / "index.parquet", classes=out / "classes.parquet", root=str(root), layout="folder"
    )
    return root, out / "index.parquet"
