"""A small labelled split with every artifact that attribution reads, and confusions planted in it.

Each class has latents of its own and one "shortcut" latent that its prompt likes, that the class
itself hardly ever shows, and that some images of other classes do.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.attribution.inputs import Explained
from reliance.base.artifacts import write_table
from reliance.base.rows import Layout, PartWriter, part_range, write_manifest
from reliance.encoders.head import Head, project, save_head
from reliance.encoders.text import TEXT
from reliance.images.tables import INDEX
from reliance.units.sae.files import Sae, save_sae

D, P, M, K = 16, 8, 30, 5
CLASS_IDS = (2, 3, 5, 9)  # not the rows of a table, to catch code that mixes the two
WEIGHTS = "w" * 64
FILES = ("index", "embeddings", "codes", "sae", "head", "text")


class ToySplit:
    """Arrays and paths; labels are rows of CLASS_IDS, -1 without a class."""

    def __init__(self, folder: Path, seed: int = 0, per_class: int = 45) -> None:
        g = np.random.default_rng(seed)
        self.folder = folder
        self.rows = per_class * len(CLASS_IDS) + 4
        self.labels = np.append(np.repeat(np.arange(len(CLASS_IDS)), per_class), [-1] * 4)
        self.valid = g.random(self.rows) > 0.03
        self.head = Head(
            *(a.astype(np.float32) for a in (1 + 0.2 * g.normal(size=D), 0.2 * g.normal(size=D))),
            proj=g.normal(size=(D, P)).astype(np.float32),
            eps=1e-5,
        )
        decoder = g.normal(size=(M, D))
        self.decoder = (decoder / np.linalg.norm(decoder, axis=1, keepdims=True)).astype(np.float32)
        activations = self._activations(g)
        self.indices = np.argsort(-activations, axis=1, kind="stable")[:, :K]
        self.values = np.take_along_axis(activations, self.indices, 1).astype(np.float16)
        self.indices[self.values == 0] = 0
        noise = 0.15 * g.normal(size=(self.rows, D))
        self.x = (activations @ self.decoder + noise).astype(np.float32)
        self.x[~self.valid] = 0
        likes = np.zeros((len(CLASS_IDS), M))
        for c in range(len(CLASS_IDS)):
            likes[c, 3 * c : 3 * c + 3] = 1
            likes[c, 20 + c] = 1.5
        text = project((likes @ self.decoder).astype(np.float32), self.head)
        self.text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)

    def _activations(self, g: np.random.Generator) -> np.ndarray:
        """Class latents 3c..3c+2, common ones 12..19, shortcuts 20+c, rare ones above; top K kept."""
        fires = 0.04 * np.ones((self.rows, M))
        fires[:, 12:20] = 0.15
        fires[:, -1] = 0  # never fires
        for c in range(len(CLASS_IDS)):
            fires[self.labels == c, 3 * c : 3 * c + 3] = 0.85
            fires[self.labels != c, 20 + c] = 0.2
        a = np.where(g.random(fires.shape) < fires, g.uniform(0.5, 2, fires.shape), 0)
        for c in range(len(CLASS_IDS)):
            a[:, 20 + c] *= 2
        cut = -np.sort(-a, axis=1)[:, K - 1 : K]
        return np.where(a >= cut, a, 0)

    def write(self) -> dict[str, Path]:
        """All artifacts; returns the keyword arguments of a stage that reads them."""
        paths = {name: self.folder / f"{name}.parquet" for name in ("index", "text")}
        paths |= {name: self.folder / f"{name}.safetensors" for name in ("sae", "head")}
        index_id = self.write_index(paths["index"])
        z = np.where(self.valid[:, None], project(self.x, self.head), 0)
        arrays = {"x": self.x, "embedding": z, "valid": self.valid}
        inputs = {"index": index_id, "weights": WEIGHTS}
        paths["embeddings"], embeddings_id = self.write_parts("embeddings", arrays, inputs)
        sae = Sae(self.decoder, np.zeros(M, np.float32), self.decoder, np.zeros(D, np.float32), K)
        sae_id = save_sae(paths["sae"], sae, {}, {"encoder": WEIGHTS}).id
        arrays = {"values": self.values, "indices": self.indices.astype(np.uint16)}
        inputs = {"sae": sae_id, "embeddings": embeddings_id, "index": index_id}
        paths["codes"], _ = self.write_parts("codes", arrays, inputs)
        save_head(paths["head"], self.head, WEIGHTS)
        self.write_text(paths["text"])
        return {name: paths[name] for name in FILES}

    def files(self) -> Explained:
        """All artifacts as stages take them."""
        return Explained(**self.write())

    def write_index(self, path: Path) -> str:
        class_ids = np.append(CLASS_IDS, -1)[self.labels]
        train = pd.DataFrame({"split": "train", "image_id": range(self.rows), "class_id": class_ids})
        test = pd.DataFrame({"split": "test", "image_id": range(3), "class_id": CLASS_IDS[0]})
        frame = pd.concat([test, train]).assign(path="p", bytes=1)
        return write_table(path, frame, INDEX, {}, {}).id

    def write_parts(
        self, kind: str, arrays: dict[str, np.ndarray], inputs: dict[str, str], folder: str | None = None
    ) -> tuple[Path, str]:
        """Two parts and a manifest; (manifest, its id)."""
        folders = []
        for i in range(2):
            rows = part_range(self.rows, 2, i)
            layouts = {name: Layout(a.shape[1:], a.dtype.str) for name, a in arrays.items()}
            path = self.folder / (folder or kind) / f"part-{i}.zarr"
            writer = PartWriter(path, kind, rows, layouts, {"split": "train", "m": M}, inputs, chunk_rows=64)
            while writer.next_row < rows.stop:
                stop = min(writer.next_row + 64, rows.stop)
                writer.append({name: a[writer.next_row : stop] for name, a in arrays.items()})
            writer.finish()
            folders.append(path)
        manifest = self.folder / (folder or kind) / "manifest.json"
        return manifest, write_manifest(manifest, folders, kind).id

    def write_text(self, path: Path, text: np.ndarray | None = None, weights: str = WEIGHTS) -> None:
        """One prompt per class, in another order than the class ids, and a row without a class."""
        text = self.text if text is None else text
        order = [2, 0, 3, 1]
        frame = pd.DataFrame(
            {
                "prompt_id": range(5),
                "class_id": [*(CLASS_IDS[c] for c in order), -1],
                "prompts": [["a"]] * 5,
                "embedding": [*text[order], text[0]],
            }
        )
        write_table(path, frame, TEXT, {}, {"weights": weights})
