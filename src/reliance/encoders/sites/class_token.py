"""Site `class_token`: the class token after the last block, before ln_post (the paper's)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from reliance.encoders.head import Head
from reliance.encoders.model import Clip, class_token_tower
from reliance.encoders.sites.site import Site, export_head_at
from reliance.encoders.vision import embed_images_at


@contextmanager
def class_tokens(ln_post: nn.Module, into: list[torch.Tensor]) -> Iterator[None]:
    """Append the class token that enters `ln_post` to `into` at every forward pass.

    The input is [n, tokens, d], class token first, or already pooled [n, d].
    """

    def keep(_module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        x = arguments[0]
        into.append(x[:, 0] if x.ndim == 3 else x)

    handle = ln_post.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()


def head_of(clip: Clip) -> Head:
    """ln_post and proj of the image tower. Raises RelianceError if the encoder has no such head."""
    tower = class_token_tower(clip.model, clip.weights.encoder)
    norm = tower.ln_post
    weight, bias, proj = (array.cpu().numpy() for array in (norm.weight, norm.bias, tower.proj))
    return Head(weight, bias, proj, norm.eps)


SITE = Site(
    "class_token",
    array="x",
    width=lambda clip: int(class_token_tower(clip.model, clip.weights.encoder).proj.shape[0]),
    catch=lambda clip, into: class_tokens(class_token_tower(clip.model, clip.weights.encoder).ln_post, into),
    head=head_of,
)
embed_images = partial(embed_images_at, site=SITE)
export_head = partial(export_head_at, site=SITE)
