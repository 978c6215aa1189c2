import numpy as np
import pytest
import torch

from attribution.toy import CLASS_IDS, M, ToySplit
from reliance.attribution.inputs import LabelledImages
from reliance.base.errors import RelianceError
from reliance.failures import scan
from reliance.failures.scan import Lines, Miner, Tally
from reliance.tails.head_tail import HeadTail

from . import slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), per_class=12)
    split.used = np.flatnonzero(split.valid & (split.labels >= 0))
    return split


def miner(toy, line):
    tail = HeadTail(toy.head, toy.decoder, toy.text, dtype=torch.float64)
    lines = Lines(torch.full((4,), -2.0), torch.full((4, M), line, dtype=torch.float64))
    return Miner(tail, lines, "act_x_grad")


def block(toy):
    used = toy.used
    values = toy.values[used].astype(np.float32)
    return LabelledImages(used, toy.labels[used], toy.x[used], values, toy.indices[used])


def counted(toy, line):
    tally = Tally.zeros((len(CLASS_IDS), M), torch.device("cpu"))
    miner(toy, line).count(block(toy), tally)
    return Tally(*(table.numpy() for table in tally))


def test_padding_is_never_counted_even_where_zero_is_above_the_line(toy):
    tally = counted(toy, -1e9)
    active, label = slow.is_active(toy)[toy.used], toy.labels[toy.used]
    assert (toy.values[toy.used] == 0).any()
    for c in range(len(CLASS_IDS)):
        assert tally.n_highconf[c] == (label != c).sum()
        np.testing.assert_array_equal(tally.n_active[c], active[label != c].sum(0))
        np.testing.assert_array_equal(tally.n_flagged[c], active[label != c].sum(0))
        np.testing.assert_array_equal(tally.n_own[c], active[label == c].sum(0))


def test_chunks_of_pairs_change_nothing(toy, monkeypatch):
    kept = torch.ones(len(CLASS_IDS), M, dtype=torch.bool)
    whole, images = counted(toy, 0.01), miner(toy, 0.01).collect(block(toy), kept)
    monkeypatch.setattr(scan, "_CHUNK", 1)
    for ours, theirs in zip(counted(toy, 0.01), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for ours, theirs in zip(miner(toy, 0.01).collect(block(toy), kept), images, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert len(images[0]) == whole.n_flagged.sum() > 0


@pytest.mark.parametrize(("tensor", "name"), [("text", "y"), ("decoder", "act_x_grad")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_silently_below_every_line(toy, tensor, name, value):
    broken = {key: getattr(toy, key).copy() for key in ("decoder", "text")}
    broken[tensor][1] = value
    tail = HeadTail(toy.head, broken["decoder"], broken["text"], dtype=torch.float64)
    lines = Lines(torch.full((4,), -2.0), torch.full((4, M), 1e6, dtype=torch.float64))
    tally = Tally.zeros((len(CLASS_IDS), M), torch.device("cpu"))
    with pytest.raises(RelianceError, match=rf"mine: (.|\n)*{name}: \d+ of \d+ values are NaN or infinite"):
        Miner(tail, lines, "act_x_grad", "mine").count(block(toy), tally)
