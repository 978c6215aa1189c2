"""Stage `lens_attacks`: whether words of neurons draw the model from one class to another, as pictures (V3).

On planted data the whole loop is closed: of the words that weigh most (`lens.adversarial`), the first
background and the first written word are drawn around the thing that is shown, and it is counted how often
the model prefers the target. Beside it, with pictures of the same things in the same colours:

    neurons    words by what neurons write, second order
    indirect   the same by how z/|z| moves when each neuron is at its mean in a forward pass: the first
               direction of these moves over images
    similar    words that themselves lie along the difference of the two prompts
    random     a background and a word drawn at random
    nothing    the thing alone on a neutral ground, and larger, as there is no word below it
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same, read_table, write_table
from reliance.encoders.model import Clip, load_model
from reliance.encoders.vision import normaliser
from reliance.images.decode import Reading
from reliance.images.tables import CLASSES, read_split
from reliance.lens.adversarial import nearest, says, similar_weights, word_weights
from reliance.lens.directions import first_directions, read_directions
from reliance.lens.effects import indirect, wanted
from reliance.lens.generated import preferred
from reliance.lens.record import recording
from reliance.lens.schema import ATTACKS
from reliance.lens.store import sampled
from reliance.lens.words import SPOKEN, WORDS, Pursuit, dictionary, joined, pursue, spoken_words
from reliance.naming.names import read_vocabulary
from reliance.planted import drawn, render
from reliance.planted.cast import COLOURS, NEUTRAL
from reliance.planted.lens_maps import World
from reliance.planted.scenes import Scenes
from reliance.tails.remaining import pixels_of

STREAM = 17  # of the pictures, apart from those of the data set
PICTURES, MEANS, MOVED = 20, 256, 48
_BATCH = 64


class Files(NamedTuple):
    """What words are taken from."""

    directions: Sequence[Path]  # one per block
    words: Sequence[Path]
    vocabulary: Path
    text: Path
    classes: Path
    weights: Path


class Drawable(NamedTuple):
    """Which names of the vocabulary can be drawn, and as what: places in the world."""

    background: Mapping[int, int]  # of the vocabulary -> of the world
    word: Mapping[int, int]


def lens_attacks(
    *,
    files: Files,
    index: Path,
    world: World,
    reading: Reading,
    attacks: Path,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Write the share of pictures on which the target wins, of each class and way, as ATTACKS.

    Raises RelianceError for files of other weights or directions.
    """
    torch.set_num_threads(threads)
    clip, prompts = load_model(files.weights, device), read_prompts(files.text)
    read = [read_directions(path) for path in files.directions]
    tables = [read_table(path, WORDS) for path in files.words]
    names, vocabulary = read_vocabulary(files.vocabulary)
    for path, (_, stamp), own, table in zip(files.directions, read, files.words, tables, strict=True):
        check_same("weights", (path, stamp.inputs["weights"]), (files.weights, clip.stamp.id))
        check_same("directions", (own, table.stamp.inputs["directions"]), (path, stamp.id))
        check_same("vocabulary", (own, table.stamp.inputs["vocabulary"]), (files.vocabulary, vocabulary.id))
    check_same("weights", (files.text, prompts.stamp.inputs["weights"]), (files.weights, clip.stamp.id))
    objects = drawn.Objects(world.drawn_classes)
    both, atoms = zip(read, tables, strict=True), dictionary(names.vectors)
    pursuit = joined([spoken_words(part[0].direction, atoms, table.frame) for part, table in both])
    forms = {"neurons": (np.concatenate([part[0].direction for part in read]), pursuit)}
    pixels = pixels_of(read_split(index, "train"), reading, clip, threads)
    moved = [
        moves(clip, pixels, len(read_split(index, "train").paths), int(stamp.params["block"]))
        for _, stamp in read
    ]
    forms["indirect"] = words_of(np.concatenate(moved), atoms)
    called = read_table(files.classes, CLASSES).frame.set_index("class_id").loc[prompts.class_ids]
    said = [says(names.names, row) for row in called.to_dict("records")]
    able = drawable(names.names, objects)
    rows = []
    for shown, target in enumerate(nearest(prompts.vectors)):
        if target < 0:
            continue  # all classes share one prompt
        delta = prompts.vectors[target] - prompts.vectors[shown]
        weights = {way: word_weights(*form, delta, len(names.names)) for way, form in forms.items()}
        weights["similar"] = similar_weights(atoms, delta)
        weights["random"] = np.random.default_rng([world.seed, STREAM, shown]).random(len(names.names))
        chosen = {way: taken(own, able, said[shown] | said[target]) for way, own in weights.items()}
        chosen["nothing"] = (-1, -1)
        for way, (background, word) in chosen.items():
            scenes = around(objects, shown, background, word, world.seed)
            pictures = render.render(objects.bank, scenes, world.seed, STREAM)
            margin = preferred(clip, torch.from_numpy(pictures), prompts, shown, target)
            drawn_names = [
                objects.world.backgrounds[background] if background >= 0 else "",
                objects.world.words[word] if word >= 0 else "",
            ]
            pair = (int(prompts.class_ids[shown]), int(prompts.class_ids[target]))
            rows.append((*pair, way, *drawn_names, len(margin), (margin > 0).mean(), margin.mean()))
    frame = pd.DataFrame(rows, columns=[name for name, _ in ATTACKS.columns])
    ids = {f"words_{i}": table.stamp.id for i, table in enumerate(tables)}
    ids |= {"vocabulary": vocabulary.id, "text": prompts.stamp.id, "weights": clip.stamp.id}
    write_table(attacks, frame, ATTACKS, {"pictures": PICTURES, **world._asdict()}, ids)


def moves(clip: Clip, pixels: Callable[[np.ndarray], torch.Tensor], count: int, block: int) -> np.ndarray:
    """The direction along which each neuron of a block moves z/|z|, by ablations in a pass; unit [N, p]."""
    normalise = normaliser(clip.weights.preprocess, clip.device)
    ids = sampled(count, MEANS)
    with recording(clip, wanted(clip, block)) as recorder:
        parts = np.array_split(ids, -(-len(ids) // _BATCH))
        p = torch.cat([recorder.run(pixels(part)).neurons[block] for part in parts]).float()
    means = p.mean(0)
    images = normalise(pixels(sampled(count, MOVED)))
    found = indirect(clip, images, block, means, range(p.shape[2])).transpose(0, 1)
    return first_directions(found.cpu().numpy())[0]


def words_of(r: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, Pursuit]:
    """Unit directions [N, p], and their coefficients on the words of a dictionary [V, p]."""
    return r, pursue(r, atoms, SPOKEN)


def drawable(names: Iterable[str], objects: drawn.Objects) -> Drawable:
    """What of a vocabulary the renderer can draw."""
    grounds = {name: i for i, name in enumerate(objects.world.backgrounds)}
    words = {f"the written word {word}": i for i, word in enumerate(objects.world.words)}
    every = list(names)
    found = [{i: own[name] for i, name in enumerate(every) if name in own} for own in (grounds, words)]
    return Drawable(*found)


def taken(weights: np.ndarray, able: Drawable, out: np.ndarray) -> tuple[int, int]:
    """The background and the word that weigh most, of those that can be drawn and say no class of the two."""

    def best(places: Mapping[int, int]) -> int:
        left = [i for i in places if not out[i]]
        return places[max(left, key=lambda i: (weights[i], -i))] if left else -1

    return best(able.background), best(able.word)


def around(objects: drawn.Objects, shown: int, background: int, word: int, seed: int) -> Scenes:
    """Pictures of a thing before a background, with a word; the same colours whatever these are."""
    rng = np.random.default_rng([seed, STREAM, shown, 1])
    colour = rng.integers(len(COLOURS), size=PICTURES)
    neutral = rng.integers(len(NEUTRAL), size=PICTURES)
    every = np.ones(PICTURES, bool)
    return Scenes(
        np.full(PICTURES, shown),
        every,
        np.full(PICTURES, word),
        np.full(PICTURES, background) if background >= 0 else neutral,
        ~every,
        ~every,
        colour,
    )
