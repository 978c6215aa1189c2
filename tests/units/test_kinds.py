"""Every kind of units is attributed and deleted by the same code: the shipped ones, and a made-up one."""

import numpy as np
import pytest
import torch

from attribution.toy import ToySplit
from reliance.attribution.inputs import Computing
from reliance.attribution.table import ATTRIBUTIONS, attribute_split
from reliance.base.artifacts import read_json, read_table
from reliance.faithfulness.sample import Sampling
from reliance.faithfulness.schema import FAITHFULNESS, SUMMARY, SUMMARY_SCHEMA
from reliance.faithfulness.table import faithfulness
from reliance.tails import walk
from reliance.units.kinds import KINDS, open_units
from reliance.units.protocol import Sources, entries_of


class Pairs:
    """A made-up kind: two components for every two neighbouring coordinates, their sum and difference."""

    def __init__(self, sources):
        tokens = sources.embeddings
        self.path, self.rows, self.readable, self.stamp = tokens.path, tokens.rows, tokens.rows, tokens.stamp
        self._tokens, self.ids = tokens, {"units": "pairs"}
        self.offset = np.zeros(tokens.layouts["x"].shape, np.float32)

    @property
    def m(self):
        return len(self.offset)

    @property
    def directions(self):
        half = np.array([[1, 1], [1, -1]], np.float32) / 2
        return np.kron(np.eye(self.m // 2, dtype=np.float32), half)

    def block(self, start, stop):
        x = self._tokens.read("x", start, stop).astype(np.float32)
        values = x @ (2 * self.directions.T)
        return values, np.broadcast_to(np.arange(self.m), values.shape).copy()

    def blocks(self, block_rows):
        return self._tokens.blocks(block_rows)

    def entries(self, start, stop):
        return entries_of(*self.block(start, stop), start)


KIND = f"{__name__}:Pairs"
ENTRIES = {**KINDS, "pairs": KIND}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), per_class=9)
    split.explained = split.files()
    return split


def y_of(toy, x, label):
    """The output for the own class by torch's LayerNorm; x [..., d]."""
    weight, bias, proj = (torch.as_tensor(a, dtype=torch.float64) for a in toy.head[:3])
    normed = torch.nn.functional.layer_norm(torch.as_tensor(x), x.shape[-1:], weight, bias, toy.head.eps)
    return torch.cosine_similarity(
        normed @ proj, torch.as_tensor(toy.text, dtype=torch.float64)[label], dim=-1
    )


def opened(toy, entry):
    from reliance.encoders.stored import Embeddings

    f = toy.explained
    return open_units(entry, Sources(Embeddings(f.embeddings), f.codes, f.sae))


@pytest.mark.parametrize("name", ENTRIES)
def test_attributions_are_the_effects_of_leaving_out(toy, tmp_path, name):
    paths = {"attributions": tmp_path / "a.parquet", "outputs": tmp_path / "o.parquet"}
    computing = Computing(block_rows=13, threads=1, dtype="float64")
    attribute_split(toy.explained, **paths, split="train", units=ENTRIES[name], computing=computing)
    frame, stamp = read_table(paths["attributions"], ATTRIBUTIONS)
    units = opened(toy, ENTRIES[name])
    assert stamp.params["components"] == units.m and set(units.ids) <= set(stamp.inputs)
    x, image = toy.x.astype(np.float64), frame["image_id"].to_numpy()
    moved = frame["activation"].to_numpy()[:, None].astype(np.float64) * units.directions[frame["component"]]
    label = torch.as_tensor(toy.labels[image])
    effect = y_of(toy, x[image], label) - y_of(toy, x[image] - moved, label)
    np.testing.assert_allclose(frame["ablation"], effect, atol=2e-6)
    assert len(frame) > 5 * len(set(image)) if name != "sae" else len(frame)


@pytest.mark.parametrize("whole", [0, 128])
@pytest.mark.parametrize("name", ENTRIES)
def test_curves_are_those_of_the_head(toy, tmp_path, monkeypatch, name, whole):
    """Local deletion by energy, whose order is known: the strongest component of every image goes first."""
    monkeypatch.setattr(walk, "_WHOLE", whole)
    paths = {"faithfulness": tmp_path / "f.parquet", "summary": tmp_path / "f.json"}
    sampling = Sampling(classes=4, per_class=3, reference=5, subsets=12)
    options = {"split": "train", "steps": 3, "error_terms": ["frozen"], "computing": Computing(threads=1)}
    faithfulness(toy.explained, **paths, sampling=sampling, units=ENTRIES[name], **options)
    frame = read_table(paths["faithfulness"], FAITHFULNESS).frame
    assert set(frame["error_term"]) == {"frozen"}
    assert set(read_json(paths["summary"], SUMMARY, SUMMARY_SCHEMA)[0]["completeness"]) == {"frozen"}
    units = opened(toy, ENTRIES[name])
    own = frame[(frame["protocol"] == "local_deletion") & (frame["method"] == "energy")]
    found = own.pivot(index=["class_id", "subset"], columns="step", values="y").to_numpy()
    usable = np.flatnonzero(toy.valid & (toy.labels >= 0))
    rows = np.concatenate([usable[toy.labels[usable] == c][:3] for c in range(4)])
    for y, row in zip(found, rows, strict=True):
        values, indices = (a[0].astype(np.float64) for a in units.block(row, row + 1))
        added = values[:, None] * units.directions[indices.astype(int)]
        order = np.argsort(
            -(values * np.linalg.norm(units.directions[indices.astype(int)], axis=1)), kind="stable"
        )
        order = [j for j in order if values[j] != 0][:3]
        gone = np.concatenate([np.zeros((1, added.shape[1])), np.cumsum(added[order], axis=0)])
        expected = y_of(toy, toy.x[row].astype(np.float64) - gone, int(toy.labels[row])).numpy()
        np.testing.assert_allclose(y[: len(expected)], expected, atol=1e-9)


def test_bases_are_measured_on_the_same_images(toy, tmp_path):
    outputs, options = {}, {"split": "train", "steps": 1, "error_terms": ["frozen"]}
    for name, entry in ENTRIES.items():
        paths = {"faithfulness": tmp_path / f"{name}.parquet", "summary": tmp_path / f"{name}.json"}
        sampling = Sampling(classes=4, per_class=3, reference=5, subsets=12)
        faithfulness(toy.explained, **paths, sampling=sampling, units=entry, **options)
        frame = read_table(paths["faithfulness"], FAITHFULNESS).frame
        start = frame[(frame["protocol"] == "local_deletion") & (frame["step"] == 0)]
        outputs[name] = start.groupby(["class_id", "subset"])["y"].first().to_numpy()
    for y in outputs.values():
        np.testing.assert_allclose(y, outputs["sae"], atol=1e-12)
