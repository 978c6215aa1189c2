"""Opens what the list of cases is made from, and checks that all of it belongs to the same outliers."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same, read_table
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT
from reliance.images.tables import CLASSES, read_split
from reliance.naming.table import COMPONENTS

SMALL_WORDS = frozenset(
    ["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with", "&", "+"]
)  # name nothing


class Origin(NamedTuple):
    """An artifact that others must agree with: its path, and the ids it was made from."""

    path: Path
    ids: Mapping[str, str]

    def check(self, name: str, path: Path, found: str) -> None:
        """Raise RelianceError unless `path` carries the id that this artifact was made from."""
        check_same(name, (path, found), (self.path, self.ids[name]))


class ClassTexts(NamedTuple):
    """Text vectors of the encoder, by class_id; unit float32 [p]."""

    short: Mapping[int, np.ndarray]
    full: Mapping[int, np.ndarray]
    words: Mapping[int, np.ndarray]  # [n, p]: the words of a name that has several, without SMALL_WORDS


class EncoderSide(NamedTuple):
    """How the encoder sees images and names."""

    embeddings: Embeddings
    texts: ClassTexts
    class_images: Mapping[int, np.ndarray]  # class_id -> image_ids of the view, ascending
    labels: np.ndarray  # class_id of every image of the split, -1 if unknown [N]
    ids: dict[str, str]


class LabellerSide(NamedTuple):
    """How the labeller sees images and names."""

    embeddings: Embeddings
    top_samples: pd.DataFrame
    labels: Mapping[int, str]  # component -> label
    vocabulary: pd.DataFrame  # rows of TEXT
    short_names: Mapping[int, str]  # class_id -> short name
    ids: dict[str, str]


class EncoderFiles(NamedTuple):
    """What the encoder said of images, and of the names of their classes."""

    embeddings: Path
    short: Path
    extended: Path
    words: Path


class LabellerFiles(NamedTuple):
    """What the labeller said of the same images and of names, and the components that it named."""

    components: Path
    top_samples: Path
    labels: Path
    vocabulary: Path
    classes: Path


def open_encoder_side(
    index: Path, files: EncoderFiles, split: str, every_nth: int, origin: Origin
) -> EncoderSide:
    """Open the encoder's artifacts; raises RelianceError if one is not what the outliers came from."""
    embeddings = Embeddings(files.embeddings)
    rows = read_split(index, split)
    origin.check("embeddings", files.embeddings, embeddings.stamp.id)
    origin.check("index", index, rows.stamp.id)
    vectors, ids = [], {"index": rows.stamp.id}
    for name, path in (("short", files.short), ("extended", files.extended)):
        prompts = read_prompts(path)
        origin.check("weights", path, prompts.stamp.inputs["weights"])
        vectors.append(dict(zip(prompts.class_ids.tolist(), prompts.vectors, strict=True)))
        ids[name] = prompts.stamp.id
    single, stamp = read_table(files.words, TEXT, columns=["class_id", "prompts", "embedding"])
    telling = [prompts[0].lower() not in SMALL_WORDS for prompts in single["prompts"]]
    single = single[np.array(telling, bool)]  # an empty list would take columns
    origin.check("weights", files.words, stamp.inputs["weights"])
    grouped = single.groupby("class_id")["embedding"].agg(list)
    single_words = {int(str(c)): np.stack(found) for c, found in grouped.items()}
    texts = ClassTexts(vectors[0], vectors[1], single_words)
    readable = np.flatnonzero(embeddings.read("valid"))
    used = readable[readable % every_nth == 0]
    images = pd.Series(used).groupby(rows.class_ids[used])
    class_images = {int(str(c)): found.to_numpy() for c, found in images}
    return EncoderSide(embeddings, texts, class_images, rows.class_ids, {**ids, "words": stamp.id})


def open_labeller_side(files: LabellerFiles, origin: Origin) -> LabellerSide:
    """Open the labeller's artifacts; raises RelianceError if one is of other images or another SAE."""
    embeddings = Embeddings(files.labels)
    origin.check("index", files.labels, embeddings.stamp.inputs["index"])
    strongest, strongest_stamp = read_table(files.top_samples, TOP_SAMPLES)
    table, table_stamp = read_table(files.components, COMPONENTS, columns=["component", "label"])
    origin.check("codes", files.top_samples, strongest_stamp.inputs["codes"])
    origin.check("codes", files.components, table_stamp.inputs["codes"])
    names, names_stamp = read_table(files.vocabulary, TEXT)
    weights = files.labels, embeddings.stamp.inputs["weights"]
    check_same("labeller weights", (files.vocabulary, names_stamp.inputs["weights"]), weights)
    known, classes_stamp = read_table(files.classes, CLASSES, columns=["class_id", "short_name"])
    ids = {
        "labels": embeddings.stamp.id,
        "top_samples": strongest_stamp.id,
        "components": table_stamp.id,
        "vocabulary": names_stamp.id,
        "classes": classes_stamp.id,
    }
    labels_of = dict(zip(table["component"].tolist(), table["label"], strict=True))
    short_names = dict(zip(known["class_id"].tolist(), known["short_name"], strict=True))
    return LabellerSide(embeddings, strongest, labels_of, names, short_names, ids)
