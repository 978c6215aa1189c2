"""Gathers what the suggestion of a kind looks at: mean scores of classes and distractors, and labels.

A mean of y over images is the mean of their unit embeddings times the text vector, so one pass over
the images of all cases and their classes serves every prompt.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.encoders.stored import Embeddings
from reliance.encoders.text import WRITTEN
from reliance.failures.kinds import Evidence
from reliance.failures.neighbours import Centre, Main, class_centres, main_class
from reliance.failures.selection import Case
from reliance.failures.sources import EncoderSide, LabellerSide


class Groups(NamedTuple):
    """Groups of images, each scored by one prompt."""

    mean: np.ndarray  # mean unit embedding, float64 [G, p]
    std: np.ndarray  # standard deviation (ddof=1) of y for the group's prompt, nan for one image [G]


def gather_evidence(
    cases: Sequence[Case], encoder: EncoderSide, labeller: LabellerSide, top_n: int, block_rows: int
) -> list[Evidence]:
    """The evidence of every case, in order; `top_n` images stand for a component (Eq. 2)."""
    classes = sorted({case.class_id for case in cases})
    owners = [case.class_id for case in cases] + classes
    images = [case.images for case in cases] + [encoder.class_images[c] for c in classes]
    text = np.array([encoder.texts.short[c] for c in owners])
    groups = group_scores(encoder.embeddings, images, text, block_rows)
    row = {c: len(cases) + i for i, c in enumerate(classes)}
    components = sorted({case.component for case in cases})
    strongest = strongest_means(labeller.embeddings, labeller.top_samples, components, top_n)
    vectors = {
        p[0]: t for p, t in zip(*(labeller.vocabulary[c] for c in ("prompts", "embedding")), strict=True)
    }
    mains = [main_class(case.images, encoder.labels, encoder.class_images) for case in cases]
    near = sorted({*classes, *(main.class_id for main in mains)} - {-1})
    centres = class_centres(labeller.embeddings, encoder.class_images, near, block_rows)
    found = []
    for case, main, distractors in zip(cases, mains, groups.mean, strict=False):
        c = case.class_id
        short, full, own = encoder.texts.short[c], encoder.texts.full[c], groups.mean[row[c]]
        word = best_word(encoder.texts.words.get(c, ()), distractors)
        mean, label = strongest.get(case.component), labeller.labels.get(case.component)
        found.append(
            Evidence(
                written=cosine(mean, vectors.get(WRITTEN.format(labeller.short_names[c]))),
                named=cosine(mean, vectors.get(label) if label else None),
                one_word=np.nan if word is None else float(word @ distractors),
                one_word_class=np.nan if word is None else float(word @ own),
                distractors_short=float(short @ distractors),
                distractors_full=float(full @ distractors),
                class_short=float(short @ own),
                class_full=float(full @ own),
                class_std=float(groups.std[row[c]]),
                main_share=main.share,
                main_flagged=main.flagged,
                centres=centre_cosine(centres, main, c),
                usual=centres[c].usual if c in centres else np.nan,
                strongest=cosine(mean, centres[c].mean if c in centres else None),
            )
        )
    return found


def best_word(words: Sequence[np.ndarray] | np.ndarray, distractors: np.ndarray) -> np.ndarray | None:
    """Of the text vectors [p] of words the one with the highest mean y on distractors; None without any."""
    return max(words, key=lambda w: float(w @ distractors), default=None)


def group_scores(
    embeddings: Embeddings, groups: Sequence[np.ndarray], text: np.ndarray, block_rows: int
) -> Groups:
    """Mean embedding of each group of image_ids, and the spread of its y for text[group] [G, p].

    Reads each block of the split once; groups may overlap, and all their images are readable.
    """
    row = np.concatenate([np.zeros(0, np.int64), *groups])
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    order = np.argsort(row, kind="stable")
    row, group = row[order], group[order]
    total, y = np.zeros((len(groups), embeddings.width)), np.zeros(len(row))
    for start, stop in embeddings.blocks(block_rows):
        low, high = np.searchsorted(row, (start, stop))
        if low < high:
            here, members = np.unique(row[low:high], return_inverse=True)
            z = embeddings.z(start, stop)[here - start]
            unit = (z / np.linalg.norm(z, axis=1, keepdims=True))[members]
            np.add.at(total, group[low:high], unit)
            y[low:high] = (unit * text[group[low:high]]).sum(1)
    count = np.array([len(g) for g in groups])
    spread = pd.Series(y).groupby(group).std(ddof=1).reindex(range(len(groups))).to_numpy()
    return Groups(total / count[:, None], spread)


def strongest_means(
    labels: Embeddings, top_samples: pd.DataFrame, components: Sequence[int], top_n: int
) -> dict[int, np.ndarray]:
    """Mean labeller embedding [p] of the `top_n` strongest images of each component (Eq. 2).

    top_samples : TOP_SAMPLES. Unreadable images, and components without readable ones, are left out.
    """
    wanted = top_samples["component"].isin(components) & (top_samples["rank"] < top_n)
    chosen = top_samples.loc[wanted, ["component", "image_id"]]
    chosen = chosen[labels.read("valid")[chosen["image_id"]]]
    rows, place = np.unique(chosen["image_id"].to_numpy(np.int64), return_inverse=True)
    vectors = labels.z_of(rows)
    groups = pd.Series(place).groupby(chosen["component"].to_numpy())
    return {int(str(component)): vectors[where].mean(0) for component, where in groups}


def centre_cosine(centres: Mapping[int, Centre], main: Main, class_id: int) -> float:
    """Cosine of the centres of a case's class and of its distractors' main class, nan if one is missing."""
    if class_id not in centres or main.class_id not in centres:
        return float("nan")
    return float(centres[class_id].mean @ centres[main.class_id].mean)


def cosine(first: np.ndarray | None, second: np.ndarray | None) -> float:
    """Cosine of two vectors, nan if one is missing."""
    if first is None or second is None:
        return float("nan")
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
