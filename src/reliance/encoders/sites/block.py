"""Site `block{l}`: the class token after block l of a vision transformer, l from 0, or -2, -3, ... .

Whole blocks follow, so there is no head: z is the model's own, and what asks for the rest of the model runs
it (tails/network.py). The other tokens are not stored.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from reliance.base.errors import RelianceError
from reliance.encoders.model import Clip
from reliance.encoders.sites.class_token import behind
from reliance.encoders.sites.site import Site
from reliance.encoders.vision import Compute, Share, Store, embed_images_at
from reliance.images.decode import Reading


def place_of(clip: Clip, block: int) -> int:
    """The block's place from the start. Raises RelianceError if there is no such block before the last."""
    behind(clip)
    blocks: Any = getattr(getattr(clip.model.visual, "transformer", None), "resblocks", ())
    place = block if block >= 0 else len(blocks) + block
    if 0 <= place < len(blocks) - 1:
        return place
    raise RelianceError(
        f"encoders.{clip.weights.encoder}: site {{block: {block}}}",
        "a class token is read after a block that has another one behind it",
        found=f"{len(blocks)} blocks in {clip.weights.architecture}",
        allowed=f"block 0 to {len(blocks) - 2}, or -{len(blocks)} to -2",
        next_step="choose such a block; behind the last one, write site: class_token",
    )


@contextmanager
def tokens_behind(
    clip: Clip, block: int, keep: Callable[[torch.Tensor], torch.Tensor], into: list[torch.Tensor]
) -> Iterator[None]:
    """While it is open, a forward pass appends what `keep` makes of the tokens [n, T, d] after a block."""

    def append(_module: object, _arguments: object, tokens: torch.Tensor) -> None:
        into.append(keep(tokens))

    blocks: Any = clip.model.visual.transformer.resblocks
    handle = blocks[place_of(clip, block)].register_forward_hook(append)
    try:
        yield
    finally:
        handle.remove()


def width_behind(clip: Clip, block: int) -> int:
    """The width d of the tokens after a block, of which there must be one."""
    place_of(clip, block)
    return int(behind(clip)[1].shape[0])


def site_at(block: int) -> Site:
    """The site behind a block."""

    def catch(clip: Clip, into: list[torch.Tensor]) -> AbstractContextManager[None]:
        return tokens_behind(clip, block, lambda tokens: tokens[:, 0], into)

    return Site(f"block{block}", "x", partial(width_behind, block=block), catch, None)


def embed_images(
    *,
    block: int,
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
    """Stage: as `embed_images_at`, at the class token after `block`."""
    embed_images_at(
        site=site_at(block),
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
