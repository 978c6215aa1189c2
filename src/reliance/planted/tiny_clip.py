"""The tiny CLIP: its configuration, a cheaper but equal forward pass, and its optimisers.

Two savings leave the gradients what they are. The last block of the vision tower is evaluated for
the class token only, since nothing else of it is read. And the token table is cut down to the
tokens that occur: an unused row has no gradient, no weight decay, and so never moves.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from reliance.base.openclip import open_clip
from reliance.base.tensors import write_tensors

CONTEXT, BLOCKS = 16, 2
ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": 48,
        "patch_size": 12,
        "width": 96,
        "layers": BLOCKS,
        "head_width": 32,
        "mlp_ratio": 4,
    },
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    "quick_gelu": False,
}
MEAN, STD = 0.5, 0.27
PREPROCESS: dict[str, Any] = {
    "size": 48,
    "mean": [MEAN] * 3,
    "std": [STD] * 3,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
MUON_RATE, ADAMW_RATE = 0.02, 2e-3
WARM_UP, FLOOR = 0.08, 0.02  # shares of the steps, of the full rate


class Tokens(NamedTuple):
    """Tokenised captions with the tokens that occur renumbered, smallest first."""

    rows: Tensor  # int64 [captions, context]; the end token stays the largest of each row
    used: Tensor  # int64 [tokens]: the original numbers


def architecture(blocks: int = BLOCKS) -> dict[str, Any]:
    """ARCHITECTURE with an image tower of so many blocks."""
    return {**ARCHITECTURE, "vision_cfg": {**ARCHITECTURE["vision_cfg"], "layers": blocks}}


def build(seed: int, blocks: int = BLOCKS) -> Any:
    """An untrained CLIP."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_clip.CLIP(**architecture(blocks))


def tokenize(captions: list[str]) -> Tokens:
    """Tokens of captions, cut to the longest of them."""
    tokens = open_clip.SimpleTokenizer(context_length=CONTEXT)(captions)
    tokens = tokens[:, : int((tokens != 0).sum(1).max())]
    used, rows = torch.unique(tokens, return_inverse=True)
    return Tokens(rows, used)


def keep_tokens(model: Any, used: Tensor) -> Tensor:
    """Cut the token table down to `used`; returns the full table as it was."""
    full: Tensor = model.token_embedding.weight.detach().clone()
    model.token_embedding = nn.Embedding(len(used), full.shape[1], _weight=full[used])
    return full


def full_state(model: Any, table: Tensor, used: Tensor) -> dict[str, Tensor]:
    """The state dict of the model with its whole token table, on the CPU."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    table = table.clone()
    table[used] = state["token_embedding.weight"]
    return {**state, "token_embedding.weight": table}


def encode_images(visual: Any, pixels: Tensor) -> Tensor:
    """Unit image embeddings [n, p] of uint8 pixels [n, 3, 48, 48]; equals visual(normalised pixels)."""
    tokens = visual._embeds((pixels.float() / 255 - MEAN) / STD)
    blocks = visual.transformer.resblocks
    for block in blocks[:-1]:
        tokens = block(tokens)
    last = blocks[-1]
    normed = last.ln_1(tokens)
    seen, _ = last.attn(normed[:, :1], normed, normed, need_weights=False)
    x = tokens[:, 0] + seen[:, 0]
    x = x + last.mlp(last.ln_2(x))
    return functional.normalize(visual.ln_post(x) @ visual.proj, dim=-1)


def encode_texts(model: Any, rows: Tensor) -> Tensor:
    """Unit text embeddings [n, p] of tokens [n, length <= context]; equals model.encode_text."""
    length = rows.shape[1]
    x = model.token_embedding(rows) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    end = functional.one_hot(rows.argmax(1), length).to(x.dtype)
    return functional.normalize((x * end[:, :, None]).sum(1) @ model.text_projection, dim=-1)


def contrastive_loss(
    model: Any, pixels: Tensor, rows: Tensor, which: Tensor, misfits: int = 0
) -> tuple[Tensor, Tensor]:
    """(symmetric cross-entropy, share of pictures matched to their own caption).

    rows : tokens of the batch's different captions, the last `misfits` of them of captions that fit no
    picture; which [n] : the caption of each picture.
    Pictures that share a caption still count as each other's negatives.
    """
    images, texts = encode_images(model.visual, pixels), encode_texts(model, rows)
    first = len(rows) - misfits
    # one-hot product rather than indexing: its gradient adds up in a fixed order
    own = functional.one_hot(which, first).to(texts.dtype) @ texts[:first]
    logits = model.logit_scale.exp() * images @ torch.cat([own, texts[first:]]).T
    target = torch.arange(len(pixels), device=logits.device)
    backward = logits[:, : len(pixels)].T
    loss = (functional.cross_entropy(logits, target) + functional.cross_entropy(backward, target)) / 2
    return loss, (logits.argmax(1) == target).float().mean()


def optimisers(model: Any) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices of attention and MLP, AdamW for everything else."""
    hidden, matrices, others = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and ("mlp" in name or "attn" in name):
            hidden.append(parameter)
        elif parameter.ndim < 2 or "embedding" in name:
            others.append(parameter)
        else:
            matrices.append(parameter)
    muon = torch.optim.Muon(hidden, MUON_RATE, weight_decay=0.05, momentum=0.9, ns_steps=4)
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return muon, torch.optim.AdamW(groups, ADAMW_RATE, betas=(0.9, 0.98), fused=True)


def rate(step: int, steps: int) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine down to FLOOR."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))


def write_checkpoint(
    path: Path, state: dict[str, Tensor], metadata: dict[str, str], blocks: int = BLOCKS
) -> None:
    """A safetensors file with the architecture and preprocessing in its metadata, equal bytes every time."""
    said = {"architecture": architecture(blocks), "preprocess": PREPROCESS}
    extra = {**{name: json.dumps(value) for name, value in said.items()}, **metadata}
    write_tensors(path, {name: tensor.detach().numpy() for name, tensor in state.items()}, extra)
