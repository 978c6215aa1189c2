import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from safetensors import safe_open
from safetensors.torch import load_file

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.planted import drawn, tiny_clip, train_clip
from reliance.running.job import bundled

TINY = {
    "seed": 1,
    "steps": 6,
    "pool": 60,
    "batch_size": 16,
    "classes": 8,
    "threads": 1,
    "checkpoint_every": 2,
}


def paths(folder):
    names = {"checkpoint": "a.safetensors", "halfway": "b.safetensors", "history": "h.parquet"}
    return {name: folder / file for name, file in names.items()}


def train(folder, **settings):
    keywords = {**paths(folder), **TINY, **settings}
    train_clip.train_clip(**bundled(train_clip.train_clip, keywords))
    return paths(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


def test_a_killed_training_ends_with_the_same_bits(whole, tmp_path, monkeypatch):
    step = train_clip._train_step

    def die(progress, data, seed, number, *rest):
        if number == 5:
            raise KeyboardInterrupt
        step(progress, data, seed, number, *rest)

    monkeypatch.setattr(train_clip, "_train_step", die)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    assert not paths(tmp_path)["checkpoint"].exists()
    steps = []

    def count(progress, data, seed, number, *rest):
        steps.append(number)
        step(progress, data, seed, number, *rest)

    monkeypatch.setattr(train_clip, "_train_step", count)
    again = train(tmp_path)
    assert steps == [4, 5], "it goes on at the last stored step"
    for name in ("checkpoint", "halfway"):
        assert again[name].read_bytes() == whole[name].read_bytes()
    first, second = (read_table(p["history"], train_clip.TRAINING).frame for p in (whole, again))
    assert first.equals(second)
    assert not list(tmp_path.glob(".*partial*")), "progress is removed at the end"


@pytest.mark.parametrize("removed", [[], ["halfway"], ["state.pt"]])
def test_a_kill_while_progress_is_removed_loses_nothing(whole, tmp_path, monkeypatch, removed):
    real = shutil.rmtree

    def die(folder, *rest, **more):
        if ".partial-" not in Path(folder).name:
            return real(folder, *rest, **more)
        for name in removed:
            (folder / name).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    for path in paths(tmp_path).values():  # as Snakemake does with outputs of a failed job
        path.unlink()
    again = train(tmp_path)
    for name in ("checkpoint", "halfway"):
        assert again[name].read_bytes() == whole[name].read_bytes()
    assert not list(tmp_path.glob(".*")), "progress is removed at the end"


@pytest.mark.parametrize("change", [{"fingerprint": "other"}, {"steps": 7}])
def test_progress_of_another_job_is_not_used(tmp_path, monkeypatch, change):
    step = train_clip._train_step
    steps = []

    def die_once(progress, data, seed, number, *rest):
        steps.append(number)
        if number == 3 and steps.count(3) == 1:
            raise KeyboardInterrupt
        step(progress, data, seed, number, *rest)

    monkeypatch.setattr(train_clip, "_train_step", die_once)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    train(tmp_path, **change)
    assert steps[4] == 0


def test_halfway_is_on_the_way(whole):
    early, late = load_file(whole["halfway"]), load_file(whole["checkpoint"])
    assert early.keys() == late.keys()
    assert any(not torch.equal(early[name], late[name]) for name in early)


def test_a_checkpoint_brings_what_is_needed_to_load_it(whole):
    with safe_open(whole["checkpoint"], "pt") as stored:
        metadata = stored.metadata()
    model = CLIP(**json.loads(metadata["architecture"]))
    model.load_state_dict(load_file(whole["checkpoint"]))
    preprocess = json.loads(metadata["preprocess"])
    assert preprocess["size"] == 48
    assert preprocess["mean"] == [0.5] * 3
    assert "logit_scale" in load_file(whole["checkpoint"])


def test_cheap_forward_equals_open_clip():
    model = tiny_clip.build(0)
    pixels = torch.randint(0, 256, (3, 3, 48, 48), dtype=torch.uint8)
    normalised = (pixels.float() / 255 - 0.5) / 0.27
    cheap = tiny_clip.encode_images(model.visual, pixels)
    assert torch.allclose(cheap, model.encode_image(normalised, normalize=True), atol=1e-5)
    captions = ["a photo of a spade", "cow", "a red sword fish on striped background"]
    full = tiny_clip.open_clip.SimpleTokenizer(context_length=16)(captions)
    expected = model.encode_text(full, normalize=True)
    tokens = tiny_clip.tokenize(captions)
    assert tokens.rows.shape[1] < 16
    table = tiny_clip.keep_tokens(model, tokens.used)
    assert torch.allclose(tiny_clip.encode_texts(model, tokens.rows), expected, atol=1e-5)
    restored = tiny_clip.full_state(model, table, tokens.used)["token_embedding.weight"]
    assert torch.equal(restored, table)


def test_loss_by_hand(monkeypatch):
    images, texts = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    monkeypatch.setattr(tiny_clip, "encode_images", lambda visual, pixels: images)
    monkeypatch.setattr(tiny_clip, "encode_texts", lambda model, rows: texts)
    model = tiny_clip.build(0)
    loss, accuracy = tiny_clip.contrastive_loss(
        model, torch.zeros(3, 3, 48, 48), torch.zeros(2, 4), torch.tensor([0, 1, 1])
    )
    logits = model.logit_scale.exp().item() * np.array([[1, 0, 0], [0.6, 0.8, 0.8], [0, 1, 1]])

    def entropy(rows):
        return np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(rows)])

    assert loss.item() == pytest.approx((entropy(logits) + entropy(logits.T)) / 2, rel=1e-5)
    assert accuracy.item() == pytest.approx(2 / 3)


def test_misfits_repel_pictures_only(monkeypatch):
    images, texts = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    monkeypatch.setattr(tiny_clip, "encode_images", lambda visual, pixels: images)
    monkeypatch.setattr(tiny_clip, "encode_texts", lambda model, rows: texts[: len(rows)])
    model = tiny_clip.build(0)

    def loss(rows, misfits):
        which = torch.tensor([0, 1])
        return tiny_clip.contrastive_loss(
            model, torch.zeros(2, 3, 48, 48), torch.zeros(rows, 4), which, misfits
        )

    scale = 3.0
    model.logit_scale.data.fill_(np.log(scale))
    plain = np.log(1 + np.exp(-scale))
    assert loss(2, 0)[0].item() == pytest.approx(plain, rel=1e-3)
    seen = [np.log(1 + np.exp(-scale) + np.exp(scale * (own - 1))) for own in (0.8, 0.6)]
    assert loss(3, 1)[0].item() == pytest.approx((np.mean(seen) + plain) / 2, rel=1e-3)


def test_a_labeller_meets_words_that_are_written_nowhere():
    pool = train_clip.make_pool(drawn.choose("objects", classes=8), 0, 40, "plain")
    assert pool.misfits == 6, "8 classes, 2 of them written"
    rows = train_clip.misfit_rows(0, 3, len(pool.tokens.rows), pool.misfits)
    assert sorted(rows.tolist()) == list(range(len(pool.tokens.rows) - 6, len(pool.tokens.rows)))
    assert pool.caption.max() < len(pool.tokens.rows) - 6
    assert train_clip.make_pool(drawn.choose("objects", classes=8), 0, 40, "ambiguous").misfits == 0
    assert len(train_clip.misfit_rows(0, 3, 100, 0)) == 0
    assert len(set(train_clip.misfit_rows(0, 3, 100, 50).tolist())) == 16


def test_batches_cover_the_pool_once_an_epoch():
    rows = np.concatenate([train_clip.batch_rows(0, step, 50, 10) for step in range(5)])
    assert sorted(rows) == list(range(50))
    second = np.concatenate([train_clip.batch_rows(0, step, 50, 10) for step in range(5, 10)])
    assert sorted(second) == list(range(50))
    assert (rows != second).any()


def test_schedule():
    rates = [tiny_clip.rate(step, 100) for step in range(100)]
    assert rates[:8] == pytest.approx([(i + 1) / 8 for i in range(8)])
    assert rates[8] == pytest.approx(1)
    assert all(a >= b for a, b in itertools.pairwise(rates[8:]))
    assert tiny_clip.rate(100, 100) == pytest.approx(0.02)


def test_optimisers_share_all_parameters():
    model = tiny_clip.build(0)
    muon, adamw = tiny_clip.optimisers(model)
    counts = [sum(len(g["params"]) for g in o.param_groups) for o in (muon, adamw)]
    assert counts[0] == 12, "four matrices in each of three blocks"
    assert sum(counts) == len(list(model.parameters()))


@pytest.mark.parametrize("change", [{"captions": "none"}, {"pool": 10}])
def test_impossible_settings_are_refused(tmp_path, change):
    with pytest.raises(RelianceError):
        train(tmp_path, **change)
