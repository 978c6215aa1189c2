"""Kinds whose images have as many active latents as it happens, trained in the loop of all kinds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reliance.base.artifacts import read_json
from reliance.base.entry import imported
from reliance.config.sae import SaeTraining
from reliance.running.job import bundled
from reliance.units.sae.files import load_sae
from reliance.units.sae.imported import applied
from reliance.units.sae.kinds import KINDS
from reliance.units.sae.matryoshka import sizes

from .examples import sparse_data, write_split
from .test_train import SETTINGS

K, M = 3, 32


@pytest.mark.parametrize("kind", ["batch_top_k", "matryoshka", "jump_relu"])
def test_a_kind_learns_and_fires_k_latents_on_average(kind: str, tmp_path: Path) -> None:
    x = sparse_data(600, 12, factors=20, active=2)
    embeddings = write_split(tmp_path / "x", {"x": x})
    files = {
        "embeddings": [embeddings],
        "sae": tmp_path / "sae.safetensors",
        "history": tmp_path / "history.parquet",
        "quality": tmp_path / "quality.json",
    }
    settings = {**SETTINGS, "kind": kind, "m": M, "k": K, "lr": 1e-2, "batch_size": 100, "epochs": 40}
    settings |= {"epoch_share": 1.0, "decay_at": [30], "jump_width": 0.5}
    train = imported(KINDS[kind].train)
    train(**bundled(train, {**files, **settings}))
    sae, stamp = load_sae(files["sae"])
    quality, _ = read_json(files["quality"], "sae_quality", 2)
    assert (sae.activation, sae.k, stamp.params["kind"]) == ("jumprelu", 4 * K, kind)
    assert sae.threshold is not None
    assert (sae.threshold >= 0).all()
    assert quality["explained_variance"] > 0.8
    assert 0.6 * K < quality["l0"] < 1.4 * K
    code = applied(sae, "cpu").encode(torch.from_numpy(x[:50]))
    counts = (code.values > 0).sum(1)
    assert counts.min() < counts.max() <= 4 * K
    np.testing.assert_allclose(np.linalg.norm(sae.decoder_weight, axis=1), 1, rtol=1e-4)


def test_prefixes_are_shares_of_m() -> None:
    own = {name: value for name, value in SETTINGS.items() if name in SaeTraining.model_fields}
    settings = SaeTraining.model_validate({**own, "m": 64, "k": 2, "prefixes": (0.5, 0.25, 0.001)})
    assert sizes(settings) == (1, 16, 32, 64)
