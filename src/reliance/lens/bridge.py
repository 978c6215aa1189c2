"""Stage `lens_bridge`: which heads and which neurons write a latent.

For a latent with encoder row E_j, what head (l, h) adds to it before its activation is E_j . o_lh, and what
neuron n of a block adds is through later heads sum_k c_nk E_j . V_nk, and directly p_n(0) E_j . w_n; V_nk is
the way to x behind the last block. Listed is the mean on the latent's strongest images less the mean over
evenly spaced training images, of the heads and neurons with the largest. LayerNorms and attention are as
recorded: it says what writes a latent, not what would happen without it.

Heads are named by words that span what they write into the embedding: greedily the centred text along which
most of what is left varies (text span).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.encoders.model import Clip, load_model
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.lens.decompose import scale_to_unit
from reliance.lens.effects import coefficients
from reliance.lens.heads import class_token_heads
from reliance.lens.paths import last_map, neuron_paths, writes
from reliance.lens.record import Recording, Wanted, blocks_of, place_in, recording
from reliance.lens.store import sampled
from reliance.lens.words import dictionary
from reliance.naming.names import read_vocabulary
from reliance.tails.remaining import pixels_of
from reliance.units.sae.files import Sae, load_sae

BRIDGE = TableSpec(
    "lens_bridge",
    1,
    (
        ("component", "int32"),
        ("kind", "string"),  # head | neuron
        ("block", "int32"),
        ("unit", "int32"),  # head or neuron of the block
        ("contribution", "float32"),  # to the latent before its activation, above the mean image
        ("share", "float32"),  # of the latent's own rise above the mean image
    ),
)
HEADS = TableSpec(
    "lens_heads",
    1,
    (("block", "int32"), ("head", "int32"), ("words", "string"), ("explained", "float32")),
)
KEPT, IMAGES, REFERENCE, SPANNED = 10, 5, 512, 5
_BATCH = 32


class Files(NamedTuple):
    """What latents and words are read from."""

    sae: Path
    top_samples: Path
    vocabulary: Path  # the encoder's own text vectors
    weights: Path


class Means(NamedTuple):
    """Means over images."""

    x: torch.Tensor  # [d]
    heads: torch.Tensor  # o [L, H, d]
    through: dict[int, torch.Tensor]  # c of x [N, K] by block
    direct: dict[int, torch.Tensor]  # p of the class token [N] by block


def lens_bridge(
    *,
    files: Files,
    index: Path,
    reading: Reading,
    bridge: Path,
    heads: Path,
    blocks: Sequence[int],
    most: int = 400,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Write heads and neurons of latents as BRIDGE, and words of heads as HEADS.

    blocks : whose neurons. most : latents, those with the largest activations first.
    Raises RelianceError for an SAE that is not of the class token, or of other weights.
    """
    torch.set_num_threads(threads)
    clip = load_model(files.weights, device)
    sae, stamp = load_sae(files.sae)
    check_same("weights", (files.sae, stamp.inputs["encoder"]), (files.weights, clip.stamp.id))
    check_linear(files.sae, str(stamp.params.get("site", "class_token")), sae)
    top = read_table(files.top_samples, TOP_SAMPLES)
    words, own = read_vocabulary(files.vocabulary)
    places = [place_in(clip, block) for block in blocks]
    listed = read_split(index, "train")
    pixels = pixels_of(listed, reading, clip, threads)
    wanted = Wanted(tuple(places), tuple(range(len(blocks_of(clip)))), streams=True)
    with recording(clip, wanted) as recorder, torch.inference_mode():

        def seen(ids: np.ndarray) -> Recording:
            return recorder.run(pixels(ids))

        reference, outputs = _reference(clip, seen, sampled(len(listed.paths), REFERENCE), places)
        chosen = _chosen(top.frame, most)
        rows = [row for part in chosen for row in _of_latents(clip, seen, reference, sae, part, places)]
    frame = pd.DataFrame(rows, columns=[name for name, _ in BRIDGE.columns])
    ids = {"sae": stamp.id, "top_samples": top.stamp.id, "weights": clip.stamp.id, "index": listed.stamp.id}
    write_table(bridge, frame, BRIDGE, {"blocks": places, "most": most}, ids)
    named = _named(outputs, dictionary(words.vectors), words.names)
    write_table(heads, named, HEADS, {"images": REFERENCE}, {**ids, "vocabulary": own.id})


def check_linear(path: Path, site: str, sae: Sae) -> None:
    """Raise RelianceError unless latents are linear in the class token behind the last block."""
    if site == "class_token" and sae.input_norm is None:
        return
    raise RelianceError(
        path,
        "latents that are taken apart are linear in the class token behind the last block",
        found=f"site {site}{', x normalised first' if sae.input_norm is not None else ''}",
        allowed="an SAE of site class_token that takes x as it is",
        next_step="leave this out for the variant",
    )


def means_of(clip: Clip, found: Recording, places: Sequence[int]) -> Means:
    """Means over the images of a recording."""
    through = {b: coefficients(found, b, unit=False).mean(0) for b in places}
    direct = {b: found.neurons[b][:, 0].float().mean(0) for b in places}
    return Means(found.x.mean(0), class_token_heads(clip, found).mean(0), through, direct)


def _reference(
    clip: Clip, seen: Callable[[np.ndarray], Recording], ids: np.ndarray, places: Sequence[int]
) -> tuple[Means, torch.Tensor]:
    """(means over evenly spaced images, what heads write into z/|z| there [n, L, H, p])."""
    total: Means | None = None
    outputs = []
    for start in range(0, len(ids), _BATCH):
        found = seen(ids[start : start + _BATCH])
        own, weight = means_of(clip, found, places), len(found.x) / len(ids)
        total = _summed(total, own, weight)
        o = class_token_heads(clip, found) @ last_map(clip).T
        outputs.append(o * scale_to_unit(found)[:, None, None, None])
    assert total is not None
    return total, torch.cat(outputs)


def _summed(total: Means | None, own: Means, weight: float) -> Means:
    scaled = Means(
        weight * own.x,
        weight * own.heads,
        {block: weight * c for block, c in own.through.items()},
        {block: weight * p for block, p in own.direct.items()},
    )
    if total is None:
        return scaled
    return Means(
        total.x + scaled.x,
        total.heads + scaled.heads,
        {block: total.through[block] + c for block, c in scaled.through.items()},
        {block: total.direct[block] + p for block, p in scaled.direct.items()},
    )


def _chosen(top: pd.DataFrame, most: int) -> list[pd.DataFrame]:
    """The strongest images of each latent, latents with the largest activations first."""
    strongest = top[top["rank"] == 0].nlargest(most, "activation")["component"]
    groups = dict(list(top[top["rank"] < IMAGES].groupby("component")))
    return [groups[component] for component in strongest]


def _of_latents(
    clip: Clip,
    seen: Callable[[np.ndarray], Recording],
    reference: Means,
    sae: Sae,
    top: pd.DataFrame,
    places: Sequence[int],
) -> list[tuple[object, ...]]:
    """Rows of BRIDGE of one latent."""
    component = int(top["component"].iloc[0])
    e = torch.from_numpy(sae.encoder_weight[component])
    own = means_of(clip, seen(top["image_id"].to_numpy()), places)
    rise = float(e @ (own.x - reference.x))
    heads = (own.heads - reference.heads) @ e  # [L, H]
    found = [(component, "head", *_place(heads, i), float(heads.flatten()[i])) for i in _largest(heads)]
    for block in places:
        ways = neuron_paths(clip, block, after=e[None])[..., 0]  # E . V [N, K]
        neurons = ((own.through[block] - reference.through[block]) * ways).sum(1)
        neurons = neurons + (own.direct[block] - reference.direct[block]) * (writes(clip, block) @ e)
        found += [(component, "neuron", block, i, float(neurons[i])) for i in _largest(neurons)]
    return [(*row, row[-1] / rise if rise else float("nan")) for row in found]


def _largest(values: torch.Tensor) -> list[int]:
    flat = values.flatten().abs()
    return [int(i) for i in flat.topk(min(KEPT, len(flat))).indices]


def _place(values: torch.Tensor, i: int) -> tuple[int, int]:
    return divmod(i, values.shape[1])


def _named(outputs: torch.Tensor, atoms: np.ndarray, names: np.ndarray) -> pd.DataFrame:
    rows = []
    for block in range(outputs.shape[1]):
        for head in range(outputs.shape[2]):
            taken, explained = text_span(outputs[:, block, head].cpu().numpy(), atoms, SPANNED)
            words = ", ".join(str(names[i]) for i in taken)
            rows.append({"block": block, "head": head, "words": words, "explained": explained})
    return pd.DataFrame(rows)


def text_span(outputs: np.ndarray, atoms: np.ndarray, m: int) -> tuple[list[int], float]:
    """(atoms, share of the variance) of up to m texts along which outputs [n, p] vary most, greedily.

    atoms : unit rows [w, p]. What an atom spans is taken out of outputs and of the other atoms.
    """
    left, texts = (outputs - outputs.mean(0)).astype(np.float64), atoms.astype(np.float64)
    whole, taken = float((left * left).sum()), list[int]()
    for _ in range(min(m, *texts.shape)):
        length = np.linalg.norm(texts, axis=1)
        along = texts / np.where(length > 1e-4, length, np.inf)[:, None]
        spread = ((left @ along.T) ** 2).sum(0)
        best = int(spread.argmax())
        if spread[best] <= 1e-9 * max(whole, 1e-30):
            break
        taken.append(best)
        axis = along[best]
        left, texts = left - np.outer(left @ axis, axis), texts - np.outer(texts @ axis, axis)
    return taken, 1 - float((left * left).sum()) / whole if whole else 0.0
