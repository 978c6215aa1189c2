"""A tiny data set with everything the benchmark reads, made without a model."""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp, write_table
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.encoders.head import Head, project
from reliance.encoders.text import TEXT
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, KIND, SCHEMA, write_failures
from reliance.images.tables import INDEX
from reliance.robustness.probes import fit_probe

D, P = 6, 5
WEIGHTS = "7" * 64
SETS = ("short", "templated", "extended", "both")


def unit64(x, head):
    z = project(x.astype(np.float64), head)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


class World:
    """Splits train and test of `classes` classes, texts, a probe and one list of cases."""

    def __init__(self, folder: Path, classes=3, per_class=12, seed=0, invalid=(5,)):
        rng = np.random.default_rng(seed)
        self.folder, self.classes = folder, classes
        self.head = Head(
            rng.normal(1, 0.1, D).astype(np.float32),
            rng.normal(0, 0.1, D).astype(np.float32),
            rng.normal(size=(D, P)).astype(np.float32),
            1e-5,
        )
        self.labels = {s: np.repeat(np.arange(classes), per_class) for s in ("train", "test")}
        centres = rng.normal(size=(classes, D))
        self.x = {
            s: (centres[y] + rng.normal(0, 1.0, (len(y), D))).astype(np.float16)
            for s, y in self.labels.items()
        }
        self.valid = {s: np.ones(len(y), bool) for s, y in self.labels.items()}
        self.valid["train"][list(invalid)] = False
        self.index = folder / "index.parquet"
        self.index_id = self.write_index(self.index).id
        self.manifests = {s: self.embed(s, self.x[s], self.valid[s]) for s in self.x}
        self.texts = {name: self.write_text(name, rng.normal(size=(classes, P))) for name in SETS}
        self.probe = folder / "probe.safetensors"

    def write_index(self, path, names=("train", "test")):
        frames = [
            pd.DataFrame(
                {"split": s, "image_id": np.arange(len(y)), "path": "a.png", "class_id": y, "bytes": 1}
            )
            for s, y in self.labels.items()
            if s in names
        ]
        return write_table(path, pd.concat(frames), INDEX, {"name": path.name}, {})

    def embed(self, split, x, valid, weights=WEIGHTS, index_id=None, folder=None):
        folder = folder or self.folder / split
        layouts = {"x": Layout((D,), "<f2"), "embedding": Layout((P,), "<f4"), "valid": Layout((), "|b1")}
        inputs = {"index": index_id or self.index_id, "weights": weights}
        writer = PartWriter(
            folder / "part-0-of-1.zarr", "embeddings", PartRange(0, len(x)), layouts, {"split": split}, inputs
        )
        x = np.where(valid[:, None], x, 0).astype(np.float16)
        z = np.where(valid[:, None], project(x, self.head), 0)
        writer.append({"x": x, "embedding": z, "valid": valid})
        writer.finish()
        write_manifest(folder / "manifest.json", [folder / "part-0-of-1.zarr"], "embeddings")
        return folder / "manifest.json"

    def write_text(self, name, vectors, weights=WEIGHTS, class_ids=None):
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = np.arange(len(vectors)) if class_ids is None else class_ids
        frame = pd.DataFrame(
            {"prompt_id": ids, "class_id": ids, "prompts": [[name]] * len(ids), "embedding": list(vectors)}
        )
        path = self.folder / f"{name}.parquet"
        write_table(path, frame, TEXT, {"prompt_set": name}, {"classes": "c", "weights": weights})
        return path

    def fit(self, **settings):
        files = {
            "index": self.index,
            "embeddings": self.manifests["test"],
        }
        return fit_probe(**files, probe=self.probe, **settings)

    def write_list(self, name, cases, samples, index_id=None):
        """cases: (id, class_id, source, kind, mode); samples: (id, dataset, split, image_id)."""
        rows = [
            dict(zip(COLUMNS, (f, 1, kind, mode, c, source, 4, 1.0, 0.1, "no", ""), strict=True))
            for f, c, source, kind, mode in cases
        ]
        stamp = derived_stamp(KIND, SCHEMA, {"name": name}, {"index": index_id or self.index_id})
        write_failures(self.folder / f"{name}.tsv", pd.DataFrame(rows, columns=list(COLUMNS)), stamp)
        frame = pd.DataFrame(samples, columns=[n for n, _ in FAILURE_SAMPLES.columns])
        path = self.folder / f"{name}_samples.parquet"
        write_table(path, frame, FAILURE_SAMPLES, {}, {"failures": stamp.id})
        return self.folder / f"{name}.tsv", path

    def arguments(self, failures, samples):
        return {
            "index": self.index,
            "embeddings": self.manifests["train"],
            **self.texts,
            "probe": self.probe,
            "failures": failures,
            "failure_samples": samples,
            "robustness": self.folder / "robustness.parquet",
            "dataset": "world",
            "discovered_on": "demo",
        }
