"""Site `class_token`: the class token after the last block, before ln_post (the paper's)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter

import torch
from torch import nn

from reliance.base.errors import RelianceError
from reliance.encoders.head import Head
from reliance.encoders.model import Clip
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


def behind(clip: Clip) -> tuple[nn.LayerNorm, torch.Tensor]:
    """The LayerNorm that the class token enters, and the projection [d, p] behind it.

    Raises RelianceError if the encoder's family (see encoders/families) has no such parts.
    """
    parts = clip.weights.parts
    try:
        norm, proj = (attrgetter(parts[name])(clip.model) for name in ("norm", "proj"))
    except (KeyError, AttributeError) as error:
        raise _without(clip, f"{type(clip.model.visual).__name__} without {error.args[0]}") from error
    if isinstance(proj, nn.Linear) and proj.bias is None:
        proj = proj.weight.T
    if not isinstance(norm, nn.LayerNorm) or not isinstance(proj, torch.Tensor):
        raise _without(clip, f"{type(norm).__name__} and {type(proj).__name__} behind the class token")
    return norm, proj


def _without(clip: Clip, found: str) -> RelianceError:
    return RelianceError(
        f"encoders.{clip.weights.encoder}",
        "an encoder that is read at its class token has one, with LayerNorm and a projection behind it",
        found=f"{clip.weights.architecture}, family {clip.weights.family or 'unknown'}: {found}",
        allowed="open_clip's ViT models",
        next_step="choose another model, or read this one at `site: embedding`",
    )


def head_of(clip: Clip) -> Head:
    """ln_post and proj of the image tower. Raises RelianceError if the encoder has no such head."""
    norm, projection = behind(clip)
    weight, bias, proj = (array.cpu().numpy() for array in (norm.weight, norm.bias, projection))
    return Head(weight, bias, proj, norm.eps)


SITE = Site(
    "class_token",
    array="x",
    width=lambda clip: int(behind(clip)[1].shape[0]),
    catch=lambda clip, into: class_tokens(behind(clip)[0], into),
    head=head_of,
)
embed_images = partial(embed_images_at, site=SITE)
export_head = partial(export_head_at, site=SITE)
