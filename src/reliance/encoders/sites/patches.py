"""Site `block{l}-patches`: the patch tokens after block l of a vision transformer, l from 0, or -2, -3, ...

x is the mean of an image's patches. Beside it lie a few patches of every image, drawn at random once and for
all: what an SAE learns from. The others are not stored; what asks for them runs the model again.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from reliance.encoders.model import Clip
from reliance.encoders.sites.block import tokens_behind, width_behind
from reliance.encoders.sites.site import Sampled, Site
from reliance.encoders.vision import Compute, Share, Store, embed_images_at
from reliance.images.decode import Reading

SEED = 0  # of the draw; the image's row in its split goes in, too


def grid_of(clip: Clip) -> tuple[int, int]:
    """Rows and columns of patches of an image."""
    rows, columns = clip.model.visual.grid_size
    return int(rows), int(columns)


def site_at(block: int, tokens_per_image: int = 1) -> Site:
    """The site behind a block; at most `tokens_per_image` patches of every image are stored."""

    def patches(clip: Clip) -> int:
        rows, columns = grid_of(clip)
        return rows * columns

    def catch(clip: Clip, into: list[torch.Tensor]) -> AbstractContextManager[None]:
        return tokens_behind(clip, block, lambda tokens: tokens[:, 1:], into)

    width, sampled = partial(width_behind, block=block), Sampled(tokens_per_image, patches, drawn)
    return Site(f"block{block}-patches", "x", width, catch, None, sampled)


def drawn(patches: np.ndarray, rows: Sequence[int], count: int) -> dict[str, np.ndarray]:
    """What is stored of the patches [n, P, d] of the images `rows` of a split, by name.

    x [n, d] is their mean, `samples` [n, count, d] are those at `places` uint16 [n, count], in the order of
    the draw, which depends on the row alone.
    """
    chosen = [np.random.default_rng([SEED, row]).permutation(patches.shape[1])[:count] for row in rows]
    places = np.array(chosen, np.int64).reshape(len(rows), count)
    samples = np.take_along_axis(patches, places[:, :, None], axis=1)
    return {"x": patches.mean(1), "samples": samples, "places": places.astype(np.uint16)}


def embed_images(
    *,
    block: int,
    tokens_per_image: int = 8,
    index: Path,
    weights: Path,
    part: Path,
    share: Share,
    reading: Reading,
    store: Store,
    compute: Compute,
    fingerprint: str = "",
    keep: bool = False,
) -> None:
    """Stage: as `embed_images_at`, at the patches after `block`, of which `tokens_per_image` are stored."""
    embed_images_at(
        site=site_at(block, tokens_per_image),
        index=index,
        weights=weights,
        part=part,
        share=share,
        reading=reading,
        store=store,
        compute=compute,
        fingerprint=fingerprint,
        keep=keep,
    )
