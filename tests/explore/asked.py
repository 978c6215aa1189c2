"""A built toy variant with everything that questions look up, made by the stages themselves."""

import numpy as np
import pandas as pd
from PIL import Image

from attribution.toy import CLASS_IDS, P
from reliance.attribution.inputs import Explained
from reliance.attribution.table import attribute_split
from reliance.base.artifacts import read_table, write_table
from reliance.codes.top_samples import top_samples
from reliance.encoders.text import TEXT
from reliance.explore.indexing import index_expectations, view_units
from reliance.failures.expectation import expectations
from reliance.images.tables import CLASSES, INDEX
from reliance.naming.stability import NAME_STABILITY
from reliance.naming.table import COMPONENTS

WORDS = ("", "label one", "label two", "a red kite", "<b>bold</b>")
SHORT = ("kite", "crane", "crane", "jay")


def complete(built):
    """Add what questions need to a Built; (paths of attributions, outputs)."""
    home, toy = built.home, built.toy
    files = built.files
    explained = Explained(**{name: files[name] for name in ("index", "sae", "head")}, **{
        "embeddings": files["embeddings"]["train"],
        "codes": files["codes"]["train"],
        "text": files["texts"]["short"],
    })  # fmt: skip
    made = {name: home / f"{name}.parquet" for name in ("attributions", "outputs", "expectations")}
    attribute_split(explained, attributions=made["attributions"], outputs=made["outputs"], split="train")
    expectations(**made)
    write_classes(built)
    write_texts(built)
    write_index(built)
    write_stability(built)
    files["top_samples"] = home / "top_samples.parquet"
    top_samples(codes=files["codes"]["train"], top_samples=files["top_samples"])
    files |= {name: home / f"explore/{name}.parquet" for name in ("effects", "served", "references")}
    files["views"] = home / "explore/views.safetensors"
    files["expectations"] = made["expectations"]
    view_units(
        codes=files["codes"]["train"],
        labels=files["embeddings"]["train"],
        top_samples=files["top_samples"],
        views=files["views"],
    )
    index_expectations(
        expectations=made["expectations"],
        attributions=made["attributions"],
        effects=files["effects"],
        served=files["served"],
        references=files["references"],
    )
    built.root = home / "images"
    built.root.mkdir()
    colours = np.random.default_rng(0).integers(0, 255, (toy.rows, 3), np.uint8)
    for image_id in range(toy.rows):
        Image.new("RGB", (8, 8), tuple(int(c) for c in colours[image_id])).save(
            built.root / f"{image_id}.png"
        )
    built.describe(dataset_root=str(built.root), failures_from="demo", prompt_set="short")
    return made["attributions"], made["outputs"]


def write_stability(built):
    """Names of which every second one is a coin toss."""
    frame, stamp = read_table(built.files["components"], COMPONENTS)
    toss = frame["component"] % 2 == 0
    told = frame[["component", "label"]].assign(
        confidence=np.where(toss, 0.5, 0.9), images=0.5, words=0.5, rival=np.where(toss, "kite", "")
    )
    built.files["name_stability"] = built.home / "name_stability.parquet"
    write_table(built.files["name_stability"], told, NAME_STABILITY, {}, {"components": stamp.id})


def write_classes(built):
    frame = pd.DataFrame({"class_id": CLASS_IDS, "short_name": SHORT, "folder": "f", "definition": ""})
    frame["full_name"] = [f"{name}, bird {i}" for i, name in enumerate(SHORT)]
    write_table(built.files["classes"], frame, CLASSES, {}, {})


def write_texts(built):
    g = np.random.default_rng(1)
    vectors = g.normal(size=(len(WORDS), P))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    frame = pd.DataFrame({"prompt_id": range(len(WORDS)), "class_id": -1, "embedding": list(vectors)})
    frame["prompts"] = [[word] for word in WORDS]
    path = built.home / "vocabulary.parquet"
    write_table(path, frame, TEXT, {}, {"weights": "w" * 64})
    built.files |= {"vocabulary": path, "words": path}
    own = pd.DataFrame({"prompt_id": range(4), "class_id": CLASS_IDS, "embedding": list(built.toy.text)})
    own["prompts"] = [[name] for name in SHORT]
    write_table(built.files["texts"]["short"], own, TEXT, {}, {"weights": "w" * 64})


def write_index(built):
    """The index as it was, with a file for every image; its id must stay."""
    toy = built.toy
    class_ids = np.append(CLASS_IDS, -1)[toy.labels]
    train = pd.DataFrame({"split": "train", "image_id": range(toy.rows), "class_id": class_ids})
    train["path"] = [f"{i}.png" for i in range(toy.rows)]
    test = pd.DataFrame({"split": "test", "image_id": range(3), "class_id": CLASS_IDS[0], "path": "p"})
    write_table(built.files["index"], pd.concat([test, train]).assign(bytes=1), INDEX, {}, {})
