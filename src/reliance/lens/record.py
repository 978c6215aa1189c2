"""One recorded forward pass of a vision transformer with a class token.

What is kept of each block l: the attention A [n, H, Q, T] of the class token (Q = 1) or of all tokens, the
standard deviation of ln_1, and where asked the activations p [n, T, N] of its MLP's neurons and the streams
themselves. Hooks are there for the pass alone. The model's own kernels do not give attention away, so it is
made again from what enters them: for the class token's row alone that is one product with a vector for each
head, (q_h W_K^h) . LN(x_t), a few percent of a block; the bias of the keys moves all tokens alike and leaves
the softmax as it is.

A recording is only as good as our idea of the block: its kind, its activation function, and that the parts
add up to what the model gave, are checked (T2 and T9 of the lens's tests).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from reliance.base.errors import RelianceError
from reliance.base.openclip import open_clip
from reliance.encoders.model import Clip
from reliance.encoders.sites.class_token import behind
from reliance.encoders.vision import AUTOCAST, cast_weights, normaliser


class Wanted(NamedTuple):
    """What of a pass is kept."""

    neurons: tuple[int, ...] = ()  # blocks whose MLP activations are kept
    attended: tuple[int, ...] = ()  # blocks whose attention and LayerNorm are kept
    all_rows: bool = False  # whether of all tokens or of the class token alone
    streams: bool = False  # whether what enters and leaves the parts of `attended` is kept too


class Attended(NamedTuple):
    """One block."""

    pattern: torch.Tensor  # A float32 [n, H, Q, T], rows sum to 1
    mean: torch.Tensor  # of what enters ln_1, over its d entries, float32 [n, T]
    sd: torch.Tensor  # sqrt(variance + eps) of the same
    x: torch.Tensor | None = None  # what enters the block [n, T, d]
    normed: torch.Tensor | None = None  # ln_1(x)
    attention: torch.Tensor | None = None  # what its attention adds, out bias and scale included
    mlp: torch.Tensor | None = None  # what its MLP adds


class Recording(NamedTuple):
    """What a pass left of n images."""

    blocks: dict[int, Attended]
    neurons: dict[int, torch.Tensor]  # p [n, T, N] in the dtype of the pass, by block
    x: torch.Tensor  # class token that enters ln_post, float32 [n, d]
    mean: torch.Tensor  # of its entries [n]
    sd: torch.Tensor  # sqrt(variance + eps) [n]
    z: torch.Tensor  # image embedding float32 [n, p], not normalised


def blocks_of(clip: Clip) -> list[Any]:
    """The blocks of an image tower, each of the form whose parts add up.

    Raises RelianceError for a tower without class token, or with blocks of another form.
    """
    behind(clip)
    tower: Any = clip.model.visual
    blocks = list(getattr(getattr(tower, "transformer", None), "resblocks", ()))
    strange = [
        type(block).__name__
        for block in blocks
        if type(block) is not open_clip.transformer.ResidualAttentionBlock
    ]
    if not blocks or strange:
        raise RelianceError(
            f"encoders.{clip.weights.encoder}",
            "the lens knows open_clip's usual residual block",
            found=f"{strange[0] if strange else type(tower).__name__} in {clip.weights.architecture}",
            allowed="vision transformers of ResidualAttentionBlock",
            next_step="choose such an encoder, or leave out `lens`",
        )
    check_activation(clip, blocks)
    return blocks


def place_in(clip: Clip, block: int) -> int:
    """A block's place from the start, with at least one block behind it.

    Raises RelianceError if there is no such block.
    """
    count = len(blocks_of(clip))
    place = block if block >= 0 else count + block
    if 0 <= place < count - 1:
        return place
    raise RelianceError(
        f"lens.layers of {clip.weights.encoder}",
        "effects through later attention need a block behind",
        found=f"block {block} of {count} in {clip.weights.architecture}",
        allowed=f"0 to {count - 2}, or -{count} to -2",
        next_step="choose such blocks",
    )


def check_activation(clip: Clip, blocks: list[Any]) -> None:
    """Raise RelianceError unless every MLP has the activation function that is recorded for the weights."""
    grid = torch.linspace(-6, 6, 121, device=clip.device)
    said = clip.weights.quick_gelu
    expected = grid * torch.sigmoid(1.702 * grid) if said else nn.functional.gelu(grid)
    for place, block in enumerate(blocks):
        with torch.inference_mode():
            error = float((block.mlp.gelu(grid) - expected).abs().max())
        if error > 2e-3:  # the two differ by 0.02; the tanh form of GELU by 5e-4
            raise RelianceError(
                f"encoders.{clip.weights.encoder}: block {place}",
                "the MLP's activation function is that of the weights",
                found=f"{type(block.mlp.gelu).__name__}, off by {error:.3f}",
                allowed="QuickGELU" if said else "GELU",
                next_step="correct `architecture`: names with -quickgelu are for weights of OpenAI's kind",
            )


def scale_of(layer_scale: Any, width: int) -> torch.Tensor:
    """gamma [d] of a LayerScale, ones where a block has none."""
    gamma = getattr(layer_scale, "gamma", None)
    return torch.ones(width) if gamma is None else gamma.detach().float().cpu()


def statistics(x: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, sqrt(variance + eps)) over the last axis, float32, as a LayerNorm has them."""
    x = x.float()
    return x.mean(-1), (x.var(-1, unbiased=False) + norm.eps).sqrt()


def attention_of(block: Any, normed: torch.Tensor, all_rows: bool = False) -> torch.Tensor:
    """A float32 [n, H, Q, T] of a block, of ln_1's output [n, T, d]."""
    attn, u = block.attn, normed.float()
    n, tokens, d = u.shape
    heads = attn.num_heads
    width = d // heads
    w, b = attn.in_proj_weight.detach().float(), attn.in_proj_bias.detach().float()
    asked = u if all_rows else u[:, :1]
    q = (asked @ w[:d].T + b[:d]).view(n, -1, heads, width)
    if all_rows:
        k = (u @ w[d : 2 * d].T).view(n, tokens, heads, width)
        scores = torch.einsum("nqhw,nthw->nhqt", q, k)
    else:
        keys = torch.einsum("nqhw,hwd->nhqd", q, w[d : 2 * d].view(heads, width, d))
        scores = keys @ u[:, None].transpose(-1, -2)
    return torch.softmax(scores / width**0.5, dim=-1)


class Recorder:
    """Runs images through a model and hands out what was asked for."""

    def __init__(self, clip: Clip, wanted: Wanted, precision: str) -> None:
        self.clip, self.wanted = clip, wanted
        self.blocks = blocks_of(clip)
        self.norm, self.proj = behind(clip)
        self._kind = AUTOCAST[precision]
        self._normalise = normaliser(clip.weights.preprocess, clip.device)
        self._kept: dict[tuple[str, int], torch.Tensor] = {}
        self._blocks: dict[int, Attended] = {}

    def run(self, pixels: torch.Tensor) -> Recording:
        """Record uint8 pixels [n, 3, h, w]."""
        return self.run_images(self._normalise(pixels))

    def run_images(self, images: torch.Tensor) -> Recording:
        """The same of images as the model takes them, float32 [n, 3, h, w]."""
        self._kept.clear()
        self._blocks.clear()
        kind, device = self._kind, self.clip.device.type
        with torch.inference_mode(), torch.autocast(device, kind, enabled=kind is not None):
            z = self.clip.model.encode_image(images)
        blocks = {place: self._block(place) for place in self.wanted.attended}
        neurons = {place: self._kept["neurons", place] for place in self.wanted.neurons}
        x = self._kept["post", 0].float()
        x = x[:, 0] if x.ndim == 3 else x
        return Recording(blocks, neurons, x, *statistics(x, self.norm), z.float())

    def _block(self, place: int) -> Attended:
        own: dict[str, Any] = {
            name: self._kept.get((name, place)) for name in ("x", "normed", "attention", "mlp")
        }
        return self._blocks[place]._replace(**own)

    def hooks(self) -> Iterator[Any]:
        """Register what keeps things, one handle each."""
        yield self.norm.register_forward_pre_hook(lambda _m, a: self._keep("post", 0, a[0]))
        for place in self.wanted.neurons:
            yield self._after(self.blocks[place].mlp.gelu, "neurons", place)
        for place in self.wanted.attended:
            block = self.blocks[place]
            yield block.ln_1.register_forward_hook(self._attends(place))
            if self.wanted.streams:
                yield self._after(block.ls_1, "attention", place)
                yield self._after(block.ls_2, "mlp", place)

    def _keep(self, name: str, place: int, value: torch.Tensor) -> None:
        self._kept[name, place] = value

    def _after(self, module: nn.Module, name: str, place: int) -> Any:
        return module.register_forward_hook(lambda _m, _a, out: self._keep(name, place, out))

    def _attends(self, place: int) -> Any:
        block = self.blocks[place]

        def seen(_module: object, arguments: tuple[torch.Tensor, ...], normed: torch.Tensor) -> None:
            with torch.autocast(self.clip.device.type, enabled=False):
                pattern = attention_of(block, normed, self.wanted.all_rows)
                self._blocks[place] = Attended(pattern, *statistics(arguments[0], block.ln_1))
            if self.wanted.streams:
                self._keep("x", place, arguments[0])
                self._keep("normed", place, normed)

        return seen


@contextmanager
def recording(clip: Clip, wanted: Wanted, precision: str = "fp32") -> Iterator[Recorder]:
    """A recorder whose hooks are on the model while the context is open, and never after.

    precision : "fp32" | "bf16" | "fp16" (autocast). Raises RelianceError as `blocks_of`.
    """
    recorder = Recorder(clip, wanted, precision)
    with ExitStack() as stack:
        stack.enter_context(cast_weights(clip.model.visual, AUTOCAST[precision]))
        for handle in recorder.hooks():
            stack.callback(handle.remove)
        yield recorder
