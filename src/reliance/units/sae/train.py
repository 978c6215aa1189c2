"""The training of every SAE: embeddings in memory, AdamW, step decay, resumable to the bit.

As in the paper, every epoch draws a random share of the data and the learning rate falls by a factor
after given epochs. Progress is kept in a hidden folder beside the output, named by a hash of all
settings, the code and the ids of all inputs; a killed job goes on from it, to the result it would have had.
"""

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reliance.base.artifacts import TableSpec, check_same, derived_stamp, write_json, write_table
from reliance.base.device import choose_device
from reliance.base.errors import RelianceError
from reliance.base.telling import advance
from reliance.base.writing import atomic, claim, release
from reliance.config.sae import SaeTraining
from reliance.encoders.stored import Embeddings, check_site
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import (
    QUALITY_KIND,
    QUALITY_SCHEMA,
    Data,
    Sae,
    load_data,
    readable_blocks,
    save_sae,
)
from reliance.units.sae.quality import measure_quality
from reliance.units.sae.schedule import drawn, fitting, rate, steps
from reliance.units.sae.sparse import Encoder, Parameters, Thresholded, random_rows
from reliance.units.sae.step import Objective, Step, keep_memory, knows_bf16, update

HISTORY = TableSpec(
    "history",
    1,
    (
        ("step", "int64"),
        ("epoch", "int32"),
        ("lr", "float64"),
        ("loss", "float64"),  # the sum of the next three
        ("direction", "float64"),
        ("scale", "float64"),
        ("auxiliary", "float64"),
        ("explained_variance", "float64"),  # of the batch, against the variance of the data
        ("dead", "int64"),  # latents silent for more than dead_after images
    ),
)
_EVALUATED_ROWS = 1024  # rows reconstructed at a time
_LOG_SECONDS = 30.0
_FEW_FIRINGS = 100  # mean firings per latent below which a dictionary is too large for its data

log = logging.getLogger(__name__)


# (parameters, x, objective, indices of dead latents, a buffer [n, m] for pre-activations), as `step.step`
OneStep = Callable[[Any, Tensor, Objective, Tensor, Tensor], Step]
Adapt = Callable[[Any, Data, Any], Parameters | Thresholded]  # (parameters, data, settings)


class Files(NamedTuple):
    """What a training reads and writes."""

    embeddings: Sequence[Path]  # manifests of the splits that are learned from
    sae: Path
    history: Path  # one row per step
    quality: Path
    held_out: Path | None = None  # manifest of the split that quality is measured on; None: the training data


class Running(NamedTuple):
    """Where and how a training runs."""

    device: str = "auto"
    threads: int = 2
    checkpoint_every: float = 600.0  # seconds
    fingerprint: str = ""  # of the code it reaches


class Architecture(NamedTuple):
    """What a kind of SAE brings to the loop."""

    encoder: Encoder
    step: OneStep
    begin: Adapt | None = None  # what its parameters start as, from those of top-k
    finish: Adapt | None = None  # what is stored, from what was learned
    width: Callable[[Any], int] = lambda settings: settings.k  # most active latents of a code


class State(NamedTuple):
    """Everything that a checkpoint holds."""

    parameters: Parameters | Thresholded
    optimiser: torch.optim.AdamW
    silent_for: Tensor  # int64 [m], images since the latent fired
    history: list[list[float]]  # one row per step, as HISTORY


def train_sae(architecture: Architecture, files: Files, settings: SaeTraining, running: Running) -> None:
    """Train an SAE on the readable rows of one or more splits.

    Writes the SAE, its history and its quality.
    Raises RelianceError if data or settings cannot be trained with, or the loss is not finite.
    """
    torch.set_num_threads(running.threads)
    keep_memory()
    device = choose_device(running.device)
    data = load_data(files.embeddings)
    settings = fitting(settings, len(data.x))
    _check(settings, data, files.sae, device)
    held = None if files.held_out is None else Embeddings(files.held_out)
    inputs = dict(data.inputs)
    if held is not None:
        weights = (held.path, held.stamp.inputs["weights"])
        check_same("encoder weights", weights, (files.embeddings[0], inputs["encoder"]))
        check_site(held.path, held.site, Embeddings(files.embeddings[0]))
        inputs["held_out"] = held.stamp.id
    params = settings.model_dump(mode="json") | {"site": data.site}
    key = {**params, "device": device, "threads": running.threads, "fingerprint": running.fingerprint}
    folder = claim(files.sae, derived_stamp("sae", 1, key, inputs).id[:16])
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    state = _start(settings, data, device, architecture.begin)
    if checkpoint.exists():
        _restore(state, checkpoint, device)
    _train(architecture.step, state, data, settings, checkpoint, running.checkpoint_every)
    if architecture.finish:
        state = state._replace(parameters=architecture.finish(state.parameters, data, settings))
    arrays = {n: t.cpu().numpy() for n, t in state.parameters._asdict().items()}
    width = architecture.width(settings)
    sae = Sae(**arrays, k=width, activation=architecture.encoder.activation)
    stamp = save_sae(files.sae, sae, params, data.inputs)
    columns = [name for name, _ in HISTORY.columns]
    write_table(files.history, pd.DataFrame(state.history, columns=columns), HISTORY, {}, {"sae": stamp.id})
    _write_quality(files.quality, architecture.encoder, state, width, data, held, stamp.id)
    shutil.rmtree(folder, ignore_errors=True)
    release(files.sae)


def _check(settings: SaeTraining, data: Data, sae: Path, device: str) -> None:
    """Refuse settings that cannot be trained with; warn of those that are unwise here."""
    n, m, k = len(data.x), settings.m, settings.k
    if n < settings.batch_size:
        raise RelianceError(
            f"{sae}: settings 'sae'",
            "a batch holds different images",
            found=f"batch_size {settings.batch_size}, {n} readable images",
            allowed=f"at most {n}",
            next_step="lower sae.batch_size, or train on more images",
        )
    if settings.precision == "bf16" and device == "cpu" and not knows_bf16():
        log.warning(
            "this CPU has no bfloat16 instructions, so that bf16 is slower than float32 here; "
            "write sae: {precision: fp32} for this variant"
        )
    if n * k < _FEW_FIRINGS * m:
        log.warning(
            "m = %d latents are many for %d images: each fires on %.1f of them on average, and many stay "
            "dead or fire too rarely for a name; lower sae.m to about %d",
            m, n, n * k / m, max(k, n * k // _FEW_FIRINGS),
        )  # fmt: skip


def _start(settings: SaeTraining, data: Data, device: str, begin: Adapt | None = None) -> State:
    """Random unit decoder rows, the encoder equal to them, b the mean of the data."""
    m, d = settings.m, data.x.shape[1]
    decoder = torch.from_numpy(random_rows(m, d, settings.seed)).to(device)
    bias = torch.from_numpy(data.mean).to(device)
    parameters: Parameters | Thresholded = Parameters(
        decoder.clone(), torch.zeros(m, device=device), decoder, bias
    )
    parameters = begin(parameters, data, settings) if begin else parameters
    optimiser = torch.optim.AdamW(
        list(parameters),
        lr=settings.lr,
        betas=(0.9, settings.beta2),
        eps=settings.adam_eps,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    return State(parameters, optimiser, torch.zeros(m, dtype=torch.int64, device=device), [])


def _restore(state: State, checkpoint: Path, device: str) -> None:
    """Put a checkpoint's values into a fresh state."""
    saved = torch.load(checkpoint, map_location=device, weights_only=True)
    for tensor, value in zip(state.parameters, saved["parameters"], strict=True):
        tensor.copy_(value)
    state.optimiser.load_state_dict(saved["optimiser"])
    state.silent_for.copy_(saved["silent_for"])
    state.history.extend(saved["history"].tolist())
    log.info("going on after step %d", len(state.history))


def _save(state: State, checkpoint: Path) -> None:
    record = {
        "parameters": list(state.parameters),
        "optimiser": state.optimiser.state_dict(),
        "silent_for": state.silent_for,
        "history": torch.tensor(state.history, dtype=torch.float64),
    }
    with atomic(checkpoint) as temporary:
        torch.save(record, temporary)


def _train(
    step: OneStep, state: State, data: Data, settings: SaeTraining, checkpoint: Path, checkpoint_every: float
) -> None:
    """All steps that the state has not yet made."""
    size, done, total = settings.batch_size, len(state.history), steps(settings, len(data.x))
    per_epoch = total // settings.epochs
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    buffer = torch.empty(size, settings.m, dtype=dtype, device=state.parameters.bias.device)
    began, first = time.monotonic(), done
    saved = logged = began
    for epoch in range(done // per_epoch, settings.epochs):
        order = np.random.default_rng([settings.seed, 1 + epoch]).permutation(len(data.x))
        for batch in range(done % per_epoch, per_epoch):
            rows = data.x[order[batch * size : (batch + 1) * size]]
            values = _one_step(step, state, torch.from_numpy(rows), data, settings, epoch, buffer)
            state.history.append([done, epoch, rate(settings, epoch), *values])
            done, now = done + 1, time.monotonic()
            advance(done, total, "steps")
            if now - logged >= _LOG_SECONDS or done == total:
                _report(state.history[-1], total, (now - began) / (done - first))
                logged = now
            if now - saved >= checkpoint_every:
                _save(state, checkpoint)
                saved = time.monotonic()


def _one_step(
    step: OneStep, state: State, rows: Tensor, data: Data, settings: SaeTraining, epoch: int, buffer: Tensor
) -> list[float]:
    """Learn from one batch. Returns loss, direction, scale, auxiliary, explained variance and dead count."""
    dead_after = settings.dead_after or drawn(settings, len(data.x))
    dead = (state.silent_for > dead_after).nonzero()[:, 0]
    aims = Objective(settings.k, data.power, settings.scale_weight, settings.aux_weight, settings.aux_k)
    found = step(state.parameters, rows.to(state.parameters.bias), aims, dead, buffer)
    *terms, error = torch.stack([*found.loss, found.error]).tolist()
    if not math.isfinite(terms[0]):
        raise RelianceError(
            "settings 'sae.lr'",
            "the loss stays finite",
            found=f"{terms[0]} at step {len(state.history)} with lr = {settings.lr:g}",
            allowed="a finite loss",
            next_step="the learning rate is too large: lower sae.lr, or set sae.grad_clip",
        )
    for group in state.optimiser.param_groups:
        group["lr"] = rate(settings, epoch)
    update(state.parameters, state.optimiser, found, settings.grad_clip)
    state.silent_for.add_(len(rows)).masked_fill_(found.fired, 0)
    return [*terms, 1 - error / max(data.variance, 1e-30), float(len(dead))]


def _report(row: list[float], total: int, seconds: float) -> None:
    left = (total - row[0] - 1) * seconds / 60
    log.info(
        "step %d of %d, epoch %d, loss %.4f, explained variance %.3f, dead %d, %.3f s a step, %.0f min left",
        row[0] + 1, total, row[1] + 1, row[3], row[7], row[8], seconds, left,
    )  # fmt: skip


def _write_quality(
    path: Path, encoder: Encoder, state: State, k: int, data: Data, held: Embeddings | None, sae_id: str
) -> None:
    """Reconstruction of the held-out split, or else of the training data, as JSON.

    A "held-out" split that is among the training data is called training data.
    """
    if held is None:
        starts = range(0, len(data.x), _EVALUATED_ROWS)
        blocks = (torch.from_numpy(data.x[s : s + _EVALUATED_ROWS]) for s in starts)
    else:
        blocks = (torch.from_numpy(x) for x in readable_blocks(held, _EVALUATED_ROWS))
    try:
        found = measure_quality(Applied(encoder, state.parameters, k), blocks)
    except ValueError as error:
        raise RelianceError(
            held.path if held else path,
            "an SAE is evaluated on at least two different images",
            found=error,
            allowed="a split with readable images",
            next_step="give a split with more images",
        ) from error
    learned = held is None or held.stamp.id in data.inputs.values()
    found["data"] = "train" if learned else "held_out"
    inputs = {"sae": sae_id} | ({"held_out": held.stamp.id} if held else {})
    write_json(path, found, derived_stamp(QUALITY_KIND, QUALITY_SCHEMA, {}, inputs))
