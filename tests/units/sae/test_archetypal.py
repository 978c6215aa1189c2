"""Latents that are mixtures of images: the step against autograd, and what training keeps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reliance.base.artifacts import read_json
from reliance.config.sae import SaeTraining
from reliance.running.job import bundled
from reliance.units.sae import archetypal
from reliance.units.sae.files import Data, load_data, load_sae
from reliance.units.sae.step import Objective

from .examples import sparse_data, write_split
from .test_step import CASES, dense, draw
from .test_step import case as case_of
from .test_train import SETTINGS

C = 6


def mixtures(d: int) -> archetypal.Mixtures:
    found = archetypal.Mixtures()
    found.points = torch.randn(C, d, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_step_is_that_of_autograd(name: str) -> None:
    """Gradients of w without what changes its lengths, by the dense loss of V = normalised w^2 p."""
    own, aims = mixtures(7), Objective(k=4, power=3.7, scale_weight=0.1, aux_weight=0.25, aux_k=3)
    shown = case_of(name)
    start = torch.randn(40, C, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    w = torch.nn.functional.normalize(start, dim=1)
    found = own.step(shown.parameters._replace(decoder_weight=w), shown.x, aims, shown.dead, None)

    free = w.clone().requires_grad_()
    decoder = torch.nn.functional.normalize(free.square() @ own.points, dim=1)
    loss, gradients = dense(
        shown._replace(parameters=shown.parameters._replace(decoder_weight=decoder)), aims
    )
    (expected,) = torch.autograd.grad(decoder, free, gradients.decoder_weight)
    torch.testing.assert_close(found.loss.total, loss.total)
    torch.testing.assert_close(found.gradients.decoder_weight, expected)
    torch.testing.assert_close(found.gradients.encoder_weight, gradients.encoder_weight)
    torch.testing.assert_close(found.gradients.bias, gradients.bias)
    torch.testing.assert_close(found.radial, (w * expected).sum(1))


def settings(**changes: object) -> SaeTraining:
    own = {name: value for name, value in SETTINGS.items() if name in SaeTraining.model_fields}
    return SaeTraining.model_validate({**own, **changes})


def test_every_latent_starts_at_an_image_of_its_own(tmp_path: Path) -> None:
    data: Data = load_data([write_split(tmp_path / "x", {"x": sparse_data(60, 12, factors=20, active=2)})])
    shown, own = draw(m=50).parameters, archetypal.Mixtures()
    start = own.begin(shown._replace(bias=torch.from_numpy(data.mean)), data, settings(m=50, k=2))
    torch.testing.assert_close(start.decoder_weight.norm(dim=1), torch.ones(50))
    assert len(set(start.decoder_weight.argmax(1).tolist())) == 50
    torch.testing.assert_close(own.finish(start, data, settings()).decoder_weight, start.encoder_weight)


def test_it_learns_in_the_loop_of_all_kinds(tmp_path: Path) -> None:
    x = sparse_data(600, 12, factors=20, active=2)
    embeddings = write_split(tmp_path / "x", {"x": x})
    names = {"sae": "sae.safetensors", "history": "history.parquet", "quality": "quality.json"}
    files = {"embeddings": [embeddings], **{key: tmp_path / name for key, name in names.items()}}
    asked = {**SETTINGS, "kind": "archetypal", "m": 32, "k": 3, "lr": 1e-2, "batch_size": 100, "epochs": 40}
    asked |= {"epoch_share": 1.0, "decay_at": [30]}
    archetypal.train(**bundled(archetypal.train, {**files, **asked}))
    sae, stamp = load_sae(files["sae"])
    quality, _ = read_json(files["quality"], "sae_quality", 2)
    assert (sae.activation, sae.k, stamp.params["kind"]) == ("topk", 3, "archetypal")
    assert quality["explained_variance"] > 0.5
    np.testing.assert_allclose(np.linalg.norm(sae.decoder_weight, axis=1), 1, rtol=1e-4)
