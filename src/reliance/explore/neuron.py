"""A neuron of an MLP on one card: what it writes into the image embedding, in words and images.

Blocks are those that the section `lens` of the variant names; tables are looked up, nothing is run.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, check_same, read_table
from reliance.base.commands import build
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.model import read_weights
from reliance.explore.cells import number, percent
from reliance.explore.lookup import rows_where
from reliance.explore.sheets import Block, Row, Sheet, Shown
from reliance.explore.shelf import Shelf
from reliance.explore.unit import MOST, Name
from reliance.lens.attributes import nearest_to_paper
from reliance.lens.bridge import BRIDGE, HEADS
from reliance.lens.directions import TOPS, Directions, read_directions
from reliance.lens.neurons import NEURONS
from reliance.lens.words import WORDS, dictionary, spoken_words
from reliance.naming.names import Vocabulary, read_vocabulary

_NUMBERS = ("alignment", "clarity", "norm", "explained", "spread")


class Beside(NamedTuple):
    """Something that a neuron has to do with: another neuron, a later head, a latent."""

    number: str
    name: str
    score: float


class Neuron(NamedTuple):
    """A neuron; lists are empty where what they need was not built."""

    variant: str
    block: int  # counted from 0
    neuron: int
    label: str  # by its images; "" without any
    alignment: float
    runner_up: str
    clarity: float
    norm: float  # mean |phi - phibar| over its strongest images
    explained: float  # share of the first direction
    spread: float  # of its words
    threshold: float  # norm above which it is significant, at the share
    share: float
    examples: list[tuple[int, float]]  # image_id of train and (phi - phibar) . r, the largest first
    against: list[tuple[int, float]]  # the most negative first
    words: list[Name]  # signed coefficients of its direction
    draws: list[Name]  # classes by r . t less the mean over classes, the largest first
    repels: list[Name]  # the smallest first
    heads: list[Beside]  # later heads that carry it
    near: list[Beside]  # neurons of the block with the nearest directions
    latents: list[Beside]  # that it writes


def block_of(shelf: Shelf, block: int) -> str:
    """Under which name a block's tables are kept, which counts as the section `lens` does.

    block : counted from 0, or as the section names it. Raises RelianceError for one that is not looked at.
    """
    kept = [key for name, key in shelf.listed() if name == "lens_directions"]
    if str(block) in kept:
        return str(block)
    built = {key: shelf.path("lens_directions", key) for key in kept if shelf.has("lens_directions", key)}
    for key, path in built.items():
        if int(read_stamp(path).params["block"]) == block:
            return key
    if not kept:
        no_lens(shelf)
    unbuilt = [key for key in kept if key not in built]
    command = build(*[shelf.target("lens_neurons", key) for key in unbuilt], options=shelf.options)
    raise RelianceError(
        f"{shelf.variant}: block {block}",
        "neurons are looked into at the blocks that the section lens of the variant names",
        found="none of those that were built" if unbuilt else "none of these blocks",
        allowed=", ".join(kept),
        next_step=f"build the others: {command}"
        if unbuilt
        else "name the block in lens.layers, and run the pipeline to lens/report.html",
    )


def no_lens(shelf: Shelf) -> NoReturn:
    """Raise the RelianceError for a variant that is not looked into."""
    raise RelianceError(
        f"{shelf.variant}: lens",
        "neurons are asked about in a variant whose section lens says at which blocks",
        found="no such section",
        allowed="a variant with  lens: {layers: [-2]}",
        next_step="give the variant such a section (config/config.yaml explains its keys), and run the "
        f"pipeline to results/{shelf.variant}/lens/report.html",
    )


def neuron(shelf: Shelf, block: int, which: int, examples: int = 20) -> Neuron:
    """The card of a neuron. Raises RelianceError for a block or a number that there is not."""
    key = block_of(shelf, block)
    path = shelf.path("lens_directions", key)
    found, stamp = shelf.once("lens_directions", "lens_directions", key, read_directions)
    table = read_table(shelf.path("lens_neurons", key), NEURONS)
    check_same(
        "directions",
        (shelf.path("lens_neurons", key), table.stamp.inputs["directions"]),
        (path, stamp.id),
    )
    if not 0 <= which < len(table.frame):
        raise RelianceError(
            f"{shelf.variant}: neuron {which} of block {block}",
            "a neuron is asked for by its number",
            found=which,
            allowed=f"0 to {len(table.frame) - 1}",
            next_step="lens/report.html shows those that write most, lens/block*/neurons.parquet has all",
        )
    row = table.frame.iloc[which]
    own_rows = {"component": [which]}
    tops, of_tops = rows_where(shelf.path("lens_tops", key), TOPS, own_rows)
    words, of_words = rows_where(shelf.path("lens_words", key), WORDS, own_rows)
    check_same("directions", (shelf.path("lens_words", key), of_words.inputs["directions"]), (path, stamp.id))
    check_same(
        "weights", (shelf.path("lens_tops", key), of_tops.inputs["weights"]), (path, stamp.inputs["weights"])
    )
    place = nearest_to_paper(found.shares)
    own = int(stamp.params["block"])
    draws, repels = _classes(shelf, found.direction[which])
    return Neuron(
        variant=shelf.variant,
        block=own,
        neuron=which,
        label=str(row["label"]),
        runner_up=str(row["runner_up"]),
        **{name: float(row[name]) for name in _NUMBERS},
        threshold=float(found.thresholds[which, place]),
        share=float(found.shares[place]),
        examples=_images(tops[tops["activation"] > 0], examples, ascending=False),
        against=_images(tops[tops["activation"] < 0], examples, ascending=True),
        words=_words(vocabulary_of(shelf, key, of_words), found.direction[which], words),
        draws=draws,
        repels=repels,
        heads=_heads(shelf, found, which, own),
        near=_near(table.frame, found, which),
        latents=_latents(shelf, own, which),
    )


def vocabulary_of(shelf: Shelf, key: str, stamp: Stamp) -> Vocabulary:
    """The vocabulary that words of a block were taken from, by the stamp of their table.

    Raises RelianceError for another one, whose names would stand in other places.
    """
    names, own = read_vocabulary(shelf.path("words"))
    sides = (shelf.path("lens_words", key), stamp.inputs["vocabulary"]), (shelf.path("words"), own.id)
    check_same("vocabulary", *sides)
    return names


def _words(names: Vocabulary, direction: np.ndarray, words: pd.DataFrame) -> list[Name]:
    """The words that speak for a neuron, the largest coefficient first, as its page has them."""
    first = spoken_words(direction[None], dictionary(names.vectors), words.assign(component=0))
    pairs = zip(first.atoms[0].tolist(), first.coefficients[0].tolist(), strict=True)
    found = [Name(str(names.names[atom]), float(value)) for atom, value in pairs if atom >= 0]
    return sorted(found, key=lambda name: -abs(name.score))


def _images(tops: pd.DataFrame, most: int, ascending: bool) -> list[tuple[int, float]]:
    rows = tops.sort_values("activation", ascending=ascending, kind="stable").head(most)
    return [(int(i), float(a)) for i, a in rows[["image_id", "activation"]].itertuples(index=False)]


def _classes(shelf: Shelf, direction: np.ndarray) -> tuple[list[Name], list[Name]]:
    """Classes that the direction draws to, and those it repels; nothing of data without prompts."""
    if not shelf.has("texts", "short"):
        return [], []
    prompts = shelf.prompts("short")
    score = (prompts.vectors - prompts.vectors.mean(0)) @ direction
    order = np.argsort(-score, kind="stable")
    named = [Name(shelf.class_label(int(prompts.class_ids[i])), float(score[i])) for i in order]
    half = min(MOST // 2, len(named) // 2)
    return named[:half], named[::-1][:half]


def _heads(shelf: Shelf, found: Directions, which: int, block: int) -> list[Beside]:
    """Later heads, "block:head", by the share of what is carried along the direction, with its sign."""
    own = found.by_head[which]
    total, order = float(np.abs(own).sum()), np.argsort(-np.abs(own), kind="stable")
    later = int(read_weights(shelf.path("weights"))[0].config["vision_cfg"]["layers"]) - 1 - block
    heads = len(own) // later
    places = [(block + 1 + int(i) // heads, int(i) % heads) for i in order[: MOST // 2]]
    names = _words_of_heads(shelf)
    scores = [float(own[i] / total) if total > 0 else 0.0 for i in order]
    pairs = zip(places, scores, strict=False)
    return [Beside(f"{b}:{h}", names.get((b, h), ""), score) for (b, h), score in pairs]


def _words_of_heads(shelf: Shelf) -> dict[tuple[int, int], str]:
    if not shelf.has("lens_heads"):
        return {}
    table = read_table(shelf.path("lens_heads"), HEADS).frame
    return {(int(b), int(h)): w for b, h, w in table[["block", "head", "words"]].itertuples(index=False)}


def _near(table: pd.DataFrame, found: Directions, which: int) -> list[Beside]:
    cosine = found.direction @ found.direction[which]
    cosine[which] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(MOST // 2, len(cosine) - 1)]
    return [Beside(str(int(i)), str(table["label"].iloc[i]), float(cosine[i])) for i in order]


def _latents(shelf: Shelf, block: int, which: int) -> list[Beside]:
    """Latents that the neuron is among the first to write."""
    if not shelf.has("lens_bridge"):
        return []
    where: dict[str, list[Any]] = {"kind": ["neuron"], "block": [block], "unit": [which]}
    rows = rows_where(shelf.path("lens_bridge"), BRIDGE, where)[0].sort_values("share", ascending=False)
    names = shelf.components["name"] if shelf.has("components") else None
    return [
        Beside(str(int(c)), "" if names is None else str(names.iloc[int(c)]), float(share))
        for c, share in rows[["component", "share"]].head(MOST).itertuples(index=False)
    ]


def of_neuron(card: Neuron) -> Sheet:
    """A neuron on one card."""
    facts = [
        f"norm {number(card.norm, 4)} on its strongest images, {percent(card.explained)} of it along one "
        f"direction; significant above {number(card.threshold, 4)}, on {percent(card.share)} of the images",
        f"spread of its words {number(card.spread, 2)} (0: one word), clarity of its images "
        f"{number(card.clarity, 2)}",
    ]
    if card.label:
        facts.append(
            f"its images look like {card.label} ({number(card.alignment, 3)}), then {card.runner_up}"
        )
    strongest = (
        ("Images of train on which it writes most", card.examples),
        ("Images on which it writes most against its direction", card.against),
    )
    blocks = [Block(title, [], [], [], _shown(images)) for title, images in strongest if images]
    lists = (
        ("Its direction in words", "coefficient", card.words),
        ("Classes it draws to", "r . t", card.draws),
        ("Classes it draws away from", "r . t", card.repels),
    )
    for title, what, names in lists:
        most = max((abs(name.score) for name in names), default=0.0) or 1.0
        rows = [Row([name.text, number(name.score, 3, sign=True)], name.score / most) for name in names]
        blocks += [Block(title, [], ["name", what], rows)] if names else []
    beside = (
        ("Later heads that carry it", ["head", "its words", "share"], card.heads),
        ("Neurons with the nearest directions", ["neuron", "images look like", "cosine"], card.near),
        ("Latents that it writes", ["unit", "name", "share"], card.latents),
    )
    for title, columns, others in beside:
        rows = [
            Row([o.number, o.name, number(o.score, 3, sign=True)], float(np.clip(o.score, -1, 1)))
            for o in others
        ]
        blocks += [Block(title, [], columns, rows)] if others else []
    name = next((word.text for word in card.words if word.score > 0), "without words")
    return Sheet(f"{card.variant}: neuron {card.neuron} of block {card.block}, {name}", facts, blocks, [])


def _shown(images: list[tuple[int, float]]) -> list[tuple[Shown, str]]:
    return [(("train", image_id), number(value, 3, sign=True)) for image_id, value in images]
