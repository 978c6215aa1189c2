"""What the active units of one image add to the outputs of some prompts: arrays in, arrays out.

The closed form of `tails.head` for one image: only the rows of V that are active are looked at, so that it
costs the same whatever m is. All numbers are those of the tables of the pipeline, to rounding.
"""

from typing import NamedTuple

import numpy as np

from reliance.encoders.head import Head, project


class Seen(NamedTuple):
    """An image as the units see it."""

    x: np.ndarray  # float32 [d], at the variant's site
    component: np.ndarray  # active units, int64 [k]
    activation: np.ndarray  # float32 [k]


class Relevances(NamedTuple):
    """What is asked of one image and C prompts."""

    y: np.ndarray  # cosine of the image with each prompt (Eq. 4), float64 [C]
    act_x_grad: np.ndarray  # Eq. 5, right side, float32 [C, k]
    ablation: np.ndarray  # Eq. 5, left side, exact, float32 [C, k]
    without: np.ndarray  # y with all active units at 0: of error and biases alone, float64 [C]
    bias: np.ndarray  # y with the error left out, too: of the offset b alone, float64 [C]


def relevances(
    seen: Seen, directions: np.ndarray, offset: np.ndarray, head: Head, text: np.ndarray
) -> Relevances:
    """Relevance of the active units of an image for prompts `text` [C, p].

    directions [k, d] are those of its active units in their order, offset [d] the b of x = aV + b + error.
    """
    import torch

    from reliance.tails.head import (
        FORMS,
        image_terms,
        latent_tables,
        outputs,
        pair_relevance,
        prompt_tables,
    )

    text = np.atleast_2d(np.asarray(text, np.float32))
    count, k = len(text), len(seen.component)
    rows, classes = torch.zeros(count, dtype=torch.int64), torch.arange(count)
    places = np.arange(max(k, 1))[None]  # an image without an active unit has one that adds nothing
    v = directions if k else np.zeros((1, len(seen.x)), np.float32)
    values = seen.activation[None] if k else np.zeros((1, 1), np.float32)
    tables = latent_tables(v, head)
    terms, prompts = image_terms(tables, seen.x[None], values, places), prompt_tables(tables, text)
    y = outputs(terms, prompts)[0]
    forms = {
        name: pair_relevance(form(tables, terms), terms.indices, prompts, rows, classes, y).numpy()[:, :k]
        for name, form in FORMS.items()
    }
    left = seen.x.astype(np.float64) - seen.activation.astype(np.float64) @ directions.astype(np.float64)
    alone = [cosines(x, head, text) for x in (left, offset.astype(np.float64))]
    return Relevances(y.numpy().astype(np.float64), **forms, without=alone[0], bias=alone[1])


def cosines(x: np.ndarray, head: Head, text: np.ndarray) -> np.ndarray:
    """y (Eq. 4) of one site vector [d] and text vectors [C, p], float64 [C]; 0 where the embedding is 0."""
    z = project(x[None].astype(np.float64), head)[0]
    unit = text.astype(np.float64) / np.linalg.norm(text.astype(np.float64), axis=1, keepdims=True)
    length = float(np.linalg.norm(z))
    found: np.ndarray = unit @ z / length if length > 0 else np.zeros(len(text))
    return found
