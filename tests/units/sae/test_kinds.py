"""A kind of SAE is one module and one row: the table, and a made-up kind that is trained and encoded with."""

from pathlib import Path

import numpy as np
import pytest

from reliance.base.entry import imported
from reliance.base.errors import RelianceError
from reliance.base.rows import Parts
from reliance.codes.encode import encode_part
from reliance.codes.store import gather_codes, open_codes
from reliance.config.sae import SaeTraining
from reliance.running.fingerprint import reachable_modules
from reliance.running.job import bundled
from reliance.units.sae.activations import ENCODERS
from reliance.units.sae.files import load_sae
from reliance.units.sae.kinds import KINDS, Kind, trainable

from .examples import sparse_data, write_split
from .test_train import SETTINGS

ROOT = Path(__file__).parents[3]
MADE_UP = '''
"""Every latent fires as one: the k first ones, whatever their pre-activations."""

import torch

from reliance.config.sae import SaeTraining
from reliance.units.sae.sparse import Code, Encoder, preactivations
from reliance.units.sae.step import step
from reliance.units.sae.train import Architecture, Files, Running, train_sae


def encode(x, parameters, k):
    values = preactivations(x, parameters)[:, :k].relu().sort(dim=1, descending=True)
    return Code(values.values, values.indices.masked_fill(values.values == 0, 0))


ENCODER = Encoder("first_k", encode)


def train(*, files: Files, settings: SaeTraining, running: Running = Running()) -> None:
    train_sae(Architecture(ENCODER, step), files, settings, running)
'''


@pytest.mark.parametrize("name", KINDS)
def test_every_row_leads_to_its_module(name: str) -> None:
    kind = KINDS[name]
    assert all(callable(imported(entry).encode) for entry in kind.encoders)
    if kind.trained:
        assert kind.encoders == (f"{kind.module}:ENCODER",)
        assert callable(imported(kind.train))


def test_each_activation_is_applied_in_one_way() -> None:
    for activation, entry in ENCODERS.items():
        assert imported(entry).activation == activation
    assert {imported(entry).activation for k in KINDS.values() for entry in k.encoders} == set(ENCODERS)


@pytest.mark.parametrize("name", ["imported", "top"])
def test_what_cannot_be_trained_is_refused(name: str) -> None:
    with pytest.raises(RelianceError, match=r"variants\.mine\.sae\.kind") as caught:
        trainable(name, "variants.mine.sae.kind")
    assert caught.value.allowed == ", ".join(n for n, kind in KINDS.items() if kind.trained)


def test_a_made_up_kind_trains_and_encodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_up_kind.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "first_k", Kind("made_up_kind"))
    kind = trainable("first_k", "sae.kind")
    embeddings = write_split(tmp_path / "x", {"x": sparse_data(300, 12, factors=24, active=2)})
    files = {
        "embeddings": [embeddings],
        "sae": tmp_path / "sae.safetensors",
        "history": tmp_path / "history.parquet",
        "quality": tmp_path / "quality.json",
    }
    train = imported(kind.train)
    train(**bundled(train, {**files, **SETTINGS, "kind": "first_k"}))
    sae, stamp = load_sae(files["sae"])
    assert (sae.activation, stamp.params["kind"]) == ("first_k", "first_k")

    part = tmp_path / "codes" / "part-0-of-1.zarr"
    settings = {"part_index": 0, "parts": 1, "device": "cpu", "threads": 1}
    encode_part(embeddings=embeddings, sae=files["sae"], part=part, encoder=kind.encoders[0], **settings)
    gather_codes(parts=[part], manifest=tmp_path / "codes" / "manifest.json")
    values, indices = open_codes(tmp_path / "codes" / "manifest.json").block(0, 300)
    x = Parts(embeddings, "embeddings").read("x")
    expected = np.maximum((x - sae.bias) @ sae.encoder_weight[:3].T + sae.encoder_bias[:3], 0)
    assert indices.max() == 2
    np.testing.assert_allclose(values, -np.sort(-expected, axis=1), rtol=2e-3, atol=1e-5)
    with pytest.raises(RelianceError, match="activation first_k"):
        encode_part(embeddings=embeddings, sae=files["sae"], part=tmp_path / "other", **settings)


def test_the_table_reaches_no_job() -> None:
    """A new row reruns nothing: jobs are given entry points."""
    own = KINDS["top_k"]
    for entry in (own.train, *own.encoders, "reliance.codes.encode:encode_part"):
        reached = reachable_modules(ROOT / "scripts" / "job.py", ROOT / "src", entry)
        assert not {n for n in reached if n.endswith(("kinds", "signed_top_k"))}, entry


def test_the_default_kind_is_a_row() -> None:
    assert SaeTraining.model_fields["kind"].default in KINDS
