"""Stage `lens_neurons`: a block's neurons as a table, described by words and by their strongest images.

Words come from the direction (`words`); a name comes from the labeller's view of the images on which the
neuron writes most along its direction, as latents get theirs (Eq. 2). Two scores say how many things a neuron
is about: `spread` of its words, 0 for one word, and 1 - clarity of its images.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.codes.top_samples import Top
from reliance.encoders.stored import Embeddings
from reliance.lens.directions import TOPS, read_directions
from reliance.lens.words import WORDS, dictionary, spoken_words, spread, table_of
from reliance.naming.clarity import clarity
from reliance.naming.names import name_components, pool_top, read_vocabulary

NEURONS = TableSpec(
    "lens_neurons",
    1,
    (
        ("component", "int32"),
        ("norm", "float32"),  # mean |phi - phibar| over the strongest images
        ("explained", "float32"),  # share of the first direction
        ("head", "int32"),  # later head that carries most of it, counted over blocks
        ("words", "string"),  # the first SPOKEN of them, signed, the largest first
        ("word", "string"),  # the largest positive one of these; "" without any
        ("spread", "float32"),  # of the words
        ("label", "string"),  # by its images; "" without any
        ("alignment", "float32"),  # nan without a label
        ("runner_up", "string"),
        ("clarity", "float32"),  # of its images; nan for fewer than two
    ),
)


def lens_neurons(
    *,
    directions: Path,
    tops: Path,
    words: Path,
    vocabulary: Path,
    labels: Path,
    names: Path,
    neurons: Path,
    top_n: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write the table of a block's neurons, as NEURONS.

    vocabulary : the encoder's own text vectors; names, labels : the labeller's text vectors, and embeddings
    of the training images. Raises RelianceError for files that do not belong together.
    """
    found, stamp = read_directions(directions)
    top, said = read_table(tops, TOPS), read_table(words, WORDS)
    check_same("directions", (words, said.stamp.inputs["directions"]), (directions, stamp.id))
    own, own_stamp = read_vocabulary(vocabulary)
    called, called_stamp = read_vocabulary(names)
    images = Embeddings(labels)
    check_same("image index", (labels, images.stamp.inputs["index"]), (directions, stamp.inputs["index"]))
    sides = (called_stamp.inputs["weights"], images.stamp.inputs["weights"])
    check_same("labeller weights", (names, sides[0]), (labels, sides[1]))
    atoms = dictionary(own.vectors)
    first = spoken_words(found.direction, atoms, said.frame)
    written = table_of(first, own)
    frame = pd.DataFrame(
        {
            "component": np.arange(len(found.direction)),
            "norm": found.norm,
            "explained": found.explained,
            "head": np.abs(found.by_head).argmax(1),
            "words": in_words(written, len(found.direction)),
            "word": foremost(written, len(found.direction)),
            "spread": spread(first.coefficients, first.atoms, atoms),
        }
    )
    chosen = strongest_of(top.frame, top_n)
    pooled = pool_top(chosen, len(frame), images.z, images.rows, block_rows)
    named = np.flatnonzero(pooled.n > 0)
    given = name_components(pooled.mean[named], called)
    values = {"label": given.label, "alignment": given.alignment, "runner_up": given.runner_up}
    values["clarity"] = clarity(pooled.mean_unit[named], pooled.n[named])
    for name, column in values.items():
        full = np.full(len(frame), "" if column.dtype == object else np.nan, dtype=column.dtype)
        full[named] = column
        frame[name] = full
    inputs = {"directions": stamp.id, "tops": top.stamp.id, "words": said.stamp.id}
    inputs |= {"vocabulary": own_stamp.id, "names": called_stamp.id, "labels": images.stamp.id}
    write_table(neurons, frame, NEURONS, {"top_n": top_n}, inputs)


def strongest_of(tops: pd.DataFrame, top_n: int) -> Top:
    """The images on which a neuron writes most along its direction, of those it writes most on."""
    rows = tops[tops["activation"] > 0].sort_values(["component", "activation"], ascending=[True, False])
    rank = rows.groupby("component").cumcount()
    rows = rows.assign(rank=rank)[rank < top_n]
    return Top(*(rows[name].to_numpy() for name in Top._fields))


def in_words(words: pd.DataFrame, neurons: int) -> list[str]:
    """The words of each neuron, the largest coefficient first: "sail +0.41, wave −0.20"."""
    order = words.assign(size=words["coefficient"].abs()).sort_values("size", ascending=False, kind="stable")
    rows = zip(order["component"].tolist(), order["word"], order["coefficient"].tolist(), strict=True)
    texts: list[list[str]] = [[] for _ in range(neurons)]
    for component, word, value in rows:
        texts[component].append(f"{word} {value:+.2f}".replace("-", "−"))
    return [", ".join(parts) for parts in texts]


def foremost(words: pd.DataFrame, neurons: int) -> list[str]:
    """The word with the largest positive coefficient of each neuron, "" without any."""
    best = words[words["coefficient"] > 0].sort_values("coefficient", ascending=False, kind="stable")
    texts = best.groupby("component")["word"].first().to_dict()
    return [texts.get(neuron, "") for neuron in range(neurons)]
