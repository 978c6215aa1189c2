"""Search: units for texts, images for a text or an image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reliance.base.errors import RelianceError
from reliance.explore.briefs import Brief, briefs
from reliance.explore.lookup import images_of
from reliance.explore.model import LABELLER, Models
from reliance.explore.picture import ImageLike, embedding_of
from reliance.explore.prompts import ask
from reliance.explore.shelf import Shelf

_ROWS = 16384  # image embeddings held at a time


class Filters(NamedTuple):
    """Which units a search is for."""

    min_activation: float = 0.0  # mean over its strongest 20 images
    min_clarity: float = -1.0
    max_clarity: float = 1.0


class Hit(NamedTuple):
    """A unit that was found."""

    about: Brief
    alignment: float  # s_j of the text that was asked for, or of its own name (Eq. 2)


class Found(NamedTuple):
    """What was found for one text."""

    text: str  # "": the vocabulary
    hits: list[Hit]
    named: list[Hit]  # those whose own name has the text in it, the best aligned first


class ImageHit(NamedTuple):
    """An image that was found."""

    split: str
    image_id: int
    class_id: int
    class_name: str
    path: str
    score: float  # cosine of its embedding with the text or image


def find_units(
    shelf: Shelf,
    models: Models,
    texts: Sequence[str],
    filters: Filters = Filters(),  # noqa: B008
    *,
    least: bool = False,
    top: int = 10,
    examples: int = 6,
) -> list[Found]:
    """The units whose strongest images look most (or least) like texts to the labeller (Eq. 2).

    An empty text stands for the vocabulary: units by the alignment of their own names.
    """
    vectors = label_vectors(shelf, models, [text for text in texts if text.strip()])
    found = []
    for text in texts:
        given = text.strip()
        scores = alignments(shelf, vectors[given]) if given else _own(shelf)
        order = ranked(shelf, scores, filters, least)
        named = [c for c in ranked(shelf, _own(shelf), filters, False) if given and _has(shelf, c, given)]
        about = briefs(shelf, [*order[:top], *named[:top]], examples)
        lists = [
            [Hit(about[int(c)], float(score[c])) for c in chosen[:top]]
            for chosen, score in ((order, scores), (named, _own(shelf)))
        ]
        found.append(Found(given, *lists))
    return found


def _has(shelf: Shelf, component: int, text: str) -> bool:
    """Whether the name of a unit has all words of a text in it."""
    words = str(shelf.components["label"].iloc[component]).casefold().split()
    return set(text.casefold().split()) <= set(words)


def ranked(shelf: Shelf, scores: np.ndarray, filters: Filters, least: bool) -> np.ndarray:
    """Components that pass the filters and have a score, the best (or least) first, int64."""
    table = shelf.components
    clarity = table["clarity"].to_numpy()
    keep = np.isfinite(scores) & np.isfinite(clarity)
    keep &= table["top20_mean"].to_numpy() >= filters.min_activation
    keep &= (clarity >= filters.min_clarity) & (clarity <= filters.max_clarity)
    chosen = np.flatnonzero(keep)
    sign = 1 if least else -1
    ordered: np.ndarray = chosen[np.argsort(sign * scores[chosen], kind="stable")]
    return ordered


def alignments(shelf: Shelf, vector: np.ndarray) -> np.ndarray:
    """s_j(t) of every unit for a unit text vector [p] of the labeller, [m]; nan without images (Eq. 2)."""
    mean, empty = shelf.views.mean, shelf.names.empty
    length = np.linalg.norm(mean, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(length > 0, (mean @ (vector - empty)) / length, np.nan)
    return found


def label_vectors(shelf: Shelf, models: Models, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """The labeller's unit vectors of texts by text: from the vocabulary, or embedded."""
    names = {str(name): i for i, name in reversed(list(enumerate(shelf.names.names)))} if texts else {}
    given = [text.strip() for text in texts]
    new = [text for text in dict.fromkeys(given) if text not in names]
    made = dict(zip(new, models.texts(LABELLER, new), strict=True)) if new else {}
    return {text: made[text] if text in made else shelf.names.vectors[names[text]] for text in given}


def _own(shelf: Shelf) -> np.ndarray:
    """The alignment of every unit with its own name, [m]."""
    found: np.ndarray = shelf.components["alignment"].to_numpy(np.float64)
    return found


def find_images(
    shelf: Shelf,
    models: Models,
    text: str | int | None = None,
    image: ImageLike | None = None,
    split: str = "test",
    top: int = 20,
) -> list[ImageHit]:
    """The images of a split whose embeddings are nearest to a text or an image, by cosine.

    Reads all image embeddings of the split in blocks, nothing else.
    """
    if (text is None) == (image is None):
        raise RelianceError(
            "images",
            "images are looked for by a text or by an image",
            found="neither" if text is None else "both",
            allowed="one of text and image",
            next_step='say --text "..." or --image FILE',
        )
    if text is not None:
        (asked,) = ask(shelf, models, [text])
        return nearest_images(shelf, asked.vector, split, top)
    return nearest_images(shelf, embedding_of(shelf, models, image), split, top)


def nearest_images(shelf: Shelf, vector: np.ndarray, split: str, top: int) -> list[ImageHit]:
    """The images whose embeddings have the largest cosine with a vector [p]."""
    parts = shelf.embeddings(split)
    wanted = vector / np.linalg.norm(vector)
    best_score, best_id = np.zeros(0, np.float32), np.zeros(0, np.int64)
    for start, stop in parts.blocks(_ROWS):
        z = parts.z(start, stop)
        length = np.linalg.norm(z, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            score = np.where(length > 0, z @ wanted / length, -np.inf)
        scores, ids = np.append(best_score, score), np.append(best_id, np.arange(start, stop))
        order = np.argsort(-scores, kind="stable")[:top]
        best_score, best_id = scores[order], ids[order]
    kept = np.isfinite(best_score)
    rows = images_of(shelf.path("index"), split, best_id[kept])
    found = dict(zip(rows.index, zip(rows["class_id"], rows["path"], strict=True), strict=True))
    hits = []
    for image_id, score in zip(best_id[kept].tolist(), best_score[kept].tolist(), strict=True):
        class_id, path = found[image_id]
        hits.append(ImageHit(split, image_id, int(class_id), shelf.class_label(int(class_id)), path, score))
    return hits
