"""Trains a tiny CLIP on captioned pictures of a planted world, a minute or three on one core.

A killed job goes on where it stopped: its progress lies in a hidden folder beside the checkpoint,
keyed by the settings and the code, and the result has the same bits as an uninterrupted run.
"""

import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reliance.base.artifacts import TableSpec, content_stamp, derived_stamp, hash_arrays, write_table
from reliance.base.device import choose_device
from reliance.base.errors import RelianceError
from reliance.base.telling import advance
from reliance.base.writing import atomic, claim, release
from reliance.planted import drawn, tiny_clip

log = logging.getLogger(__name__)

TRAINING = TableSpec(
    "training", 1, (("step", "int64"), ("loss", "float64"), ("accuracy", "float64"), ("rate", "float64"))
)
ORDER, MISFIT = 6, 8  # tags of the random streams
MISFITS = 16  # captions that fit no picture, in each batch of a labeller
LOG_SECONDS = 30.0


class Pool(NamedTuple):
    """The captioned pictures."""

    pixels: Tensor  # uint8 [n, 3, 48, 48]
    caption: Tensor  # int64 [n]: row of `tokens`
    tokens: tiny_clip.Tokens  # of the captions, then of misfits
    misfits: int  # captions that fit no picture, the last rows of `tokens`


class Progress(NamedTuple):
    """Everything a training needs to go on; the order of the pictures follows from the step."""

    model: Any
    muon: torch.optim.Optimizer
    adamw: torch.optim.Optimizer
    history: list[tuple[int, float, float, float]]  # step, loss, accuracy, rate


class Training(NamedTuple):
    """What is learned from, and for how long."""

    seed: int
    steps: int
    captions: str = "ambiguous"  # for the model that is examined; "plain" for the labeller
    pool: int = 120_000  # captioned pictures
    batch_size: int = 128
    blocks: int = tiny_clip.BLOCKS  # of the image tower

    @property
    def recorded(self) -> dict[str, Any]:
        """What a checkpoint says of it; the usual number of blocks is left out, as ever."""
        values = self._asdict()
        return {name: v for name, v in values.items() if name != "blocks" or v != tiny_clip.BLOCKS}


def train_clip(
    *,
    checkpoint: Path,
    halfway: Path,
    history: Path,
    training: Training,
    threads: int = 1,
    device: str = "cpu",
    checkpoint_every: int = 200,
    fingerprint: str = "",
    world: str = "objects",
    **shape: Any,
) -> None:
    """Render the pool, train, and write the weights of the end and of half the steps.

    checkpoint, halfway : safetensors with open_clip's state dict; metadata "architecture" and "preprocess".
    history : parquet TRAINING, a row per 10 steps.
    world, shape : see `drawn.choose`.
    Raises RelianceError if the pool is smaller than a batch or the style unknown.
    """
    _check(training)
    chosen, steps = drawn.choose(world, **shape), training.steps
    settings = {**training.recorded, "threads": threads, "device": device, **chosen.pooled_as}
    torch.set_num_threads(threads)
    target = torch.device(choose_device(device))
    key = {**settings, "fingerprint": fingerprint}
    partial = claim(checkpoint, derived_stamp("training", 1, key, {}).id[:16])
    partial.mkdir(parents=True, exist_ok=True)
    data = make_pool(chosen, training.seed, training.pool, training.captions)
    model = tiny_clip.build(training.seed, training.blocks)
    table = tiny_clip.keep_tokens(model, data.tokens.used)
    model.to(target)
    progress = Progress(model, *tiny_clip.optimisers(model), [])
    half = steps // 2
    start = _restore(partial, progress, half)
    clock = last = time.monotonic()
    for step in range(start, steps):
        if step == half:
            _save_weights(partial / "halfway", model, table, data, {**settings, "step": half})
        _train_step(progress, data, training, step, target)
        advance(step + 1, steps, "steps")
        if (step + 1) % checkpoint_every == 0 and step + 1 < steps:
            _store(partial, progress, step + 1)
        if time.monotonic() - last > LOG_SECONDS:
            last = time.monotonic()
            _report(progress, step + 1, steps, (last - clock) / (step + 1 - start))
    _report(progress, steps, steps, (time.monotonic() - clock) / max(1, steps - start))
    _save_weights(checkpoint, model, table, data, {**settings, "step": steps})
    frame = pd.DataFrame(progress.history, columns=["step", "loss", "accuracy", "rate"])
    write_table(history, frame, TRAINING, settings, {})
    with atomic(halfway) as temporary:  # a copy: whatever is killed from here on can be made again
        shutil.copyfile(partial / "halfway", temporary)
    shutil.rmtree(partial)
    release(checkpoint)


def make_pool(world: drawn.World, seed: int, count: int, style: str) -> Pool:
    """Pictures and tokenised captions of the pool; about 8,000 a second.

    A labeller also learns that words which are written nowhere fit no picture; else every written word
    would look to it like any of them.
    """
    pixels, written = world.pool(seed, count, style)
    texts, caption = np.unique(written, return_inverse=True)
    misfits = world.misfits(style)
    log.info("rendered %d pictures with %d different captions", count, len(texts))
    tokens = tiny_clip.tokenize([*texts.tolist(), *misfits])
    return Pool(torch.from_numpy(pixels), torch.from_numpy(caption), tokens, len(misfits))


def batch_rows(seed: int, step: int, count: int, batch_size: int) -> np.ndarray:
    """Pool rows of one step, int64 [batch]: a new permutation every epoch, its last short batch dropped."""
    epoch, place = divmod(step, count // batch_size)
    order = _permutation(seed, epoch, count)
    return order[place * batch_size : (place + 1) * batch_size]


def misfit_rows(seed: int, step: int, rows: int, misfits: int) -> Tensor:
    """Rows of some of the misfits, the last `misfits` of `rows` captions, for one step."""
    rng = np.random.default_rng([seed, MISFIT, step])
    chosen = rng.choice(misfits, min(MISFITS, misfits), replace=False) if misfits else np.zeros(0, np.int64)
    return torch.from_numpy(rows - misfits + chosen)


_ORDERS: dict[tuple[int, int, int], np.ndarray] = {}


def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    key = (seed, epoch, count)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng([seed, ORDER, epoch]).permutation(count)
    return _ORDERS[key]


def _train_step(progress: Progress, data: Pool, training: Training, step: int, device: torch.device) -> None:
    """One update of both optimisers."""
    seed, steps = training.seed, training.steps
    rows = torch.from_numpy(batch_rows(seed, step, len(data.pixels), training.batch_size))
    different, which = torch.unique(data.caption[rows], return_inverse=True)
    strange = misfit_rows(seed, step, len(data.tokens.rows), data.misfits)
    loss, accuracy = tiny_clip.contrastive_loss(
        progress.model,
        data.pixels[rows].to(device),
        data.tokens.rows[torch.cat([different, strange])].to(device),
        which.to(device),
        len(strange),
    )
    progress.model.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(progress.model.parameters(), 1.0)
    share = tiny_clip.rate(step, steps)
    full = (tiny_clip.MUON_RATE, tiny_clip.ADAMW_RATE)
    for optimiser, full_rate in zip((progress.muon, progress.adamw), full, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = full_rate * share
        optimiser.step()
    with torch.no_grad():
        progress.model.logit_scale.clamp_(max=float(np.log(100)))
    if step % 10 == 0 or step == steps - 1:
        progress.history.append((step, loss.item(), accuracy.item(), share))


def _check(training: Training) -> None:
    if training.captions not in ("ambiguous", "plain"):
        raise RelianceError(
            "captions",
            "captions are written in one of two styles",
            found=training.captions,
            allowed="ambiguous, plain",
            next_step="set `captions` of this encoder in the config",
        )
    if training.pool < training.batch_size:
        raise RelianceError(
            "pool",
            "the pool must fill at least one batch",
            found=f"{training.pool} pictures, batches of {training.batch_size}",
            allowed=f"{training.batch_size} or more",
            next_step="raise `pool` in the config",
        )


def _store(partial: Path, progress: Progress, step: int) -> None:
    """Replace the stored progress in one go."""
    state = {
        "step": step,
        "model": progress.model.state_dict(),
        "muon": progress.muon.state_dict(),
        "adamw": progress.adamw.state_dict(),
        "history": progress.history,
    }
    torch.save(state, partial / "state.tmp")
    os.replace(partial / "state.tmp", partial / "state.pt")


def _restore(partial: Path, progress: Progress, half: int) -> int:
    """Load stored progress, if any; the step to go on with.

    Progress past `half` whose weights of half the steps are lost, as by a kill while the folder was
    being removed, is of no use.
    """
    path = partial / "state.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["step"] > half and not (partial / "halfway").exists():
        return 0
    progress.model.load_state_dict(state["model"])
    progress.muon.load_state_dict(state["muon"])
    progress.adamw.load_state_dict(state["adamw"])
    progress.history.extend(tuple(row) for row in state["history"])
    log.info("going on at step %d", state["step"])
    return int(state["step"])


def _save_weights(path: Path, model: Any, table: Tensor, data: Pool, params: dict[str, Any]) -> None:
    state = tiny_clip.full_state(model, table, data.tokens.used)
    content = hash_arrays({name: value.numpy() for name, value in state.items()})
    stamp = content_stamp("clip", 1, content, params, {})
    blocks = len(model.visual.transformer.resblocks)
    tiny_clip.write_checkpoint(path, state, {"reliance": stamp.to_json()}, blocks)


def _report(progress: Progress, step: int, steps: int, seconds: float) -> None:
    _, loss, accuracy, _ = progress.history[-1]
    text = "step %d of %d, loss %.3f, accuracy %.2f, %.0f ms a step"
    log.info(text, step, steps, loss, accuracy, 1e3 * seconds)
