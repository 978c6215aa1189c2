"""What a site is, what an embedding job stores there, and the head that follows it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reliance.base.errors import RelianceError
from reliance.base.rows import Layout
from reliance.encoders.head import Head, project, save_head
from reliance.encoders.model import Clip, load_model

_FEWEST = 4  # rows that are projected at a time: a product with one row may round differently


@dataclass(frozen=True)
class Sampled:
    """What is stored of tokens that are too many to be kept."""

    most: int  # tokens per image
    of: Callable[[Clip], int]  # P, tokens that an image has
    take: Callable[[np.ndarray, Sequence[int], int], dict[str, np.ndarray]]
    # (tokens [n, P, d], rows in the split, count) -> x, samples, places; see `patches.drawn`

    def count(self, clip: Clip) -> int:
        """Tokens that are stored of an image."""
        return min(self.most, self.of(clip))


@dataclass(frozen=True)
class Site:
    """A place in an encoder. No NamedTuple: an entry point fixes it, no job's keywords are packed into it."""

    name: str  # as in the configuration, in paths and in stamps
    array: str  # that holds x: "x", or "embedding" where x is z
    width: Callable[[Clip], int]  # d of x; raises RelianceError for an encoder without this place
    catch: Callable[[Clip, list[torch.Tensor]], AbstractContextManager[None]] | None
    # while it is open, every forward pass appends x [n, d]; None: x is what `encode_image` returns
    head: Callable[[Clip], Head] | None  # z = head(x) in closed form; None: the model itself gives z
    sampled: Sampled | None = None  # of a site with many tokens: what is appended is [n, P, d]


def embedding_width(clip: Clip) -> int:
    """p of a model."""
    return int(clip.weights.config["embed_dim"])


def layouts(site: Site, clip: Clip, dtype: str) -> dict[str, Layout]:
    """The arrays of a store by name: x in its dtype, z beside it as float32, and which images are valid."""
    x = {site.array: Layout((site.width(clip),), dtype)}
    z = {"embedding": Layout((embedding_width(clip),), "float32")}
    some = {}
    if site.sampled:
        count = site.sampled.count(clip)
        some = {"samples": Layout((count, site.width(clip)), dtype), "places": Layout((count,), "uint16")}
    return {**z, **x, **some, "valid": Layout((), "bool")}


def image_embeddings(x: np.ndarray, head: Head, valid: np.ndarray) -> np.ndarray:
    """z float32 [n, p] of x [n, d] in the dtype of the store; zeros where `valid` [n] is False.

    It is what the head makes of the *stored* x, not the model's own output: deletions, attributions and
    curves start from the stored x, and their y must be that of the probes, scores and labels read from z.
    Rows do not depend on how many are projected at once, from _FEWEST on (as measured with OpenBLAS).
    """
    short = max(0, _FEWEST - len(x))
    z = project(np.concatenate([x, np.zeros((short, x.shape[1]), x.dtype)]), head)[: len(x)]
    return np.where(valid[:, None], z, np.float32(0))


def export_head_at(*, site: Site, weights: Path, head: Path) -> None:
    """Stage: write the head of x at a site of an encoder.

    weights : weights.json. head : output.
    Raises RelianceError if the encoder has no such place, or what follows the place has no closed form.
    """
    clip = load_model(weights)
    if site.head is None:
        raise RelianceError(
            head,
            "a head is what follows a site in closed form",
            found=f"site '{site.name}', which whole blocks of the encoder follow",
            allowed="a site with a head",
            next_step="read the encoder at site class_token or embedding",
        )
    save_head(head, site.head(clip), clip.stamp.id, site.name)
