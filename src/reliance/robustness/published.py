"""Zero-shot accuracies on ImageNet's validation images that were published, to test downloaded weights by.

A model far below its own published number was loaded wrongly: another activation function, preprocessing or
tokenizer, or classes in another order. Shares of images, top-1. Sources: docs/openclip_results.csv of
open_clip, and for MobileCLIP the card of its checkpoint (apple/MobileCLIP-S2-OpenCLIP).
"""

from collections.abc import Mapping
from typing import Any

PUBLISHED = {
    ("ViT-B-32", "datacomp_m_s128m_b4k"): 0.2972,
    ("ViT-B-32-quickgelu", "laion400m_e32"): 0.6293,
    ("ViT-B-32", "laion2b_s34b_b79k"): 0.6656,
    ("ViT-B-32", "datacomp_xl_s13b_b90k"): 0.6917,
    ("ViT-B-32-quickgelu", "openai"): 0.6332,
    ("ViT-B-16", "openai"): 0.6834,
    ("ViT-B-16", "laion2b_s34b_b88k"): 0.7023,
    ("ViT-B-16", "datacomp_xl_s13b_b90k"): 0.7349,
    ("ViT-L-14", "openai"): 0.7554,
    ("ViT-L-14", "laion2b_s32b_b82k"): 0.7525,
    ("ViT-L-14", "datacomp_xl_s13b_b90k"): 0.7921,
    ("ViT-L-14-336", "openai"): 0.7656,
    ("ViT-H-14", "laion2b_s32b_b79k"): 0.7796,
    ("ViT-g-14", "laion2b_s34b_b88k"): 0.7847,
    ("ViT-bigG-14", "laion2b_s39b_b160k"): 0.8009,
    ("MobileCLIP-S2", "datacompdr"): 0.744,
}
LEAST, ERRORS = 0.03, 3.0  # how far below counts: prompts differ a little; and a rehearsal has few images


def published(architecture: str, tag: str, layout: str) -> float | None:
    """The published share of weights on images of a layout; None where there is none.

    open_clip has the weights of OpenAI under the name with -quickgelu and under the plain one.
    """
    names = (architecture, architecture.removesuffix("-quickgelu"))
    found = (PUBLISHED.get((name, tag.lower().replace("-", "_"))) for name in names)
    return next((share for share in found if share is not None), None) if layout == "imagenet" else None


def best_of(record: Mapping[str, Any]) -> tuple[float, float] | None:
    """The largest top-1 share over sets of prompts with its error; None without labelled images.

    record : what `zero_shot` writes.
    """
    shares = [tuple(found["top1"]) for found in record["prompt_sets"].values()]
    return max((share for share in shares if share[0] is not None), default=None)


def far_below(record: Mapping[str, Any], share: float | None) -> bool:
    """Whether no set of prompts comes near the published share."""
    best = best_of(record)
    if share is None or best is None:
        return False
    return best[0] < share - max(LEAST, ERRORS * best[1])
