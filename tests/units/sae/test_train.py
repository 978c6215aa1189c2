import json
import logging
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from reliance.base.artifacts import read_json, read_table
from reliance.base.errors import RelianceError
from reliance.base.rows import Parts
from reliance.config.sae import SaeTraining
from reliance.running.fingerprint import reachable_modules
from reliance.running.job import bundled
from reliance.units.sae import top_k, train
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import load_sae
from reliance.units.sae.quality import measure_quality
from reliance.units.sae.schedule import drawn, fitting, rate, steps
from reliance.units.sae.sparse import Parameters
from reliance.units.sae.train import HISTORY

from .examples import sparse_data, write_split

ROOT = Path(__file__).parents[3]
SETTINGS: dict[str, Any] = {
    "m": 48, "k": 3, "lr": 3e-3, "batch_size": 64, "epochs": 4, "epoch_share": 0.5, "decay_at": [2, 3],
    "decay": 0.1, "scale_weight": 0.1, "aux_weight": 1 / 32, "aux_k": 8, "dead_after": 32, "grad_clip": 0.5,
    "weight_decay": 0.01, "adam_eps": 1e-8, "seed": 0, "threads": 1, "device": "cpu",
}  # fmt: skip
OUTPUTS = ("sae", "history", "quality")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("splits")
    x = sparse_data(1100, 12, factors=24, active=2)
    valid = np.ones(1000, bool)
    valid[[3, 700]] = False
    unreadable = np.where(valid[:, None], x[:1000], 0).astype(np.float32)
    return {
        "train": write_split(folder / "train", {"x": unreadable, "valid": valid}),
        "test": write_split(folder / "test", {"x": x[1000:]}),
    }


def run(folder: Path, splits: dict[str, Path], **changes: Any) -> dict[str, Path]:
    names = {"sae": "sae.safetensors", "history": "history.parquet", "quality": "quality.json"}
    outputs = {name: folder / file for name, file in names.items()}
    inputs = {"embeddings": [splits["train"]], "held_out": splits["test"]}
    top_k.train(**bundled(top_k.train, {**inputs, **outputs, **SETTINGS, **changes}))
    return outputs


def test_a_dictionary_is_learned(tmp_path: Path, splits: dict[str, Path]) -> None:
    many = {"epochs": 40, "epoch_share": 1.0, "decay_at": [30, 36], "k": 2, "lr": 1e-2}
    outputs = run(tmp_path, splits, **many)
    quality, _ = read_json(outputs["quality"], "sae_quality", 2)
    assert quality["explained_variance"] > 0.8
    assert quality["cosine"] > 0.98
    assert quality["scale_ratio"] == pytest.approx(1, abs=0.03)
    assert quality["data"] == "held_out"
    assert quality["n"] == 100
    assert set(os.listdir(tmp_path)) == {"sae.safetensors", "history.parquet", "quality.json"}


def test_outputs_say_what_they_are(tmp_path: Path, splits: dict[str, Path]) -> None:
    outputs = run(tmp_path, splits)
    sae, stamp = load_sae(outputs["sae"])
    trained = Parts(splits["train"], "embeddings").stamp
    assert (sae.m, sae.d, sae.k, sae.activation) == (48, 12, 3, "topk")
    assert stamp.inputs == {"encoder": trained.inputs["weights"], "embeddings_0": trained.id}
    assert stamp.params["lr"] == 3e-3
    assert set(SaeTraining.model_fields) <= set(stamp.params)
    np.testing.assert_allclose(np.linalg.norm(sae.decoder_weight, axis=1), 1, atol=1e-6)

    history = read_table(outputs["history"], HISTORY)
    frame = history.frame
    assert history.stamp.inputs == {"sae": stamp.id}
    assert list(frame["step"]) == list(range(4 * 7))  # 998 readable rows x 0.5 / 64, four times
    assert list(frame["epoch"]) == [0] * 7 + [1] * 7 + [2] * 7 + [3] * 7
    rates = frame.groupby("epoch")["lr"].unique()
    assert [list(r) for r in rates] == [pytest.approx([v]) for v in (3e-3, 3e-3, 3e-4, 3e-5)]
    np.testing.assert_allclose(frame["loss"], frame["direction"] + frame["scale"] + frame["auxiliary"], 1e-5)
    assert frame["dead"].iloc[0] == 0
    assert (frame["dead"] > 0).any()
    assert ((frame["auxiliary"] > 0) == (frame["dead"] > 0)).all()
    assert frame["explained_variance"].iloc[-1] > frame["explained_variance"].iloc[0]

    quality, quality_stamp = read_json(outputs["quality"], "sae_quality", 2)
    assert quality_stamp.inputs["sae"] == stamp.id
    parameters = Parameters(*(torch.from_numpy(a) for a in sae.arrays.values()))
    x = torch.from_numpy(Parts(splits["test"], "embeddings").read("x"))
    for name, value in measure_quality(Applied(top_k.ENCODER, parameters, 3), [x]).items():
        assert quality[name] == pytest.approx(value, rel=1e-5)
    assert not {"dead", "silent"} & set(quality)  # counted once, on train, in the table of components


def test_without_a_held_out_split_quality_is_that_of_the_training_data(
    tmp_path: Path, splits: dict[str, Path]
) -> None:
    quality, _ = read_json(run(tmp_path, splits, held_out=None)["quality"], "sae_quality", 2)
    assert (quality["data"], quality["n"]) == ("train", 998)


def test_a_split_that_was_learned_from_is_not_held_out(tmp_path: Path, splits: dict[str, Path]) -> None:
    both = [splits["train"], splits["test"]]
    quality, _ = read_json(run(tmp_path, splits, embeddings=both)["quality"], "sae_quality", 2)
    assert (quality["data"], quality["n"]) == ("train", 100)


def test_the_seed_decides(tmp_path: Path, splits: dict[str, Path]) -> None:
    ids = [load_sae(run(tmp_path / str(i), splits, seed=s)["sae"])[1].id for i, s in enumerate([0, 0, 1])]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("stop", [1, 7, 13])
def test_a_killed_job_goes_on_to_the_same_bits(
    tmp_path: Path, splits: dict[str, Path], monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    whole = run(tmp_path / "whole", splits)
    real, calls = top_k.step, []

    def failing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == stop + 1:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(top_k, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", splits, checkpoint_every=0.0)
    assert not (tmp_path / "killed" / "sae.safetensors").exists()
    resumed = run(tmp_path / "killed", splits)
    assert len(calls) == 4 * 7 + 1  # no step was made twice
    for name in OUTPUTS:
        assert whole[name].read_bytes() == resumed[name].read_bytes(), name
    assert not list((tmp_path / "killed").glob(".*"))


def test_sigkill_while_saving_leaves_a_usable_checkpoint(tmp_path: Path, splits: dict[str, Path]) -> None:
    whole = run(tmp_path / "whole", splits, epochs=8)
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{str(ROOT / "src")!r}, {str(ROOT / "tests")!r}]
import torch
from units.sae.test_train import run
real, saved = torch.save, []
def save(record, path):
    real(record, path)
    saved.append(path)
    if len(saved) == 30:
        with open(path, "r+b") as stream:
            stream.truncate(1000)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = save
splits = {{"train": Path({str(splits["train"])!r}), "test": Path({str(splits["test"])!r})}}
run(Path({str(tmp_path / "killed")!r}), splits, epochs=8, checkpoint_every=0.0)
"""
    found = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert found.returncode == -signal.SIGKILL, found.stderr.decode()
    (partial,) = (tmp_path / "killed").glob(".*.partial-*")
    assert (partial / "checkpoint.pt").exists()
    resumed = run(tmp_path / "killed", splits, epochs=8)
    for name in OUTPUTS:
        assert whole[name].read_bytes() == resumed[name].read_bytes(), name


@pytest.mark.parametrize("change", [{"fingerprint": "other"}, {"lr": 1e-3}, {"held_out": None}])
def test_progress_of_another_job_is_not_used(
    tmp_path: Path, splits: dict[str, Path], monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "_report", interrupted)  # called after the last step
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, splits, checkpoint_every=0.0)
    assert list(tmp_path.glob(".*.partial-*/checkpoint.pt"))
    made = []
    real = top_k.step
    monkeypatch.setattr(top_k, "step", lambda *a: made.append(1) or real(*a))
    run(tmp_path, splits, **change)
    assert len(made) == 4 * 7
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"k": 49}, ValidationError, "k = 49 and m = 48"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, splits: dict[str, Path], changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path, splits, **changes)


def test_an_unknown_setting_is_refused(tmp_path: Path, splits: dict[str, Path]) -> None:
    with pytest.raises(TypeError, match="latents"):
        run(tmp_path, splits, latents=4)


def test_a_loss_that_is_not_finite_names_the_learning_rate(tmp_path: Path, splits: dict[str, Path]) -> None:
    with pytest.raises(RelianceError, match=r"sae\.lr") as caught:
        run(tmp_path, splits, lr=1e30, grad_clip=None)
    assert "lr = 1e+30" in caught.value.found
    assert not (tmp_path / "sae.safetensors").exists()


def test_a_held_out_split_of_another_encoder_is_refused(tmp_path: Path, splits: dict[str, Path]) -> None:
    other = write_split(tmp_path / "other", {"x": np.ones((9, 12), np.float32)}, weights="v" * 64)
    with pytest.raises(RelianceError, match="same encoder weights"):
        run(tmp_path, splits, held_out=other)


def test_a_held_out_split_without_variance_is_refused(tmp_path: Path, splits: dict[str, Path]) -> None:
    same = write_split(tmp_path / "same", {"x": np.ones((9, 12), np.float32)})
    with pytest.raises(RelianceError, match="different images"):
        run(tmp_path, splits, held_out=same, epochs=1, decay_at=[])


def test_a_dictionary_too_large_for_its_data_is_warned_of(
    tmp_path: Path, splits: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run(tmp_path, splits, epochs=1, decay_at=[])
        assert "lower sae.m to about 29" in caplog.text
        caplog.clear()
        run(tmp_path, splits, epochs=1, decay_at=[], m=29)
        assert not caplog.text


def test_bf16_on_a_cpu_without_it_is_warned_of(
    tmp_path: Path, splits: dict[str, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for knows, warned in ((True, False), (False, True)):
        monkeypatch.setattr("reliance.units.sae.train.knows_bf16", lambda knows=knows: knows)
        caplog.clear()
        run(tmp_path, splits, epochs=1, decay_at=[], m=29, precision="bf16")
        assert ("precision: fp32" in caplog.text) == warned


def test_progress_is_logged(
    tmp_path: Path, splits: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run(tmp_path, splits)
    assert "step 28 of 28, epoch 4, loss" in caplog.text


def test_steps_and_rates() -> None:
    changes = {
        "m": 4,
        "k": 2,
        "lr": 1.0,
        "batch_size": 10,
        "epochs": 3,
        "epoch_share": 0.25,
        "decay_at": (1, 2),
    }
    own = {name: value for name, value in SETTINGS.items() if name in SaeTraining.model_fields}
    settings = SaeTraining(**{**own, **changes})
    assert (drawn(settings, 100), steps(settings, 100)) == (25, 6)
    assert (drawn(settings, 12), steps(settings, 12)) == (10, 3)  # at least one batch
    assert [rate(settings, e) for e in range(3)] == pytest.approx([1, 0.1, 0.01])


def test_quality_is_plain_json(tmp_path: Path, splits: dict[str, Path]) -> None:
    record = json.loads(run(tmp_path, splits, epochs=1, decay_at=[])["quality"].read_text())
    assert all(math.isfinite(v) for v in record.values() if isinstance(v, float))


def test_training_reaches_few_modules() -> None:
    reached = reachable_modules(ROOT / "scripts" / "job.py", ROOT / "src", "reliance.units.sae.top_k:train")
    assert len(reached) <= 20, reached
    assert not {name for name in reached if ".config." in name}, "a new key or bound trains nothing again"


def test_fewer_images_than_a_batch_shrink_it(caplog: pytest.LogCaptureFixture) -> None:
    own = {name: value for name, value in SETTINGS.items() if name in SaeTraining.model_fields}
    settings = SaeTraining.model_validate({**own, "batch_size": 64})
    assert fitting(settings, 64) is settings
    assert fitting(settings, 30).batch_size == 15 and "do not fill a batch" in caplog.text
    assert fitting(settings, 3).batch_size == 2
