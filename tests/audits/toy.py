"""A small labelled data set with all that an audit reads, and a shortcut planted in its training split.

Latent POSITIVE fires on the positive class, NEGATIVE on the other; SHORTCUT fires on most negatives of the
training split only, or, if nothing is planted, on as many images of both classes. In the changed test splits
every image has much of it, or none.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import write_table
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.encoders.head import Head, project, save_head
from reliance.images.tables import CLASSES, INDEX
from reliance.naming.table import COMPONENTS
from reliance.units.sae.files import Sae, save_sae

D, P, M, K = 16, 16, 16, 4
POSITIVE, NEGATIVE, SHORTCUT = 1, 2, 3
WEIGHTS = "w" * 64
LEARNED = ("index", "embeddings", "codes", "sae", "head")


class Toy:
    """Arrays and paths; class 0 is positive, class 4 the other one, and class 9 of neither."""

    def __init__(self, folder: Path, planted: bool = True, n: int = 240, seed: int = 0) -> None:
        g = np.random.default_rng(seed)
        self.folder, self.g = folder, g
        self.head = Head(
            *(a.astype(np.float32) for a in (1 + 0.1 * g.normal(size=D), 0.1 * g.normal(size=D))),
            proj=np.linalg.qr(g.normal(size=(D, P)))[0].astype(np.float32),
            eps=1e-5,
        )
        self.decoder = np.linalg.qr(g.normal(size=(D, M)))[0].T.astype(np.float32)  # orthonormal
        self.base = 4 * self.decoder[-1]  # what all images have in common; not a latent
        self.classes = {"train": g.choice([0, 4], n), "test": np.tile([0, 4, 9], n // 3)}
        shares = {"train": {0: 0.0, 4: 0.8} if planted else {0: 0.4, 4: 0.4}, "test": {}}
        self.a = {split: self._activations(split, share) for split, share in shares.items()}
        self.x = {split: self._tokens(a) for split, a in self.a.items()}

    def _activations(self, split: str, shares: dict[int, float]) -> np.ndarray:
        classes = self.classes[split]
        a = np.zeros((len(classes), M))
        for latent, class_id in ((POSITIVE, 0), (NEGATIVE, 4)):
            a[:, latent] = np.where(classes == class_id, self.g.uniform(0.3, 1.0, len(a)), 0)
        share = np.array([shares.get(c, 0.0) for c in classes])
        a[:, SHORTCUT] = np.where(self.g.random(len(a)) < share, 2.0, 0)
        a[:, SHORTCUT] *= self.g.uniform(0.8, 1.2, len(a))
        rest = self.g.integers(5, M - 1, len(a))
        a[np.arange(len(a)), rest] = self.g.uniform(0.5, 1.5, len(a))
        return a

    def _tokens(self, a: np.ndarray) -> np.ndarray:
        return (self.base + a @ self.decoder + 0.12 * self.g.normal(size=(len(a), D))).astype(np.float32)

    def write(self) -> dict[str, Path]:
        """All artifacts: those of `fit_audit`, and test, increased and reduced."""
        f = self.folder
        paths = {"index": f / "index.parquet", "classes": f / "classes.parquet"}
        frames = [
            pd.DataFrame({"split": s, "image_id": range(len(c)), "class_id": c})
            for s, c in self.classes.items()
        ]
        frame = pd.concat(frames).assign(bytes=1)
        frame["path"] = [f"{s}/{i}.png" for s, i in zip(frame["split"], frame["image_id"], strict=True)]
        self.index_id = write_table(paths["index"], frame, INDEX, {}, {}).id
        named = pd.DataFrame({"class_id": [0, 4, 9], "folder": ["mel", "nv", "df"]})
        named["short_name"] = named["full_name"] = ["melanoma", "naevus", "fibroma"]
        write_table(paths["classes"], named.assign(definition=""), CLASSES, {}, {})
        paths["embeddings"], embeddings_id = self.embed("train", self.x["train"])
        paths["test"], _ = self.embed("test", self.x["test"])
        for name, amount in (("increased", 2.0), ("reduced", 0.0)):
            a = self.a["test"].copy()
            a[:, SHORTCUT] = amount
            change = {"channel": "red", "delta": -amount}
            paths[name], _ = self.embed(name, self._tokens(a), {"split": "test", "transform": change})
        paths["sae"] = f / "sae.safetensors"
        sae = Sae(self.decoder, np.zeros(M, np.float32), self.decoder, np.zeros(D, np.float32), K)
        sae_id = save_sae(paths["sae"], sae, {}, {"encoder": WEIGHTS}).id
        paths["codes"], codes_id = self._codes(sae_id, embeddings_id)
        paths["head"] = f / "head.safetensors"
        save_head(paths["head"], self.head, WEIGHTS)
        paths["components"] = f / "components.parquet"
        zeros = {name: 0 for name, _ in COMPONENTS.columns}
        about = pd.DataFrame({**zeros, "component": range(M), "runner_up": ""})
        about["label"] = [f"label {i}" for i in range(M)]
        write_table(paths["components"], about, COMPONENTS, {}, {"codes": codes_id})
        return paths

    def embed(self, name: str, x: np.ndarray, params: dict[str, object] | None = None) -> tuple[Path, str]:
        arrays = {"x": x, "embedding": project(x, self.head), "valid": np.ones(len(x), bool)}
        inputs = {"index": self.index_id, "weights": WEIGHTS}
        return self.parts("embeddings", name, arrays, params or {"split": name}, inputs)

    def _codes(self, sae_id: str, embeddings_id: str) -> tuple[Path, str]:
        a = self.a["train"]
        indices = np.argsort(-a, axis=1, kind="stable")[:, :K]
        values = np.take_along_axis(a, indices, 1)
        indices[values == 0] = 0
        arrays = {"values": values.astype(np.float16), "indices": indices.astype(np.uint16)}
        inputs = {"sae": sae_id, "embeddings": embeddings_id}
        return self.parts("codes", "codes", arrays, {"split": "train", "m": M}, inputs)

    def parts(
        self,
        kind: str,
        name: str,
        arrays: dict[str, np.ndarray],
        params: dict[str, object],
        inputs: dict[str, str],
    ) -> tuple[Path, str]:
        rows = len(next(iter(arrays.values())))
        layouts = {n: Layout(a.shape[1:], a.dtype.str) for n, a in arrays.items()}
        folder = self.folder / name / "part-0-of-1.zarr"
        writer = PartWriter(folder, kind, PartRange(0, rows), layouts, params, inputs, chunk_rows=rows)
        writer.append(arrays)
        writer.finish()
        manifest = self.folder / name / "manifest.json"
        return manifest, write_manifest(manifest, [folder], kind).id
