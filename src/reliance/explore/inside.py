"""The answers of the lens: a neuron on a card, and the attributes of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.stamps import read_stamp
from reliance.explore.answers import Answer
from reliance.explore.briefs import plain
from reliance.explore.cells import number
from reliance.explore.neuron import Neuron, no_lens, of_neuron
from reliance.explore.picture import ImageLike, Picture, look
from reliance.explore.sheets import Block, Row, Sheet
from reliance.naming.names import read_vocabulary

if TYPE_CHECKING:
    from reliance.explore.model import Models
    from reliance.explore.shelf import Shelf

SPEAKERS = 3  # neurons that a word of an image is from


class NeuronCard(Answer):
    """Of one neuron."""

    data: Neuron

    def sheet(self) -> Sheet:
        """The card."""
        return of_neuron(self.data)

    def table(self) -> pd.DataFrame:
        """Its strongest images, those against its direction last."""
        rows = [("train", *pair) for pair in (*self.data.examples, *reversed(self.data.against))]
        return pd.DataFrame(rows, columns=["split", "image_id", "activation"])

    def record(self) -> dict[str, Any]:
        """Everything of its card."""
        record: dict[str, Any] = plain(self.data)
        return record


class Attribute(NamedTuple):
    """A word of an image."""

    word: str
    weight: float
    neurons: list[tuple[str, float]]  # "block:neuron" and what it adds, the largest first


class Attributes(NamedTuple):
    """The words of an image."""

    variant: str
    title: str  # of the image
    split: str  # "" for one that is not of the data set
    image_id: int
    path: str
    blocks: list[int]
    significant: int  # neurons
    neurons: int  # of all blocks
    words: list[Attribute]


class Described(Answer):
    """Of one image, in words."""

    data: tuple[Attributes, Picture]

    @property
    def picture(self) -> Picture | None:
        """The image that is described."""
        return self.data[1]

    def sheet(self) -> Sheet:
        """Its words."""
        return of_attributes(self.data[0])

    def table(self) -> pd.DataFrame:
        """A row per word, the heaviest first."""
        rows = [
            (each.word, each.weight, ", ".join(name for name, _ in each.neurons))
            for each in self.data[0].words
        ]
        return pd.DataFrame(rows, columns=["word", "weight", "neurons"])

    def record(self) -> dict[str, Any]:
        """The image and its words."""
        record: dict[str, Any] = plain(self.data[0])
        return record


def attributes_of(shelf: Shelf, models: Models, image: ImageLike) -> tuple[Attributes, Picture]:
    """The words that weigh most on an image, by one recorded pass.

    Raises RelianceError for a variant that is not looked into, or an image that cannot be read.
    """
    import torch

    from reliance.lens import attributes
    from reliance.lens.effects import coefficients as effects
    from reliance.lens.effects import common
    from reliance.lens.record import Wanted, blocks_of, recording

    keys = [key for name, key in shelf.listed() if name == "lens_directions"] or [no_lens(shelf)]
    files = [(shelf.path("lens_directions", key), shelf.path("lens_words", key)) for key in keys]
    picture, clip, words = look(shelf, models, image), models.encoder, shelf.path("words")
    names = read_vocabulary(words)[0]
    blocks = [int(read_stamp(path).params["block"]) for path, _ in files]
    wanted = Wanted(tuple(blocks), tuple(range(min(blocks) + 1, len(blocks_of(clip)))))
    with recording(clip, wanted) as recorder, torch.inference_mode():
        recorded = recorder.run(models.pixels(picture.seen))
        said, many, neurons = list[tuple[int, np.ndarray, Any]](), 0, 0
        for place, paths in zip(blocks, files, strict=True):  # one at a time: their ways to z are large
            own = attributes.spoken(clip, *paths, words, names.vectors)
            arrays = {"coefficients": effects(recorded, place).numpy()}
            if own.found.common is not None:
                arrays["common"] = common(clip, recorded, place).numpy()
            a, significant = attributes.along(own, arrays)
            said.append((place, np.where(significant, a, 0)[0], own.gamma))
            many, neurons = many + int(significant.sum()), neurons + a.shape[1]
    found = Attributes(
        shelf.variant,
        picture.title,
        picture.split,
        picture.image_id,
        picture.path,
        blocks,
        many,
        neurons,
        _heaviest(said, names.names, attributes.SHOWN),
    )
    return found, picture


def _heaviest(said: Sequence[tuple[int, np.ndarray, Any]], names: np.ndarray, most: int) -> list[Attribute]:
    """The words of positive weight that weigh most, with the neurons that say each.

    said : block, effects float32 [N], coefficients of words [N, V].
    """
    parts: dict[str, list[tuple[str, float]]] = {}
    for block, a, gamma in said:
        entries = gamma.tocoo()
        on = a[entries.row] != 0
        rows, columns = entries.row[on], entries.col[on]
        for row, column, value in zip(rows, columns, a[rows] * entries.data[on], strict=True):
            parts.setdefault(str(names[column]), []).append((f"{block}:{row}", float(value)))
    total = {word: sum(value for _, value in own) for word, own in parts.items()}
    heaviest = sorted((word for word in total if total[word] > 0), key=lambda word: (-total[word], word))
    return [
        Attribute(word, total[word], sorted(parts[word], key=lambda pair: -abs(pair[1]))[:SPEAKERS])
        for word in heaviest[:most]
    ]


def of_attributes(found: Attributes) -> Sheet:
    """The words of an image, laid out."""
    blocks = f"block{'s' * (len(found.blocks) > 1)} {', '.join(map(str, found.blocks))}"
    lead = [
        f"{found.significant} of the {found.neurons:,} neurons of {blocks} are significant on it: what each "
        "writes here, times the coefficients of its direction in words"
    ]
    most = max((each.weight for each in found.words), default=1.0)
    rows = [
        Row(
            [
                each.word,
                number(each.weight, 4, sign=True),
                ", ".join(f"{name} {number(value, 3, sign=True)}" for name, value in each.neurons),
            ],
            each.weight / most,
        )
        for each in found.words
    ]
    words = Block("In words, by its neurons", lead, ["word", "weight", "block:neuron"], rows)
    notes = [] if found.words else ["no word weighs on it: no neuron is significant, or all speak against"]
    return Sheet(f"{found.variant}: {found.title}", [found.path] if found.path else [], [words], notes)
