"""A unit on one card: what it looks like, what it is called, how it fires, what it drives, what is near."""

from typing import NamedTuple

import numpy as np

from reliance.base.errors import RelianceError
from reliance.codes.store import codes_at
from reliance.explore.briefs import Brief, Served, briefs, served_by, strongest_of
from reliance.explore.elsewhere import Elsewhere, elsewhere
from reliance.explore.indexing import BINS
from reliance.explore.shelf import Shelf
from reliance.naming.names import Vocabulary

POOLING = ("max", "mean")
MOST = 10  # classes, names, neighbours and words that a card has


class Name(NamedTuple):
    """A name and how well it fits (Eq. 2), or a word and how much it pushes."""

    text: str
    score: float


class Near(NamedTuple):
    """Another unit that is near."""

    component: int
    name: str
    score: float  # cosine of the decoder directions, or share of the strongest images on which it fires, too
    usual: float  # share of all images on which it fires


class Unit(NamedTuple):
    """A unit of a variant; lists are empty where what they need was not built, see `notes`."""

    variant: str
    split: str  # that examples are of
    about: Brief
    examples: list[tuple[int, float]]  # image_id and activation, the strongest first
    names: list[Name]  # of the vocabulary, the best first
    histogram: list[int]  # images per bin of activation, of train
    edges: list[float]  # of the bins
    drives: list[Served]
    along: list[Near]  # units with a decoder direction like its own
    beside: list[Near]  # units that fire on its strongest images
    words: list[Name]  # whose text vector it pushes y towards: B_j . t per unit of activation
    against: list[Name]  # those that it pushes y away from
    notes: list[str]
    elsewhere: list[Elsewhere] = []  # noqa: RUF012 - in other variants, where units were matched


def unit(
    shelf: Shelf, component: int, examples: int = 20, split: str = "train", pooling: str | None = None
) -> Unit:
    """The card of a unit.

    split : of the examples; those of train are stored, elsewhere the codes are read once through.
    pooling : "max" or "mean" over the tokens of an image, as the variant's codes are, which None takes; the
        same where x is one vector per image.
    Raises RelianceError for a number that is no component's.
    """
    own = shelf.codes("train").stamp.params["pooling"] if shelf.patches else pooling
    if pooling is not None and (pooling not in POOLING or pooling != own):
        raise RelianceError(
            "pooling",
            "activations of an image's tokens are pooled in a way that is known",
            found=pooling,
            allowed=", ".join(POOLING) if pooling not in POOLING else f"{own}, as the variant's codes are",
            next_step="choose one of them",
        )
    about = briefs(shelf, [component], examples)[component]
    shown = strongest_of(shelf, [component], examples).get(component, [])
    if split != "train":
        shown = strongest_on(shelf, component, split, examples)
    histogram, edges = _histogram(shelf, component)
    words = pushed(shelf, component) if shelf.has("words") and shelf.can_have("head") else []
    command = shelf.missing("views", "served", "words")
    return Unit(
        shelf.variant,
        split,
        about,
        shown,
        names_of(shelf, component, MOST) if shelf.has("views") and shelf.has("vocabulary") else [],
        histogram,
        edges,
        served_by(shelf, [component], MOST).get(component, []),
        directions_near(shelf, component),
        firing_beside(shelf, component),
        words[:MOST],
        words[: -MOST - 1 : -1],
        [f"more is said once this has run: {command}"] if command else [],
        elsewhere(shelf, component),
    )


def names_of(shelf: Shelf, component: int, most: int) -> list[Name]:
    """The names of the vocabulary that fit best, with s_j(t) (Eq. 2); none for a unit without a name."""
    mean = shelf.views.mean[component].astype(np.float64)
    if not mean.any():
        return []
    return _best(shelf.names, mean / np.linalg.norm(mean), most)


def _best(names: Vocabulary, unit_vector: np.ndarray, most: int) -> list[Name]:
    scores = names.vectors @ unit_vector.astype(np.float32) - float(names.empty @ unit_vector)
    order = np.argsort(-scores, kind="stable")[:most]
    return [Name(str(names.names[i]), float(scores[i])) for i in order]


def pushed(shelf: Shelf, component: int) -> list[Name]:
    """Words by B_j . t, the numerator of how one unit of activation moves y; the most pushed first.

    What all words have in common is taken off: the value of the empty prompt.
    """
    head, v = shelf.head, shelf.sae.decoder_weight[component]
    centred = v - v.mean() if head.normed else v
    lens = (centred * head.ln_weight) @ head.proj
    scores = (shelf.words.vectors - shelf.words.empty) @ lens
    order = np.argsort(-scores, kind="stable")
    return [Name(str(shelf.words.names[i]), float(scores[i])) for i in order]


def directions_near(shelf: Shelf, component: int, most: int = MOST) -> list[Near]:
    """Units whose decoder directions have the largest cosine with that of a unit."""
    decoder = shelf.sae.decoder_weight
    cosine = decoder @ decoder[component]
    cosine[component] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(most, len(cosine) - 1)]
    return [_near(shelf, int(i), float(cosine[i])) for i in order]


def firing_beside(shelf: Shelf, component: int, most: int = MOST) -> list[Near]:
    """Units that fire on the strongest images of a unit more often than usual.

    Looked up in the codes of the stored strongest images of train; ordered by how far the share of these
    images is above the share of all images, and by the share.
    """
    if not shelf.has("codes", "train"):
        return []
    images = np.sort(
        [image_id for image_id, _ in strongest_of(shelf, [component], 1 << 30).get(component, [])]
    )
    if not len(images):
        return []
    values, indices = codes_at(shelf.codes("train"), images)
    count = np.bincount(indices[values > 0], minlength=len(shelf.components))
    count[component] = 0
    share = count / len(images)
    usual = shelf.components["firing_rate"].to_numpy(np.float64)
    order = np.lexsort((np.arange(len(share)), -share, -(share - usual)))
    return [_near(shelf, int(i), float(share[i])) for i in order[:most] if count[i] > 1]


def strongest_on(shelf: Shelf, component: int, split: str, most: int) -> list[tuple[int, float]]:
    """The strongest images of a unit on any split, found in its codes."""
    codes = shelf.codes(split)
    kept: list[tuple[float, int]] = []
    for start, stop in codes.blocks(65536):
        values, indices = codes.block(start, stop)
        own = np.where(indices == component, values, 0).max(1)
        best = np.argsort(-own, kind="stable")[:most]
        kept += [(-float(own[i]), start + int(i)) for i in best if own[i] > 0]
        kept = sorted(kept)[:most]
    return [(image_id, -value) for value, image_id in kept]


def _histogram(shelf: Shelf, component: int) -> tuple[list[int], list[float]]:
    if not shelf.has("views"):
        return [], []
    views = shelf.views
    top = float(views.strongest[component])
    return views.histogram[component].tolist(), [top * i / BINS for i in range(BINS + 1)]


def _near(shelf: Shelf, component: int, score: float) -> Near:
    row = shelf.components.iloc[component]
    return Near(component, str(row["name"]), score, float(row["firing_rate"]))
